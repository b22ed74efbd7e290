"""Passwords: one in every spelling, and what each computation costs."""

import os
import sys
import threading
import time
import unicodedata
from types import SimpleNamespace

import pytest
from django.contrib.auth import hashers
from django.contrib.auth.hashers import check_password

from accounts import hashing, passwords
from accounts.exceptions import RateLimited
from accounts.hashing import CURRENT_FORM, form_of, hash_of_nobody
from accounts.models import User
from accounts.passwords import hash_password, matches
from accounts.roles import Role
from tenancy.lanes import Lanes
from tests.cheap_hashing import real_hashing
from tests.conftest import PASSWORD, make_cast
from tests.http import refused

pytestmark = pytest.mark.usefixtures("quick")

SIGN_UP, LOG_IN = "/api/v1/auth/signup", "/api/v1/auth/login"
BODY = {"organization_name": "Umbrella", "email": "dora@example.com", "password": PASSWORD}
COMPOSED = unicodedata.normalize("NFC", "Zoë's très long mot")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


def credentials(email="dora@example.com", password=PASSWORD, **more):
    return {"email": email, "password": password} | more


@pytest.mark.django_db
@pytest.mark.parametrize(("set_as", "typed_as"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_every_way_in_takes_every_spelling(set_as, typed_as):
    operator = User.objects.create_superuser("op@example.com", set_as)

    assert operator.check_password(typed_as)
    assert matches(typed_as, operator)


def test_hashes_of_both_spellings_open_each_other():
    user = User(password=hash_password(DECOMPOSED))

    assert user.check_password(COMPOSED)
    assert not user.check_password(COMPOSED + "!")


# --- The price of a password --------------------------------------------------------------------


@pytest.fixture
def computations(monkeypatch):
    """Count argon2 computations, and how many there are at once."""
    counted = SimpleNamespace(now=0, most=0, all=0, seconds=0.0)
    lock = threading.Lock()

    def watch(function):
        def watched(*args, **options):
            with lock:
                counted.now, counted.all = counted.now + 1, counted.all + 1
                counted.most = max(counted.most, counted.now)
            time.sleep(counted.seconds)
            try:
                return function(*args, **options)
            finally:
                with lock:
                    counted.now -= 1

        return watched

    for name in ("encode", "verify"):
        original = getattr(hashers.Argon2PasswordHasher, name)
        monkeypatch.setattr(hashers.Argon2PasswordHasher, name, watch(original))
    return counted


@pytest.mark.parametrize(
    "body",
    [credentials("alice@example.com"), credentials("alice@example.com", "wrong horse 9 battery"),
     credentials("nobody@example.com"), credentials("operator@example.com"),
     credentials("gone@example.com"), credentials("alice@example.com", "x" * 129)],
    ids=["right", "wrong", "unknown", "no-password", "deactivated", "too-long"],
)  # fmt: skip
def test_every_sign_in_costs_one_computation(acme, nobody, computations, body):
    User.objects.create_user("operator@example.com")
    User.objects.create(
        email="gone@example.com", is_active=False, password=acme.users["bob"].password
    )
    computations.all = 0

    nobody.post(LOG_IN, body)

    assert computations.all == 1


def test_signup_costs_one_computation(mongo, nobody, computations):
    nobody.post(SIGN_UP, BODY)

    assert computations.all == 1


def test_refused_signup_costs_none(mongo, nobody, computations):
    nobody.post(SIGN_UP, BODY | {"password": "short"})
    nobody.post(SIGN_UP, BODY | {"organization_name": "$"})

    assert computations.all == 0


@pytest.fixture
def fresh_hashers():
    """Threads by the settings of this test; what the session has comes back afterwards."""
    kept = list(hashing._hashers)
    hashing.start_anew()
    yield
    hashing.start_anew()
    hashing._hashers.extend(kept)


def hash_at_once(count):
    """Hash in so many threads; return how many were done and how many refused."""
    outcomes = []

    def attempt():
        try:
            outcomes.append(hash_password(PASSWORD))
        except RateLimited as error:
            outcomes.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    return len(outcomes) - len(refusals), refusals


def test_few_passwords_are_computed_at_once(computations, fresh_hashers, settings):
    settings.TENANTRY_PROCESSES, settings.TENANTRY_THREADS = 4, 16
    settings.ACCOUNTS_HASHERS = 8  # of which each process has its share
    computations.seconds = 0.05

    done, refusals = hash_at_once(8)

    assert (done, refusals) == (8, [])
    assert computations.most == 2


def test_who_would_hold_more_than_half_of_the_threads_is_refused_at_once(
    computations, fresh_hashers, settings
):
    settings.TENANTRY_PROCESSES, settings.TENANTRY_THREADS = 1, 8
    settings.ACCOUNTS_HASHERS = 2
    computations.seconds = 0.5

    done, refusals = hash_at_once(10)

    assert (done, len(refusals)) == (4, 6)
    assert {error.retry_after for error in refusals} == {1}
    assert hash_at_once(1) == (1, [])


def test_refusal_is_a_429_that_says_when_to_come_back(acme, nobody, monkeypatch, fresh_hashers):
    monkeypatch.setattr(hashing.get_hashers(), "_places", threading.BoundedSemaphore(1))
    assert hashing.get_hashers()._places.acquire()

    for answer in (
        nobody.post(LOG_IN, credentials("alice@example.com")),
        nobody.post(LOG_IN, credentials("nobody@example.com")),
        nobody.post(SIGN_UP, BODY),
        nobody.post("/admin/login", credentials("alice@example.com")),
    ):
        refused(answer, 429, "rate_limited")
        assert answer["Retry-After"] == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_hashers_yield_to_the_threads_that_answer(fresh_hashers):
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    here = niceness()

    assert hashing.get_hashers().compute(niceness) == min(here + hashing.NICENESS, 19)
    assert niceness() == here


def test_who_waits_for_a_computation_keeps_no_request_from_being_taken(fresh_hashers):
    lanes, seen = Lanes(1), []
    sign_in = lanes.wrap(
        lambda *_: hashing.get_hashers().compute(lambda: seen.append(lanes.active)), lambda _: True
    )

    in_thread = threading.Thread(target=sign_in, args=(None, None))
    in_thread.start()
    in_thread.join()

    assert seen == [0]  # there is room for another thread to take requests


def in_child(function):
    """Return what a function returns in a process forked from this one."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writer, str(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_process_that_was_forked_has_hashers_of_its_own():
    hash_password(PASSWORD)

    assert in_child(lambda: hash_password(PASSWORD).startswith(CURRENT_FORM)) == "True"


# --- Hashes of other parameters -----------------------------------------------------------------


def test_a_hash_costs_what_owasp_names_first_for_servers():
    with real_hashing():
        encoded = hash_password(PASSWORD)

    assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


class EarlierHasher(hashers.Argon2PasswordHasher):
    """Other parameters than ours."""

    memory_cost = 128


@pytest.fixture
def earlier(acme):
    """bob's hash has other parameters; alice's is one of ours."""
    passwords.forget_forms()
    old = EarlierHasher().encode(PASSWORD, "s" * 22)
    User.objects.filter(email="bob@example.com").update(password=old)
    yield old
    passwords.forget_forms()


def test_hash_of_earlier_parameters_opens_and_is_replaced(earlier, nobody):
    assert form_of(earlier) not in {None, CURRENT_FORM}

    assert nobody.post(LOG_IN, credentials("bob@example.com")).status_code == 200

    new = User.objects.get(email="bob@example.com").password
    assert form_of(new) == CURRENT_FORM
    assert nobody.post(LOG_IN, credentials("bob@example.com")).status_code == 200


def test_wrong_password_replaces_nothing(earlier, nobody):
    nobody.post(LOG_IN, credentials("bob@example.com", "wrong horse 9 battery"))

    assert User.objects.get(email="bob@example.com").password == earlier


@pytest.mark.parametrize("who", ["alice", "bob", "nobody", "operator"])
def test_everybody_costs_one_computation_of_each_form_that_is_stored(
    earlier, nobody, monkeypatch, who
):
    User.objects.create_user("operator@example.com")
    forms = []
    original = hashers.Argon2PasswordHasher.verify

    def watch(self, password, encoded):
        forms.append(form_of(encoded))
        return original(self, password, encoded)

    monkeypatch.setattr(hashers.Argon2PasswordHasher, "verify", watch)

    nobody.post(LOG_IN, credentials(f"{who}@example.com", "wrong horse 9 battery"))

    assert sorted(forms) == sorted([CURRENT_FORM, form_of(earlier)])


def test_hash_that_is_renewed_by_two_at_once_is_one_of_theirs(earlier):
    bob, same = (User.objects.get(email="bob@example.com") for _ in range(2))

    passwords.renew_hash(PASSWORD, bob)
    passwords.renew_hash(PASSWORD, same)

    assert User.objects.get(pk=bob.pk).password == bob.password
    assert same.password == earlier


@pytest.mark.parametrize("stored", ["", "!", "argon2$", "argon2$argon2id$x", "md5$a$b", "plain"])
def test_what_is_no_hash_opens_nothing(db, stored):
    assert not matches("plain", User(password=stored))
    assert not matches("", User(password=stored))


@pytest.mark.parametrize("form", [CURRENT_FORM, "argon2$argon2id$v=19$m=102400,t=2,p=8$"])
def test_hash_of_nobody_is_a_hash_that_takes_a_computation(form):
    encoded = hash_of_nobody(form)

    assert form_of(encoded) == form
    assert EarlierHasher().decode(encoded)["hash"]
    assert EarlierHasher().verify("anything", encoded) is False


def test_hash_of_a_password_is_of_its_normal_form():
    assert check_password("ﬁve", passwords.hash_password("ﬁve")) is False
    assert check_password("five", passwords.hash_password("ﬁve")) is True


def test_cast_signs_in_with_the_password_of_the_tests(mongo, nobody):
    make_cast("Initech", {"peter": Role.OWNER})

    assert nobody.post(LOG_IN, credentials("peter@example.com")).status_code == 200
