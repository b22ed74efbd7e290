"""Rows of many who sign in: what readers keep beside them, and what the time of an answer tells."""

import statistics
import time
from collections.abc import Iterator

from benchmarks.comparison import Pace, together
from benchmarks.figures import NO_BAR, Bar, Figure, figure
from benchmarks.http_client import LATER, HttpPlan
from benchmarks.identity_rows import log_in
from benchmarks.load_process import LoadProcess, Turn
from benchmarks.stage import DATA, EMAIL, Stage, ask

READERS = 4
# Loops of sign-ins, and what the readers have to keep of the rate that they have alone.
STORMS = {2: Bar(at_least=0.5), 16: NO_BAR}
UNKNOWN, WRONG = "nobody@example.com", "wrong horse 9 battery"
LOG_IN, FORGOT = "/api/v1/auth/login", "/api/v1/auth/password/forgot"
# How many tries for each address: a short answer is disturbed more by whatever else runs.
TRIES = {LOG_IN: 12, FORGOT: 40}
REFUSED = frozenset({200, 202, 401})
PAUSE_SECONDS = 0.005  # so that what is done after an answer does not disturb the next one


def storm(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Read a document while some sign in again and again, beside reading it with nobody there."""
    path = f"{DATA}main/documents/stormy"
    stage.ask("PUT", path, {"n": 1})
    reading = HttpPlan(stage.port, [stage.request("GET", path)], connections=READERS)
    for loops, bar in STORMS.items():
        signing = HttpPlan(stage.port, [log_in()], connections=loops, accepted=LATER | {200})
        with LoadProcess(reading) as readers, LoadProcess(signing) as storm_:
            readers.run(0.0), storm_.run(0.0)
            rounds = [_round(readers, storm_, pace.seconds) for _ in range(pace.rounds)]
        yield _kept(f"reads beside {loops} loops of sign-ins", rounds, bar)


def _round(readers: LoadProcess, storm_: LoadProcess, seconds: float) -> tuple[Turn, Turn, Turn]:
    """Return a turn of the readers alone, one beside the storm, and the storm's."""
    alone = readers.run(seconds)
    storm_.begin(seconds)
    beside = readers.run(seconds)
    return alone, beside, storm_.finish(seconds)


def _kept(name: str, rounds: list[tuple[Turn, Turn, Turn]], bar: Bar) -> Figure:
    alone, beside, storms = (list(each) for each in zip(*rounds, strict=True))
    seconds = sum(each.seconds for each in storms)

    def rate(*statuses: int) -> float:
        answered: int = sum(each.statuses.get(status, 0) for each in storms for status in statuses)
        return float(round(answered / seconds, 1))

    kept = [mine.rate / calm.rate for calm, mine in zip(alone, beside, strict=True)]
    return figure(
        name, kept, bar=bar,
        absolutes={
            "alone": statistics.median(each.rate for each in alone),
            "beside": statistics.median(each.rate for each in beside),
            "p99 ms": round(together(beside).milliseconds(0.99), 1),
            "sign-ins": rate(200), "refused": rate(*LATER),
        },
    )  # fmt: skip


def timing(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Compare the times of answers for known and for unknown addresses: they should not differ."""
    for path, tries in TRIES.items():
        yield _unknown_beside_known(stage, path, tries * pace.rounds)


def _unknown_beside_known(stage: Stage, path: str, tries: int) -> Figure:
    times: dict[str, list[float]] = {EMAIL: [], UNKNOWN: []}
    answers = set()
    for number in range(-2, tries):
        for email in (EMAIL, UNKNOWN) if number % 2 else (UNKNOWN, EMAIL):
            time.sleep(PAUSE_SECONDS)
            body = {"email": email} | ({"password": WRONG} if path == LOG_IN else {})
            began = time.perf_counter()
            answer = ask(stage.port, "POST", path, body, accepted=REFUSED)
            taken = 1000 * (time.perf_counter() - began)
            answers.add((answer.get("code"), answer.get("detail")))
            if number >= 0:
                times[email].append(taken)
    if len(answers) > 1:
        raise RuntimeError(f"{path} tells who has an account: {answers}")
    known, unknown = statistics.fmean(times[EMAIL]), statistics.fmean(times[UNKNOWN])
    off = _standard_error(*times.values()) / known
    return Figure(
        f"{path}: unknown beside known", round(unknown / known, 3),
        (round(unknown / known - off, 3), round(unknown / known + off, 3)),
        absolutes={"known ms": round(known, 2), "unknown ms": round(unknown, 2), "tries": tries},
    )  # fmt: skip


def _standard_error(*samples: list[float]) -> float:
    """Return by how much the difference of two means may be off by chance."""
    return float(sum(statistics.variance(each) / len(each) for each in samples) ** 0.5)
