"""What requests, data and people cost, beside the same work without the service.

    python -m benchmarks.bench [--only NAME ...] [--rounds 6] [--seconds 1] [--full] [--json]

Starts servers of its own and ends them. Each row is measured by turns with its counterpart, in one
run, on one machine, as a ratio; absolute figures are for orientation. What was found goes to
var/bench.json, too. The exit status is 1 if a bar was missed or a row could not be measured.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from benchmarks import (
    data_rows,
    identity_rows,
    process_rows,
    request_rows,
    storm_rows,
    tenant_growth_rows,
)
from benchmarks.comparison import Pace
from benchmarks.consumption import memory_mb
from benchmarks.figures import Bar, Figure, heading, missed
from benchmarks.local_processes import PROJECT
from benchmarks.machine import Load, describe, look
from benchmarks.request_profile import Profile, measure_profile, table
from benchmarks.stage import Stage, running_stage

OUTPUT = PROJECT / "var" / "bench.json"
Rows = Callable[[Stage, Pace], Iterator[Figure]]
# In the order in which they are measured: what leaves traces in a server comes late.
ROWS: dict[str, Rows] = {
    "read": request_rows.read,
    "lists": request_rows.lists,
    "create": request_rows.create,
    "replace": request_rows.replace,
    "organization": request_rows.organization,
    "bulk": data_rows.bulk,
    "page": data_rows.page,
    "export": data_rows.export,
    "login": identity_rows.login,
    "storm": storm_rows.storm,
    "timing": storm_rows.timing,
    "signup": identity_rows.signup,
}


# Rows with deployments of their own.
ALONE = ("tenants", "processes", "profile")


class Bench:
    """A run: measures rows, says each as soon as it is there, keeps what goes into the file."""

    def __init__(self, options: argparse.Namespace, say: Callable[[str], None]) -> None:
        self._options, self._say = options, say
        self._pace = Pace(options.rounds, options.seconds, options.full)
        self.figures: list[Figure] = []
        self.failures: dict[str, str] = {}
        self.machine: dict[str, Any] = {}
        self.profile: Profile = {}

    def run(self) -> None:
        """Measure what was asked for."""
        wanted = set(self._options.only or (*ROWS, *ALONE))
        try:
            if names := [name for name in ROWS if name in wanted]:
                self._measure_stage(names)
            if "tenants" in wanted:
                self._attempt("tenants", self._measure_tenants)
            if "processes" in wanted:
                self._attempt(
                    "processes", partial(process_rows.second_process, self._pace, self._say)
                )
            if "profile" in wanted:
                self._attempt("profile", self._measure_profile)
        except KeyboardInterrupt:
            self.failures["interrupted"] = "not everything was measured"

    def _measure_stage(self, wanted: list[str]) -> None:
        with running_stage() as stage:
            self.machine |= describe(stage.uri)
            self._note([_memory(stage, "at rest")])
            for name in wanted:
                self._attempt(name, partial(ROWS[name], stage, self._pace))
            self._note([_memory(stage, "after the run")])

    def _measure_tenants(self) -> Iterator[Figure]:
        for each in tenant_growth_rows.rows({"rounds": self._options.rounds}):
            few, many = each["p50_ms"]
            yield Figure(
                each["row"], each["ratio"], tuple(each["spread"]), Bar(at_most=each["bar"]),
                absolutes={"p50 ms among ten": few, "among many": many},
            )  # fmt: skip

    def _measure_profile(self) -> Iterator[Figure]:
        plain = {
            each.row: each.absolutes["server us"]
            for each in self.figures if "server us" in each.absolutes
        }  # fmt: skip
        self.profile = measure_profile(self._pace)
        self._say(table(self.profile, plain))
        yield from ()

    def _attempt(self, name: str, rows: Callable[[], Iterable[Figure]]) -> None:
        """Measure some rows; where that fails, say so and go on with the others."""
        try:
            self._note(rows())
        except Exception as error:  # noqa: BLE001 -- told, and the run fails
            self.failures[name] = f"{type(error).__name__}: {error}"
            self._say(f"{name}: NOT MEASURED: {self.failures[name]}")

    def _note(self, figures: Iterable[Figure]) -> None:
        for each in figures:
            self.figures.append(each)
            self._say(str(each))


def _memory(stage: Stage, when: str) -> Figure:
    workers = stage.workers
    return Figure(
        f"memory of a server process, {when}", round(memory_mb(workers) / len(workers), 1),
        unit="MB",
    )  # fmt: skip


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench",
        description=(__doc__ or "").splitlines()[0],
        epilog="The exit status is 1 if a bar was missed or a row could not be measured.",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[*ROWS, *ALONE],
        metavar="NAME",
        help=f"of {', '.join((*ROWS, *ALONE))}",
    )
    parser.add_argument("--rounds", type=int, default=6, help="turns of each side of a row")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each turn")
    parser.add_argument("--full", action="store_true", help="export 1,000,000 documents")
    parser.add_argument("--json", action="store_true", help="print what goes into the file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, keep. Return the exit status."""
    options = read_options(arguments)
    say = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end what was started
    began, load, warning = time.monotonic(), Load(), look()
    say("\n".join(filter(None, [warning, heading()])))
    bench = Bench(options, say)
    bench.run()
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
        "machine": bench.machine | {"busy": warning, "stolen": round(load.stolen(), 3)},
        "profile": bench.profile,
        "figures": [each.represent() for each in bench.figures],
        "missed": missed(bench.figures),
        "failures": bench.failures,
    }
    keep(found)
    say(f"{found['seconds']:.0f} s; {len(found['missed'])} bars missed; see {OUTPUT.name}")
    if options.json:
        print(json.dumps(found))
    return 1 if found["missed"] or found["failures"] else 0


def keep(found: dict[str, Any]) -> None:
    """Write what was found to var/bench.json."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
