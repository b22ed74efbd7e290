"""Many connections open at once, all of them used: what is answered, how fast, what is sent away.

    python -m benchmarks.connections [--connections 50 200 500] [--seconds 4] [--processes 2]

Every connection sends, waits for the whole answer, sends the next: far more than the service can
do. Each answer is the document, or 503 `overloaded` from a full line; after one of those the
connection does as its Retry-After says. Anything else, and any connection that is dropped, fails
the run.
"""

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

from benchmarks.http_client import HttpPlan, request
from benchmarks.load_process import LoadProcess, Turn
from benchmarks.local_processes import SERVE, free_port, start_mongod, start_server, stop_process
from benchmarks.processes import DOCUMENT, fill, sign_up

ROUTES = {"read by id": DOCUMENT, "organization": "/api/v1/organization"}
DONE, OVERLOADED = 200, 503


def measure(port: int, token: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row of figures for each route and number of connections."""
    rows = []
    for route, path in ROUTES.items():
        for connections in options.connections:
            plan = HttpPlan(
                port, [request("GET", path, token=token)], connections,
                accepted=frozenset({DONE, OVERLOADED}),
            )  # fmt: skip
            with LoadProcess(plan) as load:
                turn = load.run(options.seconds)
            rows.append({"route": route, "connections": connections, **figures(turn)})
    return rows


def figures(turn: Turn) -> dict[str, float]:
    """Return what a turn says: of all answers, 503 as well."""
    sent_away = turn.statuses.get(OVERLOADED, 0)
    return {
        "answered": turn.count,
        "rate": round((turn.count - sent_away) / turn.seconds),
        "p50_ms": round(turn.milliseconds(0.5), 1),
        "p99_ms": round(turn.milliseconds(0.99), 1),
        "longest_ms": round(turn.milliseconds(1.0), 1),
        "share_of_503": round(sent_away / turn.count, 3),
    }


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Start a service of its own, measure, end it."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-bench-")))
        mongod = start_mongod(home / "mongod")
        stack.callback(mongod.stop, Event())
        port = free_port()
        settings = {
            "PORT": str(port),
            "TENANTRY_HOME": str(home / "home"),
            "TENANTRY_PROCESSES": str(options.processes),
            "MONGODB_URI": mongod.uri,
            "RATE_LIMITS": "off",
        }
        stack.callback(stop_process, start_server(SERVE, settings, home / "serve.log"))
        token = sign_up(port)
        fill(port, token)
        return measure(port, token, options)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, nargs="+", default=[50, 200, 500])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each measurement")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = run(options)
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    print("rate: requests per second; times in ms, of all answers; nothing was dropped")


if __name__ == "__main__":
    sys.exit(main())
