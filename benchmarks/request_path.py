"""What a request costs: documents over HTTP beside the same documents through PyMongo.

    python -m benchmarks.request_path [--seconds 3] [--rounds 3] [--threads 8] [--json]

Rows are measured turn and turn about in one run, with the same threads and the same documents, and
given as ratios: absolute rates say as much about the machine as about the code.
"""

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.local_processes import free_port, start_mongod, start_server, stop_process

SERVE = (sys.executable, "manage.py", "serve")
DOCUMENTS = 2_000
PASSWORD = "correct horse 9 battery"
DATABASE = "bench"
Task = Callable[[int], None]


@dataclass(frozen=True)
class Row:
    """One comparison: what is done over HTTP, and its counterpart through the driver."""

    name: str
    over_http: Callable[[], Task]
    raw: Callable[[], Task]


@dataclass(frozen=True)
class Stage:
    """A running service with documents, and how to reach it both ways."""

    port: int
    uri: str
    token: str
    namespace: str

    def request(self, method: str, path: Callable[[int], str], body: bytes | None = None) -> Task:
        """Return a task that sends one request over its own kept connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

        def send(number: int) -> None:
            connection.request(method, path(number), body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path(number)} was answered {answer.status}")

        return send


def rate(make_task: Callable[[], Task], threads: int, seconds: float) -> float:
    """Return calls per second of `threads` threads, each with a task of its own."""
    done = [0] * threads
    start = threading.Barrier(threads + 1)
    failures: list[BaseException] = []

    def loop(index: int) -> None:
        task = make_task()
        start.wait()
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                task(index + done[index] * threads)
                done[index] += 1
        except BaseException as error:  # noqa: BLE001 -- reported by the main thread
            failures.append(error)

    workers = [threading.Thread(target=loop, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.monotonic()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return sum(done) / (time.monotonic() - began)


def rows(stage: Stage, client: MongoClient[dict[str, Any]]) -> list[Row]:
    """Return what is compared."""
    collection = client[DATABASE][stage.namespace]
    scratch = client[DATABASE]["scratch"]
    documents = "/api/v1/collections/main/documents"
    body = json.dumps({"name": "new", "n": 1, "tags": ["a", "b"]}).encode()
    return [
        Row(
            "read a document",
            lambda: stage.request("GET", lambda n: f"{documents}/d{n % DOCUMENTS}"),
            lambda: lambda n: void(collection.find_one({"_id": f"d{n % DOCUMENTS}"})),
        ),
        Row(
            "list 100 documents",
            lambda: stage.request("GET", lambda _: f"{documents}?limit=100"),
            lambda: lambda _: void(list(collection.find().sort("_id").limit(100))),
        ),
        Row(
            "create a document",
            lambda: stage.request("POST", lambda _: documents, body),
            lambda: lambda _: void(scratch.insert_one(json.loads(body))),
        ),
        Row(
            "read the organization",
            lambda: stage.request("GET", lambda _: "/api/v1/organization"),
            lambda: stage.request("GET", lambda _: "/livez"),
        ),
    ]


def void(_: object) -> None:
    """Drop a result."""


def sign_up(port: int) -> tuple[str, str]:
    """Return a token and the namespace of a new organization."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = {"organization_name": "Bench", "email": "b@example.com", "password": PASSWORD}
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/v1/auth/signup", json.dumps(body), headers)
    token = json.loads(connection.getresponse().read())["access_token"]
    connection.close()
    return token, "org_bench"


def measure(stage: Stage, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure every row, HTTP and raw by turns, and return figures with their spread."""
    figures = []
    with MongoClient[dict[str, Any]](stage.uri, w="majority") as client:
        now = {"rev": 1}
        client[DATABASE][stage.namespace].insert_many(
            {"_id": f"d{n}", "name": f"Name {n}", "n": n, "tags": ["a", "b"], "_meta": now}
            for n in range(DOCUMENTS)
        )
        for row in rows(stage, client):
            pairs = [
                (
                    rate(row.over_http, options.threads, options.seconds),
                    rate(row.raw, options.threads, options.seconds),
                )
                for _ in range(options.rounds)
            ]
            ratios = [over_http / raw for over_http, raw in pairs]
            figures.append(
                {
                    "row": row.name,
                    "ratio": round(statistics.median(ratios), 3),
                    "spread": [round(min(ratios), 3), round(max(ratios), 3)],
                    "http_per_second": round(statistics.median(each[0] for each in pairs)),
                    "raw_per_second": round(statistics.median(each[1] for each in pairs)),
                }
            )
    return figures


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Start a service of its own, measure, end it."""
    with tempfile.TemporaryDirectory(prefix="tenantry-bench-") as folder:
        home = Path(folder)
        mongod = start_mongod(home / "mongod")
        processes = []
        try:
            port = free_port()
            settings = {
                "PORT": str(port),
                "TENANTRY_HOME": str(home / "home"),
                "MONGODB_URI": mongod.uri,
                "TENANCY_DATABASE": DATABASE,
                "RATE_LIMITS": "off",
            }
            processes.append(start_server(SERVE, settings, home / "serve.log"))
            return measure(Stage(port, mongod.uri, *sign_up(port)), options)
        finally:
            for process in processes:
                stop_process(process)
            mongod.stop(threading.Event())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'':24}{'ratio':>8}{'spread':>18}{'HTTP/s':>10}{'raw/s':>10}")
    for row in figures:
        low, high = row["spread"]
        print(
            f"{row['row']:24}{row['ratio']:>8}{f'{low} .. {high}':>18}"
            f"{row['http_per_second']:>10}{row['raw_per_second']:>10}"
        )
    print("raw: PyMongo with the same threads; for the organization, a bare answer (/livez)")


if __name__ == "__main__":
    main()
