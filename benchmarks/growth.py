"""What it costs to create, read and check 10 to 20,000 tenants in each kind.

    python -m benchmarks.growth [--kind shared] [--max 20000] [--minutes 20] [--resume]

Every kind has a mongod, a catalog and a process of its own, and grows from size to size. Results
are kept as they come, in `docs/measurements/growth.json`: an interrupted run loses the size that it
was at, and `--resume` measures only what is not there yet; without it a kind's earlier figures go
when the first new one comes. Where the product refuses more (`cluster_full`: the limit of open
files, or the ceiling of collections is near), the kind is measured and goes on with one more
mongod, up to four of them. It ends early when these are full, too, or its minutes are over.
Ratios between the sizes of one kind matter; `load` says how busy the machine was.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.local_processes import PROJECT, own_environment, stop_process
from tenancy.mongo.embedded import find_mongod

RESULTS = PROJECT / "docs" / "measurements" / "growth.json"
SIZES = (10, 100, 1_000, 5_000, 10_000, 20_000)
SERVERS = (1, 2, 4, 8)
KINDS = ("shared", "collection", "database", "cluster")
Result = dict[str, Any]


def describe_machine() -> Result:
    """Return what the figures depend on. No names, no paths."""
    mongod = subprocess.run([str(find_mongod()), "--version"], capture_output=True, check=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 1024**3),
        "open_files_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "system": f"{platform.system()} {platform.machine()}",
        "mongod": mongod.stdout.decode().split()[2].lstrip("v"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("django", "pymongo")},
    }


class Results:
    """The figures of all kinds and sizes, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        found = json.loads(path.read_text()) if path.exists() else {}
        self.figures: list[Result] = found.get("figures", [])
        self.ends: dict[str, str] = found.get("ends", {})
        self._machine: Result = {}

    def sizes_of(self, kind: str) -> list[int]:
        """Return the sizes that are there."""
        return [each["tenants"] for each in self.figures if each["kind"] == kind]

    def forget(self, kind: str) -> None:
        """Drop what is known of a kind; the file keeps it until there is something new."""
        self.figures = [each for each in self.figures if each["kind"] != kind]
        self.ends.pop(kind, None)

    def put(self, figure: Result) -> None:
        """Take a figure in the place of an earlier one of its kind and size, and save."""
        key = (figure["kind"], figure["tenants"])
        others = [each for each in self.figures if (each["kind"], each["tenants"]) != key]
        order = {kind: number for number, kind in enumerate(KINDS)}
        self.figures = sorted(
            [*others, figure], key=lambda each: (order[each["kind"]], each["tenants"])
        )
        self.save()

    def end(self, kind: str, why: str | None) -> None:
        """Note why a kind has no larger sizes, or that it has them."""
        self.ends.pop(kind, None)
        if why:
            self.ends[kind] = why
        self.save()

    def save(self) -> None:
        """Write the file: all of it or nothing."""
        self._machine = self._machine or describe_machine()
        data = {"machine": self._machine, "ends": self.ends, "figures": self.figures}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(data, indent=1) + "\n")
        draft.replace(self._path)


def stage(kind: str, sizes: Sequence[int], skip: Sequence[int], seconds: float) -> Iterator[Result]:
    """Run one kind in a process and a folder of its own; yield what it says."""
    with tempfile.TemporaryDirectory(prefix="tenantry-growth-") as folder:
        command = [sys.executable, "-m", "benchmarks.growth_stage", kind, folder]
        command += [*map(str, sizes), "--seconds", str(seconds)]
        command += ["--skip", *map(str, skip)] if skip else []
        with subprocess.Popen(
            command, cwd=PROJECT, env=own_environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield from map(json.loads, process.stdout or ())
            finally:
                if sys.exc_info()[0] is not None:
                    stop_process(process)  # type: ignore[arg-type]
        if process.returncode:
            raise SystemExit(f"Measuring {kind} failed; what was measured before it is kept.")


def run(kind: str, options: argparse.Namespace, results: Results, console: Console) -> None:
    """Measure one kind, with a bar, and keep what comes."""
    sizes = SERVERS if kind == "cluster" else [each for each in SIZES if each <= options.max]
    if not options.resume:
        results.forget(kind)
    skip = results.sizes_of(kind)
    if set(sizes) <= set(skip):
        return
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn())
    why = None
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task(kind, total=max(sizes))
        for said in stage(kind, sizes, skip, 60 * options.minutes):
            if "found" in said:
                results.put(said["found"])
                progress.console.print(summary(said["found"]), soft_wrap=True)
            elif "stopped" in said:
                why = said["stopped"]
                progress.console.print(f"{kind}: {why}")
            else:
                progress.update(bar, completed=said["done"], description=f"{kind}: {said['doing']}")
    results.end(kind, why)


def summary(found: Result) -> str:
    """Return a line about one kind and size."""
    return (
        f"{found['kind']:<10} {found['tenants']:>6,}: create {found['create_p50_ms']:.1f} ms, read "
        f"{found['warm_p50_ms']:.2f} (cold {found['cold_p50_ms']:.2f}) ms, doctor "
        f"{found['doctor_s']} s, mongod {found['mongod_mib']:,} MiB, "
        f"{found['mongod_open_files']:,} files"
    )


def main() -> None:
    """Measure, and keep the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this one; repeatable")
    parser.add_argument("--max", type=int, default=max(SIZES), help="the largest size")
    parser.add_argument("--minutes", type=float, default=20.0, help="of populating, for each kind")
    parser.add_argument("--resume", action="store_true", help="leave out what is there already")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    results, console = Results(options.output), Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end what was started
    for kind in options.kind or KINDS:
        try:
            run(kind, options, results, console)
        except KeyboardInterrupt:
            console.print(f"Interrupted; what was measured is in {options.output.name}.")
            raise SystemExit(130) from None


if __name__ == "__main__":
    main()
