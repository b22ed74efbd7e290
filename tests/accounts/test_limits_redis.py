"""With Redis all processes count together; without it nobody waits, and nobody gets in by that."""

import logging
import threading
import time

import pytest
from rest_framework.test import APIClient

from accounts import limit_stores, redis_windows
from tenancy import catalog
from tenancy.models import Plan
from tests.conftest import PASSWORD
from tests.http import refused
from tests.redis_servers import running_redis, wait_until
from tests.servers import running_service

pytestmark = pytest.mark.usefixtures("quick")

LOG_IN, ROUTE, READY = "/api/v1/auth/login", "/api/v1/organization", "/readyz"
ALICE, WRONG = "alice@example.com", "a wrong horse 9"
PAIR_LIMIT = 3


@pytest.fixture
def server(tmp_path):
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture
def limited(settings, server, patient_redis):
    """Count in Redis, and look for it often."""
    settings.RATE_LIMITS, settings.REDIS_URL = True, server.url
    settings.LIMIT_LOGIN_PAIR = f"{PAIR_LIMIT}/15 minutes"


@pytest.fixture
def soon(monkeypatch):
    """Look often whether Redis is back."""
    monkeypatch.setattr(redis_windows, "PROBE_SECONDS", 0.1)


def log_in(password=WRONG, email=ALICE):
    return APIClient().post(LOG_IN, {"email": email, "password": password})


def tries():
    """Return how many attempts get as far as the password."""
    return [log_in().status_code for _ in range(PAIR_LIMIT + 2)].count(401)


def readiness():
    answer = APIClient().get(READY)
    assert answer.status_code == 200
    return answer.json()["limits"]


def test_attempts_are_counted_in_redis_without_any_address(limited, server, acme):
    assert tries() == PAIR_LIMIT

    names = server.keys()
    assert len(names) == 4  # address, account and both; and that it was recorded
    assert all(name.startswith("tenantry:limits:") for name in names)
    assert not [name for name in names if "alice" in name or "127.0.0.1" in name]


def test_a_sign_in_clears_the_count_in_redis(limited, acme):
    log_in()
    log_in()

    assert log_in(PASSWORD).status_code == 200
    assert tries() == PAIR_LIMIT


def test_readiness_says_what_limits_use(limited, settings, server, soon, mongo):
    assert readiness() == "ok"
    server.kill()
    assert readiness() == "degraded"
    server.start()
    wait_until(lambda: readiness() == "ok")
    settings.REDIS_URL = ""
    assert readiness() == "memory"
    settings.RATE_LIMITS = False
    assert readiness() == "off"


def test_killed_redis_is_no_outage_and_lifts_no_limit(limited, server, acme, alice, caplog):
    assert alice.get(ROUTE).status_code == 200
    server.kill()

    with caplog.at_level(logging.WARNING, "tenantry.limits"):
        assert tries() == PAIR_LIMIT
        refused(log_in(PASSWORD), 429, "rate_limited")
        assert alice.get(ROUTE).status_code == 200

    assert len(caplog.records) == 1


def test_redis_that_is_back_counts_again_and_the_log_says_both(limited, server, soon, caplog):
    with caplog.at_level(logging.WARNING, "tenantry.limits"):
        for _ in range(2):
            server.kill()
            limit_stores.take([redis_windows._PROBE])
            server.start()
            wait_until(lambda: limit_stores.state() == "ok")

    said = [record.getMessage().split(" ")[1] for record in caplog.records]
    assert said == ["fails", "answers"] * 2


def test_frozen_redis_costs_a_request_its_timeout_once(limited, server, acme, alice, monkeypatch):
    waited, degrade = [], redis_windows.GuardedWindows._degrade
    monkeypatch.setattr(
        redis_windows.GuardedWindows,
        "_degrade",
        lambda windows, error: waited.append(error) or degrade(windows, error),
    )
    Plan.objects.update(requests_per_minute=1_000, burst=1_000)
    catalog.clear_cache()
    alice.get(ROUTE)
    server.freeze()

    answers = [alice.get(ROUTE) for _ in range(40)]

    server.thaw()
    assert {answer.status_code for answer in answers} == {200}
    assert all("RateLimit" in answer for answer in answers)
    assert len(waited) == 1


def test_login_is_limited_though_redis_freezes_in_the_middle(limited, server, acme):
    assert log_in().status_code == 401
    server.freeze()

    assert tries() == PAIR_LIMIT
    assert readiness() == "degraded"
    server.thaw()


@pytest.mark.parametrize("what", ["kill", "freeze"])
def test_nobody_notices_what_happens_to_redis(mongo_client, tmp_path, server, what):
    limits = {"RATE_LIMITS": "true", "LIMIT_LOGIN_PAIR": "4/15 minutes"}
    with running_service(
        tmp_path / "served", mongo_client, REDIS_URL=server.url, **limits
    ) as service:
        token = service.token("Acme")
        answers, stop = [], threading.Event()

        def read(number):
            with service.client(number, token) as client:
                while not stop.is_set():
                    began = time.monotonic()
                    status = client.get(ROUTE).status_code
                    answers.append((status, time.monotonic() - began))

        def fail(number):
            body = {"email": "owner@acme.example", "password": WRONG}
            return service.call(number, "POST", LOG_IN, json=body).status_code

        readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
        for reader in readers:
            reader.start()
        together = [fail(number) for number in range(6)]
        getattr(server, what)()
        alone = [fail(number) for number in range(12)]
        ready = [service.call(number, "GET", READY) for number in range(2)]
        stop.set()
        for reader in readers:
            reader.join()
        if what == "freeze":
            server.thaw()

    assert together == [401] * 4 + [429] * 2  # both processes counted as one
    assert alone.count(401) == 8  # each for itself: limited still
    assert {status for status, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < 5
    assert [(each.status_code, each.json()["limits"]) for each in ready] == [(200, "degraded")] * 2
