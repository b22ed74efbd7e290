"""What a second process is worth: the same requests through services of different shapes.

    python -m benchmarks.processes [--shapes 1x8 2x8] [--connections 16] [--seconds 3] [--rounds 5]
                                   [--share 0.4]

A shape is processes x threads. All shapes serve one catalog and one mongod, and are measured turn
and turn about, by one client in a process of its own. What is given as a ratio is to the first
shape of the same round. Client and mongod live on the same cores: `client`, `mongod` and `server`
say what each took of them, in cores; where their sum is all cores, more processes find none left.
With `--share` each server process has so much of a core, as if it were a slower one, and client and
mongod have the rest: what processes are worth where there are cores for all.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from benchmarks.consumption import server_workers
from benchmarks.core_shares import SharesUnavailable, limited
from benchmarks.http_client import HttpPlan, request
from benchmarks.load_process import LoadProcess, Turn
from benchmarks.local_processes import SERVE, free_port, start_mongod, start_server, stop_process

DOCUMENT = "/api/v1/collections/main/documents/d"
ROUTES = {
    "organization": "/api/v1/organization",
    "read by id": DOCUMENT,
    "list 100": "/api/v1/collections/main/documents?limit=100",
    "list 1000": "/api/v1/collections/main/documents?limit=1000",
}
STORED, AT_ONCE = 1_000, 20
TOKEN_MINUTES = "600"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Wanted:
    """What is measured, by what, and for how long. `share`: of a core, 0 for no limit."""

    shapes: Sequence[str] = ("1x8", "2x8")
    routes: Sequence[str] = tuple(ROUTES)
    connections: int = 16
    seconds: float = 3.0
    rounds: int = 5
    share: float = 0.0


@dataclass(frozen=True)
class Shape:
    """A running service of so many processes with so many threads each."""

    name: str
    port: int
    pid: int
    loads: dict[str, LoadProcess]


def cpu_seconds(pid: int) -> float:
    """Return what a process and all that it started have taken so far, of those that live."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / TICKS
    return own + sum(cpu_seconds(int(child)) for child in children)


def measure(shape: Shape, route: str, seconds: float, mongod: int) -> dict[str, Any]:
    """Return rate and latencies of one turn, and the cores that each part took."""
    before = cpu_seconds(shape.pid), cpu_seconds(mongod), time.perf_counter()
    turn: Turn = shape.loads[route].run(seconds)
    took = time.perf_counter() - before[2]
    return {
        "rate": turn.rate,
        "p50": turn.milliseconds(0.5),
        "p99": turn.milliseconds(0.99),
        "server": (cpu_seconds(shape.pid) - before[0]) / took,
        "mongod": (cpu_seconds(mongod) - before[1]) / took,
        "client": turn.cpu_seconds / took,
    }


@contextmanager
def stage(wanted: Wanted) -> Iterator[tuple[list[Shape], int]]:
    """Start a mongod and a service of each shape; end them."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-bench-")))
        mongod = start_mongod(home / "mongod")
        stack.callback(mongod.stop, Event())
        settings = {
            "TENANTRY_HOME": str(home / "home"),
            "MONGODB_URI": mongod.uri,
            "RATE_LIMITS": "off",
            "ACCESS_TOKEN_MINUTES": TOKEN_MINUTES,
        }
        running = []
        for name in wanted.shapes:
            processes, threads = name.split("x")
            port = free_port()
            own = {"TENANTRY_PROCESSES": processes, "TENANTRY_THREADS": threads, "PORT": str(port)}
            server = start_server(SERVE, {**settings, **own}, home / f"{name}.log")
            stack.callback(stop_process, server)
            running.append((name, port, server.pid))
            if wanted.share:
                stack.enter_context(limited(server_workers(server.pid), wanted.share))
        token = sign_up(running[0][1])
        fill(running[0][1], token)
        yield (
            [Shape(*each, _loads(stack, each[1], token, wanted.connections)) for each in running],
            int((home / "mongod" / "data" / "mongod.lock").read_text()),
        )


def sign_up(port: int) -> str:
    """Return the token of a new organization."""
    body = {
        "organization_name": "Bench",
        "email": "b@example.com",
        "password": "correct horse 9 battery",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/v1/auth/signup", json.dumps(body), headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return str(answer["access_token"])


def fill(port: int, token: str) -> None:
    """Store what is read, one document of it by a known id."""
    body = json.dumps({"name": "Name", "n": 1, "tags": ["a", "b"]}).encode()
    puts = [request("PUT", DOCUMENT, token=token, body=body)]
    posts = [request("POST", DOCUMENT.rpartition("/")[0], token=token, body=body)]
    with LoadProcess(HttpPlan(port, puts + posts * (STORED - 1), connections=AT_ONCE)) as load:
        for _ in range(STORED // AT_ONCE):
            load.run(0.0)


def _loads(stack: ExitStack, port: int, token: str, connections: int) -> dict[str, LoadProcess]:
    return {
        route: stack.enter_context(
            LoadProcess(HttpPlan(port, [request("GET", path, token=token)], connections))
        )
        for route, path in ROUTES.items()
    }


def run(wanted: Wanted) -> list[dict[str, Any]]:
    """Measure each route with each shape, round and round, and return medians."""
    rows = []
    with stage(wanted) as (shapes, mongod):
        for route in wanted.routes:
            for shape in shapes:
                measure(shape, route, min(1.0, wanted.seconds), mongod)  # warm
            rounds = [
                [measure(shape, route, wanted.seconds, mongod) for shape in shapes]
                for _ in range(wanted.rounds)
            ]
            rows += [_row(route, shape.name, rounds, at) for at, shape in enumerate(shapes)]
    return rows


def _row(route: str, shape: str, rounds: list[list[dict[str, Any]]], at: int) -> dict[str, Any]:
    ratios = [each[at]["rate"] / each[0]["rate"] for each in rounds]
    figures = {
        name: round(statistics.median(each[at][name] for each in rounds), 2)
        for name in rounds[0][at]
    }
    spread = [round(min(ratios), 2), round(max(ratios), 2)]
    ratio = round(statistics.median(ratios), 3)
    return {"route": route, "shape": shape, "ratio": ratio, "spread": spread, **figures}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    usual = Wanted()
    parser.add_argument("--shapes", nargs="+", default=usual.shapes, help="processes x threads")
    parser.add_argument("--routes", nargs="+", default=usual.routes, choices=list(ROUTES))
    parser.add_argument("--connections", type=int, default=usual.connections)
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--share", type=float, default=0.0, help="of a core, for each process")
    parser.add_argument("--json", action="store_true")
    options = vars(parser.parse_args())
    as_json = options.pop("json")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end what was started
    try:
        rows = run(Wanted(**options))
    except SharesUnavailable as error:
        raise SystemExit(f"--share: {error}") from None
    if as_json:
        print(json.dumps(rows))
        return
    columns = ("rate", "p50", "p99", "server", "mongod", "client")
    print(f"{'':16}{'shape':8}{'ratio':>7}{'spread':>15}" + "".join(f"{c:>9}" for c in columns))
    for row in rows:
        low, high = row["spread"]
        values = "".join(f"{row[column]:>9}" for column in columns)
        head = f"{row['route']:16}{row['shape']:8}{row['ratio']:>7}"
        print(f"{head}{f'{low} .. {high}':>15}{values}")
    print("rate: requests/s; p50, p99: ms; server, mongod, client: cores")


if __name__ == "__main__":
    sys.exit(main())
