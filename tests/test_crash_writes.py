"""Writes of documents under a key, by processes that are killed: one effect, one answer."""

import json
from contextlib import contextmanager
from itertools import product

import pytest

from tests.conftest import PASSWORD
from tests.forks import running_forks
from tests.processes import QUICK, make_deployment

DOCUMENTS = "/api/v1/collections/main/documents"
POINTS = ("write.begun", "write.changed", "write.noted", "write.committed")
METHODS = {"POST": 201, "PUT": 200, "PATCH": 200, "DELETE": 204}
SIGNUP = {"organization_name": "Initech", "email": "peter@example.com", "password": PASSWORD}
KILLED = 137

# The whole way of requests, in a process of its own. Until a repeat is answered, what the dead have
# left open may have to be ended first.
SEND = """
import json, os, time
from django.conf import settings
from rest_framework.test import APIClient
import config.urls
client, answers, codes = APIClient(headers={"Host": "localhost", **token}), [], []
deadline = time.monotonic() + 30
def send(method, path, body, key):
    headers = {"Idempotency-Key": key} if key else {}
    raw = "" if body is None else json.dumps(body)
    return client.generic(method, path, raw, "application/json", headers=headers)
for request in deaths:
    pid = os.fork()
    if pid == 0:
        settings.TENANTRY_FAILPOINT = request[-1].partition("-")[2]
        try:
            send(*request)
        finally:
            os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
for request in requests:
    while (said := send(*request)).status_code in {409, 503} and time.monotonic() < deadline:
        pass
    answers.append({
        "status": said.status_code, "body": said.content.decode(),
        "is_replay": said.get("Idempotent-Replayed") == "true",
        "headers": {name: said.get(name) for name in ("ETag", "Location")},
    })
answer([codes, answers])
"""


@pytest.fixture
def forks(tmp_path, mongo_client):
    deployment = make_deployment(tmp_path / "crash_writes", mongo_client, **QUICK)
    with running_forks(deployment.environment) as forks:
        yield forks
    mongo_client.drop_database(deployment.tenants)


@contextmanager
def open_transactions_end_soon(client):
    """MongoDB ends what a dead process has left open: not after 6 seconds, but after one."""
    name = "transactionLifetimeLimitSeconds"
    before = client.admin.command({"getParameter": 1, name: 1})[name]
    client.admin.command({"setParameter": 1, name: 1})
    try:
        yield
    finally:
        client.admin.command({"setParameter": 1, name: before})


SIGN_UP = "/api/v1/auth/signup"
LIST = ("GET", DOCUMENTS, None, "")


def listed(said):
    return {row["_id"]: row for row in json.loads(said["body"])["data"]}


def test_a_write_whose_process_was_killed_is_made_once(forks, mongo_client):
    names = [f"{method}-{point}" for method, point in product(METHODS, POINTS)]
    asks = {name: request_of(name) for name in names}
    before = [
        ("PUT", path, {"n": 0, "kept": True}, "")
        for method, path, *_ in asks.values()
        if method != "POST"
    ]
    _, said = forks.run(SEND, token={}, deaths=[], requests=[("POST", SIGN_UP, SIGNUP, "")])
    token = {"Authorization": f"Bearer {json.loads(said[0]['body'])['access_token']}"}
    forks.run(SEND, token=token, deaths=[], requests=before)

    with open_transactions_end_soon(mongo_client):
        requests = [LIST, *asks.values(), *asks.values(), LIST]
        codes, said = forks.run(SEND, token=token, deaths=[*asks.values()], requests=requests)
    between, after = listed(said[0]), listed(said[-1])
    firsts, seconds = said[1 : len(asks) + 1], said[len(asks) + 1 : -1]

    assert set(codes) == {KILLED}
    for name, first, second in zip(names, firsts, seconds, strict=True):
        method, was_made = asks[name][0], name.endswith("committed")
        assert is_made(method, between.get(name)) == was_made, name
        assert is_made(method, after.get(name)), (name, after.get(name))
        assert (first["status"], first["is_replay"]) == (METHODS[method], was_made), name
        assert second == {**first, "is_replay": True}


def request_of(name):
    method = name.partition("-")[0]
    if method == "POST":
        return method, DOCUMENTS, {"_id": name, "n": 1}, name
    return method, f"{DOCUMENTS}/{name}", None if method == "DELETE" else {"n": 1}, name


def is_made(method, document):
    """Return whether a document is what one write makes of it."""
    if method == "DELETE":
        return document is None
    revision = 1 if method == "POST" else 2
    fields = {"n": 1, "kept": True} if method == "PATCH" else {"n": 1}
    shown = {key: value for key, value in (document or {}).items() if key[0] != "_"}
    return shown == fields and document["_meta"]["rev"] == revision
