"""Draw what `benchmarks.growth` has measured: an SVG for each measure, kinds as lines.

    python -m benchmarks.plots

Reads `docs/measurements/growth.json`, writes `docs/measurements/*.svg`, and what
`benchmarks.growth_tables` makes of it: the tables of `docs/scaling.md` and the points between which
`plan_capacity` interpolates. Both axes are logarithmic:
a straight line that rises by one for one is a cost that doubles with the tenants. The pictures
have a ground of their own and follow the reader's choice of light or dark.
"""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from benchmarks.growth_tables import POINTS, SCALING, points_module, with_tables
from benchmarks.local_processes import PROJECT

FOLDER = PROJECT / "docs" / "measurements"
WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 120, 56, 52
LABEL_GAP = 18.0
# A kind's colour on white and on black; its mark tells it apart without colour.
KINDS = {
    "shared": ("#0b62a8", "#63b3f5", "circle"),
    "collection": ("#b8470b", "#ff9a5c", "square"),
    "database": ("#0c7a55", "#46d19b", "triangle"),
    "cluster": ("#7d3c98", "#cf9be6", "diamond"),
}
# name of the file -> (what is drawn, title, unit)
PLOTS = {
    "create": ("create_p10_ms", "Creating an organization", "ms, p10"),
    "create-cpu": ("create_cpu_ms", "Creating an organization: processor time", "ms"),
    "read": ("warm_p10_ms", "Reading a document of a tenant in use", "ms, p10"),
    "first-read": ("cold_p10_ms", "Reading a document of a tenant not heard of before", "ms, p10"),
    "http-read": ("http_p10_ms", "Reading a document over HTTP", "ms, p10"),
    "check": ("doctor_cpu_s", "check_tenants: processor time", "s"),
    "restart": ("start_cpu_s", "Starting mongod again: processor time", "s"),
    "memory": ("mongod_mib", "Memory of mongod", "MiB"),
    "files": ("mongod_open_files", "Files that mongod has open", ""),
    "disk": ("data_mib", "Data directory of mongod, without journal", "MiB"),
    "catalog": ("catalog_mib", "The catalog, in SQLite", "MiB"),
}
STYLE = """
text { font: 14px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
.title { font-size: 17px; font-weight: 600; } .muted { fill: #57606a; } .label { font-weight: 600; }
.ground { fill: #ffffff; } .grid { stroke: #d0d7de; stroke-width: 1; }
polyline { fill: none; stroke-width: 2.5; } polyline.more { stroke-dasharray: 2 5; }
.label { paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round; }
""".strip()
DARK = (
    "text { fill: #e6edf3; } .muted { fill: #9da7b1; } .ground { fill: #0d1117; } "
    ".grid { stroke: #30363d; } .label { stroke: #0d1117; }"
)


class Scale(NamedTuple):
    """A logarithmic axis: values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Return round values along it: decades, with 2 and 5 where there are few of them."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if math.log10(self.high / self.low) < 2.2 else (1,)
        values = [step * 10.0**decade for decade in decades for step in steps]
        return [each for each in values if self.low * 0.999 <= each <= self.high * 1.001]


def lines_of(figures: Sequence[dict[str, Any]], measure: str) -> dict[str, list[Any]]:
    """Return (tenants, value, servers) of each kind that has the measure.

    Of `cluster` servers are 1: each organization has one to itself.
    """
    found: dict[str, list[Any]] = {}
    for each in figures:
        if each.get(measure):
            servers = 1 if each["kind"] == "cluster" else each["servers"]
            found.setdefault(each["kind"], []).append((each["tenants"], each[measure], servers))
    return {kind: sorted(found[kind]) for kind in KINDS if kind in found}


def draw(figures: Sequence[dict[str, Any]], measure: str, title: str, unit: str) -> str:
    """Return one plot as SVG."""
    lines = lines_of(figures, measure)
    x, y = _scales([point for line in lines.values() for point in line])
    heading = f"{title}, {unit}" if unit else title
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(heading)}</title>",
            f"<style>\n{STYLE}\n{_colours(0)}",
            f"@media (prefers-color-scheme: dark) {{ {DARK}\n{_colours(1)} }}\n</style>",
            f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
            f'<text class="title" x="{LEFT - 46}" y="30">{escape(heading)}</text>',
            *_axes(x, y),
            *_curves(lines, x, y),
            "</svg>\n",
        ]
    )


def _colours(ground: int) -> str:
    return "\n".join(
        f".{kind} {{ fill: {colours[ground]}; }} polyline.{kind} {{ fill: none; "
        f"stroke: {colours[ground]}; }}"
        for kind, colours in KINDS.items()
    )


def _scales(points: Sequence[Any]) -> tuple[Scale, Scale]:
    sizes, values, _ = zip(*points, strict=True)
    low, high = min(values) / 1.3, max(values) * 1.3
    if high / low < 10:  # what hardly changes shall not look as if it did
        low, high = low / math.sqrt(10 * low / high), high * math.sqrt(10 * low / high)
    return (
        Scale(min(sizes), max(*sizes, 10 * min(sizes)), LEFT, WIDTH - RIGHT),
        Scale(low, high, HEIGHT - BOTTOM, TOP),
    )


def _axes(x: Scale, y: Scale) -> Iterator[str]:
    for value in y.ticks():
        at = y.place(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        yield (
            f'<text class="muted" x="{LEFT - 8}" y="{at + 5:.1f}" text-anchor="end">'
            f"{_number(value)}</text>"
        )
    for value in x.ticks():
        if math.log10(value) % 1 and x.high / x.low > 100:
            continue
        yield (
            f'<text class="muted" x="{x.place(value)}" y="{HEIGHT - BOTTOM + 22}" '
            f'text-anchor="middle">{_number(value)}</text>'
        )
    yield (
        f'<text class="muted" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" '
        'text-anchor="middle">organizations</text>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _curves(lines: dict[str, list[Any]], x: Scale, y: Scale) -> Iterator[str]:
    for kind, line in lines.items():
        points = [(x.place(size), y.place(value)) for size, value, _ in line]
        alone = sum(servers == 1 for _, _, servers in line)
        yield _polyline(kind, points[:alone])
        if alone < len(points):  # on further servers, which is another thing
            yield _polyline(f"{kind} more", points[max(alone - 1, 0) :])
        for (left, top), (size, value, servers) in zip(points, line, strict=True):
            on = f" on {servers} servers" if servers > 1 else ""
            told = f"<title>{kind}, {size:,}{on}: {value:,}</title>"
            yield f'<path class="{kind}" d="{_mark(KINDS[kind][2], left, top)}">{told}</path>'
    labels = spread({kind: y.place(line[-1][1]) for kind, line in lines.items()})
    for kind, line in lines.items():  # last, over every line
        left = x.place(line[-1][0]) + 10
        yield f'<text class="label {kind}" x="{left}" y="{labels[kind] + 5:.1f}">{kind}</text>'


def _polyline(classes: str, points: Sequence[tuple[float, float]]) -> str:
    joined = " ".join(f"{left},{top}" for left, top in points)
    return f'<polyline class="{classes}" points="{joined}"/>'


def spread(places: dict[str, float]) -> dict[str, float]:
    """Return where labels go so that none covers another: as near to their places as may be."""
    found: dict[str, float] = {}
    above = -math.inf
    for name in sorted(places, key=lambda each: places[each]):
        found[name] = above = max(places[name], above + LABEL_GAP)
    over = max([0.0, *(at - (HEIGHT - BOTTOM) for at in found.values())])
    return {name: at - over for name, at in found.items()}


def _mark(shape: str, left: float, top: float) -> str:
    marks = {
        "circle": "m-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0",
        "square": "m-4.5,-4.5h9v9h-9z",
        "triangle": "m0,-6l5.5,10h-11z",
        "diamond": "m0,-6l6,6l-6,6l-6,-6z",
    }
    return f"M{left},{top}{marks[shape]}"


def draw_all(results: dict[str, Any]) -> dict[str, str]:
    """Return every plot by the name of its file."""
    return {
        f"{name}.svg": draw(results["figures"], measure, title, unit)
        for name, (measure, title, unit) in PLOTS.items()
    }


def main() -> None:
    """Draw, and write the files."""
    results = json.loads((FOLDER / "growth.json").read_text())
    for path in FOLDER.glob("*.svg"):
        path.unlink()
    for name, text in draw_all(results).items():
        (FOLDER / name).write_text(text)
    POINTS.write_text(points_module(results))
    SCALING.write_text(with_tables(SCALING.read_text(), results))


if __name__ == "__main__":
    main()
