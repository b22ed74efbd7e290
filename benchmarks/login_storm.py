"""What a storm of sign-ins costs others, and what the time of an answer tells.

    python -m benchmarks.login_storm [--seconds 2] [--rounds 3] [--tries 200] [--json]

Readers are measured alone and beside sign-ins, turn and turn about, on one server of its own. Then
answers for known and unknown addresses are timed, turn and turn about: the means should not differ.
"""

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.local_processes import free_port, start_mongod, start_server, stop_process

SERVE = (sys.executable, "manage.py", "serve")
PASSWORD = "correct horse 9 battery"
KNOWN, UNKNOWN = "known@example.com", "nobody@example.com"
DOCUMENT = "/api/v1/collections/main/documents/d1"
LOG_IN, FORGOT = "/api/v1/auth/login", "/api/v1/auth/password/forgot"
READERS = 4
STORMS = (2, 16)  # loops of sign-ins
WRONG = "wrong horse 9 battery"
# How many times the tries: a short answer is disturbed more by whatever else runs.
TIMED = {LOG_IN: 1, FORGOT: 3}
PAUSE_SECONDS = 0.005  # so that what is done after an answer does not disturb the next one


class Client:
    """One kept connection to the server."""

    def __init__(self, port: int, token: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request; return the status and the body of the answer."""
        raw = None if body is None else json.dumps(body)
        self._connection.request(method, path, raw, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


@dataclass(frozen=True)
class Stage:
    """A running server with one organization, one user and one document."""

    port: int
    token: str


def reader(client: Client) -> Callable[[], int]:
    """Return a call that reads the document."""
    return lambda: client.send("GET", DOCUMENT)[0]


def guesser(client: Client) -> Callable[[], int]:
    """Return a call that tries to sign in with a wrong password."""
    body = {"email": KNOWN, "password": WRONG}

    def guess() -> int:
        status, _ = client.send("POST", LOG_IN, body)
        if status == 429:
            time.sleep(1.0)  # as its Retry-After says
        return status

    return guess


@dataclass(frozen=True)
class Load:
    """How many answers of each status came each second, to readers and to those who sign in."""

    reads: float
    logins: float
    refused: float


@contextmanager
def running_stage(folder: Path) -> Iterator[Stage]:
    """Start a server without limits on sign-ins, and end it."""
    mongod = start_mongod(folder / "mongod")
    processes = []
    try:
        port = free_port()
        settings = {
            "PORT": str(port), "TENANTRY_HOME": str(folder / "home"), "MONGODB_URI": mongod.uri,
            "TENANCY_DATABASE": "bench", "RATE_LIMITS": "off", "EMAIL_URL": "dummymail://",
        }  # fmt: skip
        processes.append(start_server(SERVE, settings, folder / "serve.log"))
        yield Stage(port, prepare(port))
    finally:
        for process in processes:
            stop_process(process)
        mongod.stop(threading.Event())


def prepare(port: int) -> str:
    """Sign up, store a document; return the token."""
    body = {"organization_name": "Bench", "email": KNOWN, "password": PASSWORD}
    with Client(port) as client:
        status, answer = client.send("POST", "/api/v1/auth/signup", body)
    if status != 201:
        raise RuntimeError(f"sign-up was answered {status}: {answer}")
    token = str(answer["access_token"])
    with Client(port, token) as client:
        client.send("PUT", DOCUMENT, {"n": 1})
    return token


def load(stage: Stage, guessers: int, seconds: float) -> Load:
    """Return the rates of the readers and of so many who sign in beside them."""
    with ExitStack() as stack:
        tokens = [stage.token] * READERS + [""] * guessers
        clients = [stack.enter_context(Client(stage.port, token)) for token in tokens]
        calls = [reader(each) for each in clients[:READERS]]
        calls += [guesser(each) for each in clients[READERS:]]
        return _rates(calls, seconds)


def _rates(calls: list[Callable[[], int]], seconds: float) -> Load:
    statuses: list[list[int]] = [[] for _ in calls]
    start = threading.Barrier(len(calls) + 1)

    def loop(call: Callable[[], int], seen: list[int]) -> None:
        start.wait()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen.append(call())

    threads = [
        threading.Thread(target=loop, args=pair) for pair in zip(calls, statuses, strict=True)
    ]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join()
    reads = list(chain(*statuses[:READERS]))
    guesses = list(chain(*statuses[READERS:]))
    if set(reads) != {200} or not set(guesses) <= {401, 429}:
        raise RuntimeError(f"answered {set(reads)} to readers, {set(guesses)} to the storm")
    return Load(len(reads) / seconds, guesses.count(401) / seconds, guesses.count(429) / seconds)


def measure_storm(stage: Stage, guessers: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what readers keep of their rate beside a storm, with the spread over the rounds."""
    load(stage, guessers, 0.5)
    pairs = [
        (load(stage, 0, options.seconds), load(stage, guessers, options.seconds))
        for _ in range(options.rounds)
    ]
    kept = [stormy.reads / calm.reads for calm, stormy in pairs]
    return {
        "storm": guessers,
        "kept": round(statistics.median(kept), 2),
        "spread": [round(min(kept), 2), round(max(kept), 2)],
        "reads_alone": round(statistics.median(calm.reads for calm, _ in pairs)),
        "reads_beside": round(statistics.median(stormy.reads for _, stormy in pairs)),
        "logins": round(statistics.median(stormy.logins for _, stormy in pairs), 1),
        "refused": round(statistics.median(stormy.refused for _, stormy in pairs), 1),
    }


def measure_times(stage: Stage, path: str, tries: int) -> dict[str, Any]:
    """Return the mean times of answers for a known and an unknown address, in milliseconds."""
    times: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    answers = set()
    with Client(stage.port) as client:
        for number in range(-5, tries):
            for email in (KNOWN, UNKNOWN) if number % 2 else (UNKNOWN, KNOWN):
                body = {"email": email} | ({"password": WRONG} if path == LOG_IN else {})
                time.sleep(PAUSE_SECONDS)
                began = time.perf_counter()
                status, answer = client.send("POST", path, body)
                taken = time.perf_counter() - began
                answers.add((status, answer.get("code"), answer.get("detail")))
                if number >= 0:
                    times[email].append(taken * 1000)
    known, unknown = statistics.fmean(times[KNOWN]), statistics.fmean(times[UNKNOWN])
    return {
        "path": path,
        "tries": tries,
        "known_ms": round(known, 2),
        "unknown_ms": round(unknown, 2),
        "difference": round(abs(known - unknown) / max(known, unknown), 3),
        "error": round(_standard_error(*times.values()) / max(known, unknown), 3),
        "answers": len(answers),
    }


def _standard_error(*samples: list[float]) -> float:
    """Return by how much the difference of two means may be off by chance."""
    return sum(statistics.variance(each) / len(each) for each in samples) ** 0.5


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start a service of its own, measure, end it."""
    with (
        tempfile.TemporaryDirectory(prefix="tenantry-bench-") as folder,
        running_stage(Path(folder)) as stage,
    ):
        return {
            "storms": [measure_storm(stage, guessers, options) for guessers in STORMS],
            "times": [
                measure_times(stage, path, options.tries * times) for path, times in TIMED.items()
            ],
        }


def report(figures: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{'':24}{'kept':>8}{'spread':>16}{'reads/s':>16}{'logins/s':>10}{'429/s':>8}")
    for row in figures["storms"]:
        low, high = row["spread"]
        reads = f"{row['reads_alone']} -> {row['reads_beside']}"
        print(
            f"{row['storm']:>3} loops of sign-ins   {row['kept']:>8}{f'{low} .. {high}':>16}"
            f"{reads:>16}{row['logins']:>10}{row['refused']:>8}"
        )
    print(
        f"kept: of the rate that {READERS} readers have alone; after a 429 a loop waits a second\n"
    )
    print(f"{'':36}{'known ms':>10}{'unknown ms':>12}{'difference':>20}{'tries':>8}")
    for row in figures["times"]:
        print(
            f"{row['path']:36}{row['known_ms']:>10}{row['unknown_ms']:>12}"
            f"{row['difference']:>11.1%} +- {row['error']:.1%}{row['tries']:>9}"
        )
    print("mean times of answers for a known and an unknown address")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tries", type=int, default=200, help="for each address")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options)
    if options.json:
        print(json.dumps(figures))
    else:
        report(figures)


if __name__ == "__main__":
    main()
