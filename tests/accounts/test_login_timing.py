"""The time of an answer does not tell whether there is an account: measured, with real argon2.

`make bench` measures it over HTTP, with more tries.
"""

import time
from statistics import fmean

import pytest

from accounts import background
from accounts.background import Worker
from accounts.models import User
from accounts.passwords import hash_password
from tenancy.models import AuditEvent
from tests.cheap_hashing import real_hashing
from tests.conftest import PASSWORD

KNOWN, UNKNOWN = "alice@example.com", "nobody@example.com"
TRIES = 100
# Of three measurements one has to hold: other processes of a busy machine disturb some, while what
# makes answers differ would disturb all.
ATTEMPTS = 3
# The slower half is what other processes do to it; what tells an account is in the quicker, too.
TRIMMED = TRIES // 2
TOLERANCE = 0.10


def mean_times(client, path, bodies):
    """Return the mean time of each body's answer, the slowest left out; all answers are alike."""
    times, answers = [[] for _ in bodies], set()
    for number in range(TRIES):
        for which in range(len(bodies)) if number % 2 else reversed(range(len(bodies))):
            began = time.perf_counter()
            answer = client.post(path, bodies[which])
            times[which].append(time.perf_counter() - began)
            said = answer.json()
            answers.add((answer.status_code, said.get("code"), said.get("detail", str(said))))
    assert len(answers) == 1
    return [fmean(sorted(each)[:-TRIMMED]) for each in times]


def difference(client, path, bodies):
    means = mean_times(client, path, bodies)
    return abs(means[0] - means[1]) / max(means)


def smallest_difference(client, path, *bodies):
    for _ in range(ATTEMPTS):
        found = difference(client, path, bodies)
        if found < TOLERANCE:
            break
    return found


@pytest.fixture
def real_argon2(acme):
    """Passwords that cost what they cost in service; gives the form of their hashes."""
    with real_hashing() as form:
        User.objects.update(password=hash_password(PASSWORD))
        yield form


def test_sign_in_takes_as_long_for_known_and_unknown_addresses(real_argon2, nobody):
    assert User.objects.get(email=KNOWN).password.startswith(real_argon2)
    wrong = {"password": "wrong horse 9 battery"}

    found = smallest_difference(
        nobody, "/api/v1/auth/login", {"email": KNOWN} | wrong, {"email": UNKNOWN} | wrong
    )

    assert found < TOLERANCE
    users = AuditEvent.objects.filter(action="session.refused").values_list("details", flat=True)
    assert len({bool(details["user"]) for details in users}) == 2


def compute(seconds):
    """Use a core for so long: whatever else the machine does slows it down as it does the rest."""
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


def test_measurement_would_find_what_is_not_equal(acme, nobody, monkeypatch):
    monkeypatch.setattr("accounts.login.matches", lambda password, user: user and compute(0.004))
    wrong = {"password": PASSWORD + "x"}

    found = smallest_difference(
        nobody, "/api/v1/auth/login", {"email": KNOWN} | wrong, {"email": UNKNOWN} | wrong
    )

    assert found > TOLERANCE


@pytest.fixture
def worker(monkeypatch, nothing_waits):
    """The thread that does what is left for later."""
    own = Worker()
    monkeypatch.setattr(background, "_worker", own)
    yield own
    assert own.flush(60)


def test_forgetting_takes_as_long_for_known_and_unknown_addresses(acme, nobody, worker):
    found = smallest_difference(
        nobody, "/api/v1/auth/password/forgot", {"email": KNOWN}, {"email": UNKNOWN}
    )

    assert found < TOLERANCE
