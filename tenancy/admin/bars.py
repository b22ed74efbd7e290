"""Bars with their numbers beside them: colour says nothing that the text does not say, too.

They are HTML's own `meter` and `progress`: no inline style, so that any content policy allows them.
"""

from django.utils.html import format_html
from django.utils.safestring import SafeString

NEAR_SHARE = 0.8
FULL_SHARE = 0.95
# (at least this share, the class, what is said beside the number)
LEVELS = ((1.0, "is-full", ", full"), (FULL_SHARE, "is-full", ", nearly full"),
          (NEAR_SHARE, "is-near", ", filling up"), (0.0, "is-fine", ""))  # fmt: skip


def percent_of(done: int, total: int) -> int:
    """Return a part in whole percent, rounded down; 100 only for all of it."""
    return done * 100 // total if total else 0


def usage_bar(label: str, used: int, limit: int | None, shown: str = "") -> SafeString:
    """Return how much of a limit is used; without a limit the number alone.

    `shown` are both numbers as people read them, where a plain count is not it.
    """
    if limit is None:
        return format_html(
            '<span class="tenantry-figure">{}, no limit</span>', shown or f"{used:,}"
        )
    text = shown or f"{used:,} of {limit:,}"
    share = used / limit if limit else 1.0
    level, said = next((name, said) for least, name, said in LEVELS if share >= least)
    said = ", over the limit" if used > limit else said
    percent = percent_of(used, limit) if limit else 100
    return format_html(
        '<span class="tenantry-bar"><meter min="0" max="{}" low="{}" high="{}" optimum="0" '
        'value="{}" aria-label="{}: {}, {} %{}">{} %</meter>'
        '<span class="tenantry-figure {}">{}, {} %{}</span></span>',
        max(limit, 1), limit * NEAR_SHARE, limit * FULL_SHARE, min(used, max(limit, 1)),
        label, text, percent, said, percent, level, text, percent, said,
    )  # fmt: skip


def progress_bar(done: int, total: int, unit: str) -> SafeString:
    """Return how much of something that ends is done."""
    text = f"{done:,} of {total:,} {unit}, {percent_of(done, total)} %"
    return format_html(
        '<span class="tenantry-bar"><progress max="{}" value="{}" aria-label="{}">{}</progress>'
        '<span class="tenantry-figure">{}</span></span>',
        total, min(done, total), text, text, text,
    )  # fmt: skip


def size_text(size: int) -> str:
    """Return bytes as people read them."""
    number, unit = float(size), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            break
        number /= 1024
    return f"{size:,} bytes" if unit == "bytes" else f"{number:,.1f} {unit}"
