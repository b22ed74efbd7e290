"""What is measured: a mongod and `manage.py serve` of its own, an organization, documents."""

import http.client
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection

from benchmarks.consumption import server_workers
from benchmarks.http_client import FINE, request
from benchmarks.local_processes import (
    PROJECT,
    SERVE,
    free_port,
    own_environment,
    start_mongod,
    start_server,
    stop_process,
)

DATABASE, NAMESPACE = "bench", "org_bench"
NAME, EMAIL, PASSWORD = "Bench", "bench@example.com", "correct horse 9 battery"
DATA = "/api/v1/collections/"
ASK_SECONDS = 300.0
FILL_BATCH = 10_000
# Limits are counted, as in service, and never reached.
AMPLE = "1000000/minute"
LIMITS = ("LOGIN_ADDRESS", "LOGIN_PAIR", "LOGIN_ACCOUNT", "SIGNUP_ADDRESS", "FORGOT_ADDRESS")
PLAN = "requests_per_minute=1_000_000, burst=100_000"
LANES_SHOWN = re.compile(rb"^tenantry_lanes (\S+)", re.MULTILINE)
METRICS_TOKEN = "bench"
STATES, SHARDS = ("open", "paid", "sent", "closed"), 2_000


@dataclass(frozen=True)
class Stage:
    """A running service with one organization, and how to reach it from both sides."""

    port: int
    uri: str
    serve_pid: int
    token: str
    settings: Mapping[str, str]

    @property
    def workers(self) -> list[int]:
        """The processes that answer requests."""
        return server_workers(self.serve_pid)

    def lanes(self) -> int:
        """Return how many threads the service takes quick requests with now."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        wanted = urllib.request.Request(url, headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        with urllib.request.urlopen(wanted, timeout=ASK_SECONDS) as answer:
            shown = LANES_SHOWN.search(answer.read())
        if shown is None:
            raise RuntimeError(f"{url} does not tell of lanes.")
        return max(1, int(float(shown[1])))

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """Return the bytes of a request, by the owner of the organization."""
        return request(method, path, token=self.token, body=body, headers=headers)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what a request is answered with. Raises RuntimeError for a refusal."""
        return ask(self.port, method, path, body, token=self.token)

    def manage(self, *arguments: str, **more: str) -> str:
        """Return what a command of `manage.py` prints in the service's surroundings and `more`."""
        return manage({**self.settings, **more}, *arguments)

    def run(self, code: str) -> str:
        """Return what a line of Python prints in the service's surroundings."""
        return self.manage("shell", "-v0", "-c", code)

    @contextmanager
    def documents(self, name: str = NAMESPACE) -> Iterator[Collection[dict[str, Any]]]:
        """Give a collection of the organization, past the service."""
        with MongoClient[dict[str, Any]](self.uri, w="majority") as client:
            yield client[DATABASE][name]


def ask(
    port: int, method: str, path: str, body: Any = None, *, token: str = "",
    accepted: Container[int] = FINE,
) -> Any:  # fmt: skip
    """Return what a request is answered with. Raises RuntimeError for what is not accepted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ASK_SECONDS)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    raw = None if body is None else orjson.dumps(body)
    try:
        connection.request(method, path, raw, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status not in accepted:
        raise RuntimeError(f"{method} {path} was answered {answer.status}: {text[:300]!r}")
    return orjson.loads(text) if text else None


def manage(settings: Mapping[str, str], *arguments: str) -> str:
    """Return what a command of `manage.py` prints. Raises CalledProcessError."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=PROJECT, check=True, timeout=ASK_SECONDS,
        env={**own_environment(), **settings}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return done.stdout


def set_plan(values: str) -> str:
    """Return the line of Python that changes the plan that new organizations get."""
    return f"from tenancy.models import Plan; Plan.objects.update({values})"


@contextmanager
def running_stage(command: tuple[str, ...] = SERVE, **more: str) -> Iterator[Stage]:
    """Start mongod and the service, sign up; end and remove everything.

    The organization's plan has limits, which are counted and too high to be reached. `more` are
    settings.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-bench-")))
        mongod = start_mongod(home / "mongod")
        stack.callback(mongod.stop, threading.Event())
        settings = {
            "PORT": str(free_port()), "TENANTRY_HOME": str(home / "home"),
            "MONGODB_URI": mongod.uri, "TENANCY_DATABASE": DATABASE, "ACCESS_TOKEN_MINUTES": "60",
            "TENANTRY_PROCESSES": "1", "TENANTRY_THREADS": "8", "EMAIL_URL": "dummymail://",
            "ACCOUNTS_MAX_ORGANIZATIONS": "1000", "METRICS_TOKEN": METRICS_TOKEN,
            **{f"LIMIT_{name}": AMPLE for name in LIMITS}, **more,
        }  # fmt: skip
        serving = start_server(command, settings, home / "serve.log")
        stack.callback(stop_process, serving)
        manage(settings, "shell", "-v0", "-c", set_plan(PLAN))
        port = int(settings["PORT"])
        yield Stage(port, mongod.uri, serving.pid, sign_up(port), settings)


def sign_up(port: int) -> str:
    """Make the organization, and return its owner's token."""
    body = {"organization_name": NAME, "email": EMAIL, "password": PASSWORD}
    return str(ask(port, "POST", "/api/v1/auth/signup", body)["access_token"])


def document(number: int) -> dict[str, Any]:
    """Return one of many documents of an ordinary shape: 230 bytes of JSON."""
    return {
        "name": f"Name {number}",
        "email": f"n{number}@example.com",
        "n": number,
        "price": number / 7,
        "state": STATES[number % 4],
        "shard": number % SHARDS,
        "tags": ["a", "b"],
        "address": {"city": "Lyon", "zip": "69001"},
        "note": None if number % 2 else "a few words",
    }


def stored(number: int, document_id: Any = None) -> dict[str, Any]:
    """Return the same as it is in MongoDB, with its metadata."""
    at = datetime(2026, 1, 1) + timedelta(milliseconds=37 * number)
    meta = {"rev": 1, "created_at": at, "updated_at": at, "by": "user:bench"}
    return {"_id": document_id or ObjectId(), **document(number), "_meta": meta}


def fill(documents: Collection[dict[str, Any]], total: int, ids: str = "") -> None:
    """Store documents until there are so many; with an id after a pattern if there is one."""
    for start in range(documents.estimated_document_count(), total, FILL_BATCH):
        numbers = range(start, min(start + FILL_BATCH, total))
        documents.insert_many([stored(each, ids % each if ids else None) for each in numbers])
