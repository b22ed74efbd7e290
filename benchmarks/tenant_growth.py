"""What many tenants cost: a document read among many beside one among ten, over HTTP.

    python -m benchmarks.tenant_growth [--kind shared --tenants 5000] [--json]

Two deployments, each with its own mongod, catalog and server process: one has ten organizations,
the other many. They are measured turn and turn about in one run. `same ten` asks for documents of
ten of the many; `all` goes through all of them, so that no cache holds what is asked for.
"""

import argparse
import http.client
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.local_processes import (
    PROJECT,
    free_port,
    start_mongod,
    start_server,
    stop_process,
)

SERVE = (sys.executable, "manage.py", "serve")
FEW = 10
PATH = "/api/v1/collections/main/documents/d"
TOKEN_MINUTES = "600"


@dataclass(frozen=True)
class Deployment:
    """A running service with organizations in it."""

    port: int
    uri: str
    tokens: list[str]
    create_ms: list[float]

    def read(self, tokens: list[str], seconds: float) -> list[float]:
        """Return the milliseconds that each read took, one after another, round and round."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        took, deadline = list[float](), time.monotonic() + seconds
        for token in itertools.cycle(tokens):
            began = time.perf_counter()
            connection.request("GET", PATH, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"A read was answered {answer.status}.")
            took.append(1000 * (time.perf_counter() - began))
            if time.monotonic() > deadline:
                break
        connection.close()
        return took

    def memory_mib(self) -> dict[str, float]:
        """Return what mongod holds in memory and on disk, and how many files it has open."""
        with MongoClient[dict[str, Any]](self.uri) as client:
            status = client.admin.command("serverStatus")
            pid = status["pid"]
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return {"resident": status["mem"]["resident"], "files": files}


@contextmanager
def deployment(folder: Path, kind: str, tenants: int) -> Iterator[Deployment]:
    """Start a mongod, populate it, serve it; end all of it."""
    folder.mkdir()
    with ExitStack() as stack:
        mongod = start_mongod(folder / "mongod")
        stack.callback(mongod.stop, threading.Event())
        settings = {
            "TENANTRY_HOME": str(folder / "home"),
            "MONGODB_URI": mongod.uri,
            "TENANCY_DATABASE": "growth",
            "RATE_LIMITS": "off",
            "ACCESS_TOKEN_MINUTES": TOKEN_MINUTES,
        }
        found = folder / "population.json"
        for command in (
            ["manage.py", "migrate", "-v0"],
            ["-m", "benchmarks.tenant_population", kind, str(tenants), str(found)],
        ):
            _run(command, settings)
        settings["PORT"] = str(free_port())
        process = start_server(SERVE, settings, folder / "serve.log")
        stack.callback(stop_process, process)
        population = json.loads(found.read_text())
        yield Deployment(int(settings["PORT"]), mongod.uri, **population)


def _run(command: list[str], settings: dict[str, str]) -> None:
    import os

    environment = {**os.environ, **settings, "DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run([sys.executable, *command], cwd=PROJECT, env=environment, check=True)


def measure(kind: str, tenants: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return p50 and p95 of reads among few and among many, and what the many cost."""
    with tempfile.TemporaryDirectory(prefix="tenantry-growth-") as folder, ExitStack() as stack:
        few = stack.enter_context(deployment(Path(folder) / "few", kind, FEW))
        many = stack.enter_context(deployment(Path(folder) / "many", kind, tenants))
        step = max(tenants // FEW, 1)
        readers = {
            "ten": lambda: few.read(few.tokens, options.seconds),
            "same ten": lambda: many.read(many.tokens[::step][:FEW], options.seconds),
            "all": lambda: many.read(many.tokens, options.seconds),
        }
        took: dict[str, list[list[float]]] = {name: [] for name in readers}
        for _ in range(options.rounds):
            for name, read in readers.items():
                took[name].append(read())
        return _figures(kind, tenants, took) | {
            "create_ms_first": many.create_ms[0],
            "create_ms_last": many.create_ms[-1],
            "mongod": many.memory_mib(),
        }


def _figures(kind: str, tenants: int, took: dict[str, list[list[float]]]) -> dict[str, Any]:
    halves = {name: [statistics.median(part) for part in parts] for name, parts in took.items()}
    figures: dict[str, Any] = {"kind": kind, "tenants": tenants}
    for name, parts in took.items():
        every = sorted(itertools.chain.from_iterable(parts))
        ratios = [mine / base for mine, base in zip(halves[name], halves["ten"], strict=True)]
        figures[name] = {
            "p50_ms": round(statistics.median(every), 3),
            "p95_ms": round(every[int(len(every) * 0.95)], 3),
            "ratio": round(statistics.median(ratios), 3),
            "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        }
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", default="", help="only this kind")
    parser.add_argument("--tenants", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wanted = {"shared": 5_000, "collection": 2_000}
    if options.kind:
        wanted = {options.kind: options.tenants or wanted.get(options.kind, 1_000)}
    figures = [measure(kind, tenants, options) for kind, tenants in wanted.items()]
    if options.json:
        print(json.dumps(figures))
        return
    for each in figures:
        show(each)


def show(figures: dict[str, Any]) -> None:
    """Print a kind's figures."""
    print(f"{figures['kind']}: {figures['tenants']:,} tenants beside {FEW}")
    for name in ("ten", "same ten", "all"):
        row = figures[name]
        low, high = row["spread"]
        print(
            f"  {name:<10} p50 {row['p50_ms']:7.3f} ms  p95 {row['p95_ms']:7.3f} ms  "
            f"ratio {row['ratio']:.2f} ({low:.2f} .. {high:.2f})"
        )
    print(
        f"  create {figures['create_ms_first']} ms each at first, {figures['create_ms_last']} ms "
        f"at last; mongod {figures['mongod']['resident']} MiB, {figures['mongod']['files']} files"
    )


if __name__ == "__main__":
    main()
