"""Rows of the benchmark: a document read among many tenants beside one among ten, over HTTP.

    from benchmarks.tenant_growth_rows import rows
    for figure in rows({"rounds": 5}):
        print(figure["row"], figure["ratio"], figure["spread"], figure["bar"])

or `python -m benchmarks.tenant_growth_rows [--json]`. `rows` starts and ends everything it needs:
for each kind a deployment that grows to the sizes asked for, and beside them one that stays at ten
of each kind, read turn and turn about. It takes a minute; what could not be populated in
`populate_seconds` is measured at the size that was reached, and the row's name says so.

Every pair is like with like. `read` asks for documents of ten tenants that are in use, as their
caches then are. `first read` goes through hundreds of tenants with caches that keep nothing, beside
ten with caches that keep nothing: what a tenant costs that has not been heard of for a while.
"""

import argparse
import http.client
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.local_processes import (
    PROJECT,
    SERVE,
    free_port,
    own_environment,
    start_mongod,
    start_server,
    stop_process,
)

PATH = "/api/v1/collections/main/documents/d"
FEW = 10
SAMPLE = 300
SIZES = (1_000, 5_000)
# p50 among many tenants, as a multiple of p50 among ten.
BARS = {"shared": 1.2, "collection": 1.5}
DEFAULTS = {"seconds": 0.4, "rounds": 5, "populate_seconds": 40.0}
# A process that keeps nothing: every read asks the catalog for all it needs.
FORGETFUL = {"TENANCY_CATALOG_TTL": "0.001", "ACCOUNTS_ROW_TTL": "0.001"}
# Files of a collection are made four times as fast where nothing has to reach a disk.
MEMORY_FOLDER = Path("/dev/shm")
MEMORY_BYTES = 4 * 1024**3


@dataclass
class Deployment:
    """A mongod and two servers with one catalog; one of the servers keeps nothing in its caches."""

    settings: dict[str, str]
    keeping: int = 0
    forgetful: int = 0
    tenants: int = 0
    sample: dict[str, list[str]] = field(default_factory=dict)

    def grow(self, kind: str, tenants: int, seconds: float) -> None:
        """Populate up to so many tenants, for at most so many seconds."""
        command = [sys.executable, "-m", "benchmarks.tenant_population", kind]
        command += [str(self.tenants), str(tenants), "--tokens", str(SAMPLE)]
        command += ["--seconds", str(max(seconds, 0.0))]
        found = json.loads(_run(command, self.settings))
        self.tenants = found["tenants"]
        self.sample[kind] = [*self.sample.get(kind, []), *found["tokens"]]

    def reader(self, name: str, kind: str) -> "Reader":
        """Return who reads documents of ten tenants, or of all whose token is there."""
        tokens = self.sample[kind]
        if name == "read":
            return Reader(self.keeping, tokens[:: max(len(tokens) // FEW, 1)][:FEW])
        return Reader(self.forgetful, tokens)


class Reader:
    """Reads documents of tenants in turn, through one connection, and notes how long each took."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._tokens = itertools.cycle(tokens)
        self.milliseconds: list[float] = []

    def read(self, times: int) -> None:
        """Read so many documents."""
        for token in itertools.islice(self._tokens, times):
            began = time.perf_counter()
            self._connection.request("GET", PATH, headers={"Authorization": f"Bearer {token}"})
            answer = self._connection.getresponse()
            answer.read()
            self.milliseconds.append(1_000 * (time.perf_counter() - began))
            if answer.status != 200:
                raise RuntimeError(f"A read was answered {answer.status}.")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def take_p50(self) -> float:
        """Return the median of what was read since the last time."""
        p50, self.milliseconds = statistics.median(self.milliseconds), []
        return p50


def _run(command: list[str], settings: Mapping[str, str]) -> bytes:
    environment = {**own_environment(), **settings}
    return subprocess.run(
        command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE
    ).stdout


def _start(folder: Path, catalog: Path, stack: ExitStack) -> Deployment:
    """Start a mongod and two servers on a copy of an empty catalog; the stack ends them."""
    mongod = start_mongod(folder / "mongod")  # in the main thread: see EmbeddedServer.launch
    stack.callback(mongod.stop, threading.Event())
    settings = {
        "TENANTRY_HOME": str(folder / "home"),
        "MONGODB_URI": mongod.uri,
        "TENANCY_DATABASE": "growth",
        "RATE_LIMITS": "off",
        "ACCESS_TOKEN_MINUTES": "60",
    }
    shutil.copytree(catalog, folder / "home")
    deployment = Deployment(settings, free_port(), free_port())
    servers = {deployment.keeping: {}, deployment.forgetful: FORGETFUL}
    for port, own in servers.items():
        environment = {**settings, **own, "PORT": str(port)}
        stack.callback(
            stop_process, start_server(SERVE, environment, folder / f"server-{port}.log")
        )
    return deployment


def scratch_parent() -> Path | None:
    """Return where files are made quickest, or None: where temporary ones usually are."""
    try:
        roomy = shutil.disk_usage(MEMORY_FOLDER).free >= MEMORY_BYTES
    except OSError:
        return None
    return MEMORY_FOLDER if roomy else None


@contextmanager
def deployments(kinds: Sequence[str]) -> Iterator[tuple[Deployment, dict[str, Deployment]]]:
    """Start a deployment that stays small, and for each kind one that will grow."""
    with (
        tempfile.TemporaryDirectory(prefix="tenantry-growth-", dir=scratch_parent()) as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        _run([sys.executable, "manage.py", "migrate", "-v0"], {"TENANTRY_HOME": f"{folder}/empty"})
        started = []
        for role in ("few", *kinds):
            (folder / role).mkdir()
            started.append(_start(folder / role, folder / "empty", stack))
        yield started[0], dict(zip(kinds, started[1:], strict=True))


def rows(stage_options: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return figures: row, ratio, spread, bar, and p50_ms of [ten, many].

    `stage_options` may hold `seconds` of one round, `rounds`, `populate_seconds` for all of the
    populating, `kinds` and `sizes` (ascending). `ratio` is the median of the rounds' ratios of
    p50, many by ten; `spread` the least and the greatest of them; `bar` what the ratio should not
    exceed. Raises ProcessFailed or RuntimeError when something does not answer.
    """
    options = {**DEFAULTS, **(stage_options or {})}
    kinds, figures = tuple(options.get("kinds", BARS)), list[dict[str, Any]]()
    left = float(options["populate_seconds"])
    with deployments(kinds) as (few, many):
        for kind in kinds:
            few.grow(kind, few.tenants + FEW, float("inf"))
        for size in options.get("sizes", SIZES):
            began = time.monotonic()
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda kind: many[kind].grow(kind, size, left), kinds))  # noqa: B023
            left -= time.monotonic() - began
            for kind in kinds:
                figures += [
                    _compare(name, kind, (few, many[kind]), options)
                    for name in ("read", "first read")
                ]
    return figures


def _compare(
    name: str, kind: str, pair: tuple[Deployment, Deployment], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Read by turns from the few and the many, a few at a time: so noise comes to both."""
    readers = [each.reader(name, kind) for each in pair]
    turns = []
    for _ in range(options["rounds"]):
        deadline = time.monotonic() + options["seconds"]
        while time.monotonic() < deadline:
            for reader in readers:
                reader.read(FEW)
        turns.append([reader.take_p50() for reader in readers])
    for reader in readers:
        reader.close()
    ratios = [mine / base for base, mine in turns]
    return {
        "row": f"{name} among {pair[1].tenants:,} {kind} tenants / among {FEW}",
        "ratio": round(statistics.median(ratios), 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "bar": BARS.get(kind),
        "p50_ms": [round(statistics.median(side), 3) for side in zip(*turns, strict=True)],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", action="append", dest="kinds", choices=list(BARS))
    parser.add_argument("--size", action="append", dest="sizes", type=int)
    for name, value in DEFAULTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = rows({name: value for name, value in vars(options).items() if value})
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'':54}{'ratio':>7}{'spread':>16}{'bar':>6}{'p50, ms':>16}")
    for row in figures:
        spread = " .. ".join(f"{each:.2f}" for each in row["spread"])
        p50 = " -> ".join(f"{each:.2f}" for each in row["p50_ms"])
        print(f"{row['row']:54}{row['ratio']:>7.2f}{spread:>16}{row['bar']:>6}{p50:>16}")


if __name__ == "__main__":
    main()
