"""A cluster that freezes or dies under load: its tenants get an error, nobody else notices."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import pytest

from benchmarks.local_processes import start_mongod
from tests.conftest import PASSWORD
from tests.servers import running_service

pytestmark = [pytest.mark.needs_mongod, pytest.mark.xdist_group("outage")]

DOCUMENTS = "/api/v1/collections/main/documents"
CALLERS = 24
OUTAGE_SECONDS = 7.0
# Between two calls of one caller: a refused one takes a millisecond, and 24 would fill both cores.
PAUSE_SECONDS = 0.06
TIMEOUT_SECONDS = 3.0
# Of an answer to those who live elsewhere, on a busy machine; alone it takes some milliseconds.
NEIGHBOUR_MAX_SECONDS = 1.5
# Two time-outs: waiting for a thread behind a call that ran into its own, and the own one.
VICTIM_MAX_SECONDS = 2 * TIMEOUT_SECONDS + 2.0
PATIENCE_SECONDS = 20.0


@pytest.fixture
def second(tmp_path):
    server = start_mongod(tmp_path / "second-mongod")
    yield server
    with suppress(ProcessLookupError):
        os.kill(server._process.pid, signal.SIGCONT)
    server.stop(Event())


@pytest.fixture
def service(tmp_path, mongo_client):
    timeout = {"TENANCY_OPERATION_TIMEOUT": str(TIMEOUT_SECONDS)}
    with running_service(tmp_path / "outage", mongo_client, **timeout) as service:
        yield service


@pytest.fixture
def acme(service):
    """The token of an organization on the default cluster."""
    token = service.token("Acme")
    assert write(service, token).status_code == 201
    return token


@pytest.fixture
def globex(service, acme, second):
    """The token of an organization on the second cluster, which is added to a running service."""
    manage = service.deployment.manage
    for arguments in (
        ["add_cluster", "second", "--region", "eu"],
        ["create_organization", "Globex", "--region", "eu", "--owner", "charlie@globex.example"],
    ):
        done = manage(*arguments, TENANTRY_CLUSTER_URI=second.uri, TENANTRY_OWNER_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr
    credentials = {"email": "charlie@globex.example", "password": PASSWORD}
    token = service.call(0, "POST", "/api/v1/auth/login", json=credentials).json()["access_token"]
    assert write(service, token).status_code == 201
    return token


def write(service, token):
    return service.call(0, "POST", DOCUMENTS, token=token, json={"a": 1})


class Callers:
    """Threads that keep calling as one tenant, and what each call took and answered."""

    def __init__(self, service, token, number):
        self._service, self._token = service, token
        self._stop = threading.Event()
        self.answers = []
        self._pool = ThreadPoolExecutor(number)
        self._work = [self._pool.submit(self._call, each) for each in range(number)]

    def _call(self, each):
        with self._service.client(0, self._token) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                if each % 3:
                    answer = client.get(DOCUMENTS)
                else:
                    answer = client.post(DOCUMENTS, json={"n": each})
                self.answers.append((time.monotonic() - began, answer))
                time.sleep(PAUSE_SECONDS)  # not to measure how many requests fit into one process

    def end(self):
        self._stop.set()
        self._pool.shutdown()
        for each in self._work:
            each.result()
        return self.answers


def suffer(service, victim, neighbour):
    """Call as both for a while; check that each gets what it should, in time."""
    victims = Callers(service, victim, CALLERS)
    neighbours = Callers(service, neighbour, 2)
    time.sleep(OUTAGE_SECONDS)
    slow, quick = victims.end(), neighbours.end()

    assert len(slow) >= CALLERS
    for seconds, answer in slow:
        assert (answer.status_code, answer.json()["code"]) in {
            (503, "cluster_unavailable"), (503, "outcome_unknown"), (504, "query_timeout"),
            (503, "tenant_busy"),
        }, answer.text  # fmt: skip
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert seconds < VICTIM_MAX_SECONDS
    assert len(quick) >= 20
    assert {answer.status_code for _, answer in quick} <= {200, 201}
    assert max(seconds for seconds, _ in quick) < NEIGHBOUR_MAX_SECONDS
    return slow


def wait_until_served(service, token):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while service.call(0, "GET", DOCUMENTS, token=token).status_code != 200:
        assert time.monotonic() < deadline, "the cluster is back, its tenants are not"
        time.sleep(0.1)


def test_cluster_that_freezes_and_dies_harms_its_own_tenants_only(service, acme, globex, second):
    pid = second._process.pid

    os.kill(pid, signal.SIGSTOP)
    suffer(service, globex, acme)
    os.kill(pid, signal.SIGCONT)
    wait_until_served(service, globex)

    os.kill(pid, signal.SIGKILL)
    suffer(service, globex, acme)
    began = time.monotonic()
    answer = service.call(0, "GET", DOCUMENTS, token=globex)
    assert (answer.status_code, answer.json()["code"]) == (503, "cluster_unavailable")
    assert time.monotonic() - began < 3.0
    assert service.sign_up("Umbrella").status_code == 201
