"""What a benchmark says: rows with a value, its spread, the bar it has to reach, and absolutes."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

TITLE_WIDTH, VALUE_WIDTH, SPREAD_WIDTH, BAR_WIDTH = 55, 10, 18, 9


@dataclass(frozen=True)
class Bar:
    """What a value has to reach, or may not exceed."""

    at_least: float | None = None
    at_most: float | None = None

    def is_missed_by(self, value: float) -> bool:
        """Whether a value is on the wrong side."""
        too_low = self.at_least is not None and value < self.at_least
        return too_low or (self.at_most is not None and value > self.at_most)

    def __str__(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else ""


NO_BAR = Bar()


@dataclass(frozen=True)
class Figure:
    """A row. `unit` is empty for a ratio; `absolutes` are for orientation, by what they are."""

    row: str
    value: float
    spread: tuple[float, float] | None = None
    bar: Bar = NO_BAR
    unit: str = ""
    absolutes: dict[str, Any] = field(default_factory=dict)

    @property
    def is_missed(self) -> bool:
        """Whether the bar was not reached."""
        return self.bar.is_missed_by(self.value)

    def represent(self) -> dict[str, Any]:
        """Return it as it goes into JSON."""
        return {**asdict(self), "missed": self.is_missed}

    def __str__(self) -> str:
        value = f"{_short(self.value)}{f' {self.unit}' if self.unit else ''}"
        spread = " .. ".join(map(_short, self.spread)) if self.spread else ""
        missed = "MISSED" if self.is_missed else ""
        said = ", ".join(f"{name} {_short(each)}" for name, each in self.absolutes.items())
        line = (
            f"{self.row:{TITLE_WIDTH}}{value:>{VALUE_WIDTH}}{spread:>{SPREAD_WIDTH}}"
            f"{self.bar!s:>{BAR_WIDTH}}  {missed:6}  {said}"
        )
        return line.rstrip()


def heading() -> str:
    """Return the line above the rows."""
    return (
        f"{'':{TITLE_WIDTH}}{'value':>{VALUE_WIDTH}}{'spread':>{SPREAD_WIDTH}}{'bar':>{BAR_WIDTH}}"
    )


def _short(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def figure(
    row: str, values: Sequence[float], *, bar: Bar = NO_BAR, unit: str = "",
    absolutes: dict[str, Any] | None = None,
) -> Figure:  # fmt: skip
    """Return the median of what was measured again and again, and between what it lay."""
    spread = (round(min(values), 3), round(max(values), 3))
    return Figure(row, round(statistics.median(values), 3), spread, bar, unit, absolutes or {})


def missed(figures: Iterable[Figure]) -> list[str]:
    """Return the rows whose bar was not reached."""
    return [each.row for each in figures if each.is_missed]
