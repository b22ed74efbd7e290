"""Passwords: one in every spelling, and what each computation costs."""

import threading
import time
import unicodedata
from types import SimpleNamespace

import pytest
from django.contrib.auth import hashers
from django.contrib.auth.hashers import check_password

from accounts import passwords
from accounts.models import User
from accounts.passwords import hash_password, matches
from accounts.roles import Role
from tests.conftest import PASSWORD, make_cast

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
    nobody.post(LOG_IN, credentials("warm@example.com"))  # the first makes the hash of nobody
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


def test_few_passwords_are_computed_at_once(computations, settings):
    computations.seconds = 0.02
    user = User(password=passwords.hash_password(PASSWORD))
    threads = [threading.Thread(target=passwords.matches, args=[PASSWORD, user]) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert computations.all == 9
    assert computations.most == settings.ACCOUNTS_HASHERS


def test_hash_of_a_password_is_of_its_normal_form():
    assert check_password("ﬁve", passwords.hash_password("ﬁve")) is False
    assert check_password("five", passwords.hash_password("ﬁve")) is True


def test_cast_signs_in_with_the_password_of_the_tests(mongo, nobody):
    make_cast("Initech", {"peter": Role.OWNER})

    assert nobody.post(LOG_IN, credentials("peter@example.com")).status_code == 200
