"""Where the CPU of a request goes: microseconds by part, from the real stack under real HTTP.

    python -m benchmarks.bench --only profile

A service of its own serves `profiled_wsgi`. `server` is what the process took beyond the threads'
time in the application: granian, the interpreter's lock, threads in the background.
"""

import sys
from collections.abc import Mapping
from typing import Any

import orjson

from benchmarks.comparison import Pace
from benchmarks.http_client import HttpPlan
from benchmarks.load_process import LoadProcess
from benchmarks.stage import DATA, Stage, document, fill, running_stage
from benchmarks.time_accounts import PARTS

SERVE = (sys.executable, "-m", "benchmarks.profiled_server")
PATH = "/__profile__"  # of `profiled_wsgi`
SERVER, WHOLE = "server", "all"
STORED = 2_000
WARM_UP_SECONDS = 0.5
Profile = dict[str, dict[str, float]]


def requests_of(stage: Stage) -> dict[str, bytes]:
    """Return the requests that are looked at, by what they are called."""
    documents = f"{DATA}main/documents"
    body = orjson.dumps(document(1))
    return {
        "read by id": stage.request("GET", f"{documents}/d1"),
        "list of 100": stage.request("GET", f"{documents}?limit=100"),
        "create": stage.request("POST", f"{DATA}made/documents", body),
        "GET /organization": stage.request("GET", "/api/v1/organization"),
    }


def measure_profile(pace: Pace) -> Profile:
    """Return microseconds of each part of each request, and of all together."""
    with running_stage(SERVE) as stage:
        with stage.documents() as documents:
            fill(documents, STORED, "d%d")
        return {
            name: _profile(stage, each, pace.seconds * pace.rounds / 3)
            for name, each in requests_of(stage).items()
        }


def _profile(stage: Stage, request: bytes, seconds: float) -> dict[str, float]:
    with LoadProcess(HttpPlan(stage.port, [request])) as load:
        load.run(WARM_UP_SECONDS)
        before = stage.ask("GET", PATH)
        load.run(seconds)
        after = stage.ask("GET", PATH)
    return split(before, after)


def split(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float]:
    """Return what each part took of each request between two reports, the server first."""
    count = after["requests"] - before["requests"]
    passed = {name: after[name] - before[name] for name in ("process", "in_wsgi")}
    parts = {SERVER: passed["process"] - passed["in_wsgi"]}
    parts |= {name: after["parts"][name] - before["parts"][name] for name in PARTS}
    each = {name: round(total / count, 1) for name, total in parts.items()}
    return each | {WHOLE: round(sum(each.values()), 1)}


def table(profile: Profile, plain: Mapping[str, float]) -> str:
    """Return the profile as text; `plain` is what whole requests took without it."""
    names = list(profile)
    lines = [f"{'CPU of the server for a request, us':38}" + "".join(f"{n:>19}" for n in names)]
    for part in (SERVER, *PARTS, WHOLE):
        row = "".join(f"{profile[name][part]:>19.1f}" for name in names)
        lines.append(f"  {part:36}{row}")
    if plain:
        row = "".join(f"{plain.get(name, '-'):>19}" for name in names)
        lines.append(f"  {'all, when nobody looks':36}{row}")
    return "\n".join(lines)
