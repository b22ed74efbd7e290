"""Measure two loads by turns, so that whatever else the machine does happens to both."""

import statistics
import time
from array import array
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from benchmarks.consumption import cpu_seconds
from benchmarks.figures import NO_BAR, Bar, Figure, figure
from benchmarks.http_client import HttpPlan
from benchmarks.load_process import LoadProcess, Plan, Turn

WARM_UP_SECONDS = 0.3
# The service finds out how many threads a load is worth, and shows it every second.
ADAPTING_SECONDS, SHOWN_SECONDS = 3.5, 2.0
# Shorter turns try out the bench, and measure nothing.
SHORTEST_SECONDS = 1.0


@dataclass(frozen=True)
class Pace:
    """How often each side of a row has its turn, how long one is, and whether to take long."""

    rounds: int = 6
    seconds: float = 1.0
    full: bool = False


@dataclass(frozen=True)
class Comparison:
    """A row: ours, and the counterpart. `once` makes a turn of one request on each connection.

    `threads_at_work` says with how many threads the service takes requests now: PyMongo has as many
    as the service has at most while ours is under way. `other` is another counterpart, at which the
    bar does not look.
    """

    name: str
    ours: Plan
    raw: Plan
    bar: Bar = NO_BAR
    raw_name: str = "raw"
    once: bool = False
    threads_at_work: Callable[[], int] | None = None
    other: Plan | None = None
    other_name: str = ""


@dataclass
class Measured:
    """The turns of both, round by round, and what the server took of CPU during ours."""

    ours: list[Turn] = field(default_factory=list)
    raw: list[Turn] = field(default_factory=list)
    other: list[Turn] = field(default_factory=list)
    server_seconds: list[float] = field(default_factory=list)
    threads: int = 0

    @property
    def ratios(self) -> list[float]:
        """What ours reached of the counterpart's rate, in each round."""
        return [ours.rate / raw.rate for ours, raw in zip(self.ours, self.raw, strict=True)]

    @property
    def server_us(self) -> list[float]:
        """Microseconds of the server's CPU for each request, in each round."""
        return [
            1e6 * seconds / ours.count
            for seconds, ours in zip(self.server_seconds, self.ours, strict=True)
        ]


def measure(row: Comparison, workers: list[int], pace: Pace) -> Measured:
    """Measure a row, after a moment of each to warm up. Raises LoadFailed.

    `workers` are the processes of the server. Which side begins changes from round to round.
    """
    measured, seconds = Measured(), 0.0 if row.once else pace.seconds

    def turn_of_ours(load: LoadProcess) -> None:
        before = cpu_seconds(workers)
        measured.ours.append(load.run(seconds))
        measured.server_seconds.append(cpu_seconds(workers) - before)

    with ExitStack() as stack:
        ours = stack.enter_context(LoadProcess(row.ours))
        plan = row.raw
        if row.threads_at_work is None:
            ours.run(min(seconds, WARM_UP_SECONDS))
        else:
            measured.threads = _most_at_work(row.threads_at_work, ours, seconds)
            plan = replace(row.raw, threads=measured.threads)
        plans = [plan] if row.other is None else [plan, row.other]
        raw, *more = [stack.enter_context(LoadProcess(each)) for each in plans]
        for load in (raw, *more):
            load.run(min(seconds, WARM_UP_SECONDS))
        for number in range(pace.rounds):
            if number % 2:
                turn_of_ours(ours)
            measured.raw.append(raw.run(seconds))
            measured.other += [load.run(seconds) for load in more]
            if not number % 2:
                turn_of_ours(ours)
    return measured


def _most_at_work(threads_at_work: Callable[[], int], ours: LoadProcess, seconds: float) -> int:
    """Return the most threads that the service shows while it is under load."""
    if seconds < SHORTEST_SECONDS:
        ours.run(seconds)
        return threads_at_work()
    ours.begin(ADAPTING_SECONDS)
    time.sleep(ADAPTING_SECONDS - SHOWN_SECONDS)
    begun, seen = time.monotonic(), []
    while time.monotonic() - begun < SHOWN_SECONDS:
        seen.append(threads_at_work())
        time.sleep(SHOWN_SECONDS / 8)
    ours.finish(ADAPTING_SECONDS)
    return max(seen)


def ratio(row: Comparison, measured: Measured) -> Figure:
    """Return a row's figure."""
    return figure(row.name, measured.ratios, bar=row.bar, absolutes=absolutes(row, measured))


def absolutes(row: Comparison, measured: Measured) -> dict[str, Any]:
    """Return what is good to know beside a ratio."""
    ours = together(measured.ours)
    return {
        "per second": rate(measured.ours),
        **({"threads": measured.threads} if measured.threads else {}),
        row.raw_name: rate(measured.raw),
        **_beside_other(row, measured),
        "p50 ms": round(ours.milliseconds(0.5), 3),
        "p99 ms": round(ours.milliseconds(0.99), 3),
        "server us": round(statistics.median(measured.server_us), 1),
        **({} if isinstance(row.raw, HttpPlan) else {f"{row.raw_name} us": _cpu(measured.raw)}),
        "client us": _cpu(measured.ours),
    }


def _beside_other(row: Comparison, measured: Measured) -> dict[str, Any]:
    if row.other is None:
        return {}
    ratios = [one.rate / two.rate for one, two in zip(measured.ours, measured.other, strict=True)]
    return {
        row.other_name: rate(measured.other),
        f"of {row.other_name}": round(statistics.median(ratios), 3),
    }


def _cpu(turns: Iterable[Turn]) -> float:
    return round(together(turns).cpu_us, 1)


def rate(turns: Iterable[Turn]) -> float:
    """Return the median rate of some turns."""
    return round(statistics.median(turn.rate for turn in turns), 1)


def together(turns: Iterable[Turn]) -> Turn:
    """Return some turns as one."""
    turns = list(turns)
    return Turn(
        sum(turn.seconds for turn in turns),
        sum(turn.cpu_seconds for turn in turns),
        array("d", chain.from_iterable(turn.latencies for turn in turns)),
        {},
        sum(turn.body_bytes for turn in turns),
    )
