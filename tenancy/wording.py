"""How messages repeat what they were given, and what it may have been meant to be."""

import difflib
from collections.abc import Collection

PREVIEW_CHARACTERS = 60


def nearest(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    """Return ` Did you mean “x”?`, or '' if nothing is near."""
    near = find_nearest(name, known, cutoff=cutoff)
    return f" Did you mean “{near}”?" if near else ""


def find_nearest(name: str, known: Collection[str], *, cutoff: float) -> str | None:
    """Return the name that is nearest, from 0.0 (anything) to 1.0 (the same), or None."""
    near = difflib.get_close_matches(shorten(name), list(known), n=1, cutoff=cutoff)
    return near[0] if near else None


def shorten(text: str) -> str:
    """Return a text short enough to be repeated in an answer."""
    return text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + "…"
