"""Rows of people: signing in beside argon2 itself, and signing up in each kind of placement."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson

from benchmarks.argon2_client import Argon2Plan
from benchmarks.comparison import Comparison, Pace, measure, ratio
from benchmarks.figures import Figure, figure
from benchmarks.http_client import HttpPlan, request
from benchmarks.load_process import LoadProcess
from benchmarks.local_processes import start_mongod
from benchmarks.stage import EMAIL, PASSWORD, Stage, set_plan

LOG_IN, SIGN_UP = "/api/v1/auth/login", "/api/v1/auth/signup"
KINDS = ("shared", "collection", "database", "cluster")
# An organization of kind `cluster` needs a mongod of its own.
CLUSTERS = 3
MAKE_HASH = "from django.contrib.auth.hashers import make_password; print(make_password({!r}))"


def log_in(email: str = EMAIL, password: str = PASSWORD) -> bytes:
    """Return the bytes of a sign-in."""
    return request("POST", LOG_IN, body=orjson.dumps({"email": email, "password": password}))


def login(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Sign in, one after another, beside the one computation that has to be done for it."""
    encoded = stage.run(MAKE_HASH.format(PASSWORD)).split()[-1]
    row = Comparison(
        "login beside argon2",
        HttpPlan(stage.port, [log_in()], connections=1),
        Argon2Plan(encoded, PASSWORD),
        raw_name="argon2",
    )
    yield ratio(row, measure(row, stage.workers, pace))


def signup(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Sign up with a new organization, in each kind of placement, one after another."""
    for kind in KINDS:
        with ExitStack() as stack:
            if kind == "cluster":
                _add_clusters(stage, stack)
            stage.run(set_plan(f"default_kind={kind!r}"))
            yield _sign_up(stage, pace, kind)
    stage.run(set_plan("default_kind='collection'"))


def _sign_up(stage: Stage, pace: Pace, kind: str) -> Figure:
    body = orjson.dumps({
        "organization_name": f"{kind} %(number)06d", "email": f"{kind}%(number)06d@example.com",
        "password": PASSWORD,
    })  # fmt: skip
    length = len(body % {b"number": 0})
    template = request("POST", SIGN_UP, body=body)
    template = template.replace(b"Length: %d" % len(body), b"Length: %d" % length)
    plan = HttpPlan(stage.port, [template], connections=1, numbered=True)
    with LoadProcess(plan) as load:
        if kind == "cluster":
            turns = [load.run(0.0) for _ in range(CLUSTERS)]
        else:
            load.run(0.0)
            turns = [load.run(pace.seconds)]
    taken = sorted(1000 * each for turn in turns for each in turn.latencies)
    return figure(f"signup, {kind}", taken, unit="ms", absolutes={"of": len(taken)})


def _add_clusters(stage: Stage, stack: ExitStack) -> None:
    """Start mongods and make clusters of them that nobody lives on."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-bench-")))
    for number in range(CLUSTERS):
        mongod = start_mongod(folder / str(number))
        stack.callback(mongod.stop, threading.Event())
        stage.manage("add_cluster", f"own{number}", "--closed", TENANTRY_CLUSTER_URI=mongod.uri)
