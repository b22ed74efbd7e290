"""Signing in with two factors: a code once, in its time, and never instead of the password."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as configuration
from django.core import mail, signing
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.exceptions import InvalidCredentials
from accounts.models import Membership, Session, TotpDevice, User
from accounts.models.two_factor import FAILURES_MAX
from accounts.roles import Role
from accounts.two_factor import check_still_proved
from accounts.two_factor_tokens import LIFETIME_SECONDS, make_token
from tests.accounts.authenticator import (
    VERIFY,
    code_of,
    enroll,
    log_in,
    offer,
    signed_in,
    standing_still,
    wrong_code_of,
)
from tests.accounts.test_two_factor import actions, session_of
from tests.http import pointers, refused

ORGANIZATION = "/api/v1/organization"
LEGACY_LOGIN = "/admin/login"
THREADS = 16
SECONDS = 30


@pytest.fixture
def enrolled(acme, alice):
    return enroll(alice)


@pytest.fixture(autouse=True)
def no_limits(settings):
    """What is tested here is the pause after a wrong code, not the limits in front of it."""
    settings.RATE_LIMITS = False


def token_of(answer):
    return refused(answer, 401, "two_factor_required")["two_factor_token"]


def verify(token, **proof):
    return APIClient().post(VERIFY, {"two_factor_token": token, **proof})


def at(seconds):
    """Travel: the time stands still, so many seconds from now."""
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False)


# --- A code is needed ---------------------------------------------------------------------------


def test_password_alone_opens_nothing(enrolled):
    before = Session.objects.count()

    body = refused(log_in(), 401, "two_factor_required")

    assert "access_token" not in body
    assert Session.objects.count() == before


def test_password_and_code_open_a_session_of_two_factors(enrolled):
    answer = log_in(code=code_of(enrolled.secret))

    client = signed_in(answer)
    assert session_of(client).methods == "pwd otp"
    claims = signing.b64_decode(answer.json()["access_token"].split(".")[1].encode())
    assert b'"amr":["pwd","otp"]' in claims


def test_refresh_keeps_the_methods(enrolled):
    first = log_in(code=code_of(enrolled.secret)).json()

    answer = APIClient().post("/api/v1/auth/refresh", {"refresh_token": first["refresh_token"]})

    assert session_of(signed_in(answer)).methods == "pwd otp"


def test_code_follows_the_password_in_a_second_request(enrolled):
    answer = verify(token_of(log_in()), code=code_of(enrolled.secret))

    assert signed_in(answer).get(ORGANIZATION).status_code == 200
    assert set(answer.json()) == set(log_in("bob").json())


def test_wanted_organization_is_kept_between_the_two_requests(enrolled, acme, globex):
    user, organization = acme.users["alice"], globex.organization
    Membership.objects.create(user=user, organization=organization, role=Role.VIEWER)

    answer = verify(token_of(log_in(organization="globex")), code=code_of(enrolled.secret))

    assert answer.json()["organization"]["slug"] == "globex"


def test_one_without_an_authenticator_signs_in_as_before(enrolled, alice, bob):
    offer(bob)

    assert log_in("bob").status_code == 200
    assert log_in("vera", code="123456").status_code == 200


@pytest.mark.parametrize("password", ["wrong horse 9 battery", ""])
@pytest.mark.parametrize("extra", [{}, {"code": "123456"}])
def test_wrong_password_does_not_tell_of_a_second_factor(enrolled, password, extra):
    with_one, without = (log_in(who, password=password, **extra) for who in ("alice", "bob"))

    first, second = with_one.json(), without.json()
    for body in (first, second):
        body.pop("request_id")
    assert with_one.status_code == without.status_code
    assert first == second


def test_wrong_password_does_not_use_a_code_up(enrolled):
    code = code_of(enrolled.secret)

    refused(log_in(password="wrong horse 9 battery", code=code), 401, "invalid_credentials")

    assert log_in(code=code).status_code == 200


def test_organizations_are_not_told_for_a_password_alone(enrolled):
    for organization in ("acme", "nothing-of-the-kind"):
        refused(log_in(organization=organization), 401, "two_factor_required")


# --- Codes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_clock_may_be_one_step_off(enrolled, steps):
    with at(300):
        assert log_in(code=code_of(enrolled.secret, steps)).status_code == 200


@pytest.mark.parametrize("steps", [-3, -2, 2, 3])
def test_clock_may_be_no_more_than_one_step_off(enrolled, steps):
    with at(300):
        refused(log_in(code=code_of(enrolled.secret, steps)), 401, "two_factor_invalid")


def test_code_works_once(enrolled):
    with at(300):
        code = code_of(enrolled.secret)
        assert log_in(code=code).status_code == 200
        refused(log_in(code=code), 401, "two_factor_invalid")


def test_code_of_an_earlier_step_does_not_work_after_a_later_one(enrolled):
    with at(300):
        assert log_in(code=code_of(enrolled.secret, 1)).status_code == 200
        refused(log_in(code=code_of(enrolled.secret)), 401, "two_factor_invalid")


def test_first_code_does_not_sign_in_as_well(alice):
    with at(0):
        enrolled = enroll(alice, steps=0)

        refused(log_in(code=code_of(enrolled.secret)), 401, "two_factor_invalid")


def test_code_may_be_typed_in_groups(enrolled):
    code = code_of(enrolled.secret)

    assert log_in(code=f" {code[:3]} {code[3:]} ").status_code == 200


def test_one_of_many_with_the_same_code_wins(enrolled):
    code, token = code_of(enrolled.secret), token_of(log_in())
    barrier = threading.Barrier(THREADS, timeout=SECONDS)

    def sign_in_at_once(_):
        barrier.wait()
        try:
            return verify(token, code=code).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as threads:
        statuses = list(threads.map(sign_in_at_once, range(THREADS)))

    assert sorted(statuses) == [200] + [401] * (THREADS - 1)


# --- The pause after a wrong code ---------------------------------------------------------------


def test_wrong_code_makes_the_next_one_wait_twice_as_long_each_time(enrolled):
    elapsed = 0
    for pause in (1, 2, 4, 8):
        with at(elapsed):
            answer = log_in(code=wrong_code_of(enrolled.secret))
            body = refused(answer, 401, "two_factor_invalid")
            assert (answer["Retry-After"], body["retry_after"]) == (str(pause), pause)
            early = log_in(code=code_of(enrolled.secret))
            refused(early, 401, "two_factor_invalid")
            assert early["Retry-After"] == str(pause)
        elapsed += pause + 1
    with at(elapsed):
        assert log_in(code=code_of(enrolled.secret)).status_code == 200
        assert TotpDevice.objects.get().throttling_failure_count == 0


def test_of_many_guesses_at_once_one_is_looked_at(enrolled, monkeypatch):
    looked_at = []
    monkeypatch.setattr(TotpDevice, "_find_step", lambda _, code: looked_at.append(code))
    barrier, wrong = threading.Barrier(THREADS, timeout=SECONDS), wrong_code_of(enrolled.secret)
    device = TotpDevice.objects.get()
    stale = [TotpDevice.objects.get(pk=device.pk) for _ in range(THREADS)]

    def guess(own):
        barrier.wait()
        try:
            return own.verify_token(wrong)
        finally:
            connections.close_all()

    with standing_still(), ThreadPoolExecutor(THREADS) as threads:
        assert not any(threads.map(guess, stale))

    assert looked_at == [wrong]
    assert TotpDevice.objects.get().throttling_failure_count == 1


def test_pause_has_an_end_and_recovery_codes_have_none(enrolled):
    TotpDevice.objects.update(
        throttling_failure_count=FAILURES_MAX, throttling_failure_timestamp=timezone.now()
    )
    longest = configuration.ACCOUNTS_CODE_THROTTLE * 2 ** (FAILURES_MAX - 1)

    answer = log_in(code=code_of(enrolled.secret))

    assert longest - 5 <= int(answer["Retry-After"]) <= longest == 2048
    assert log_in(code=enrolled.recovery_codes[0]).status_code == 200
    with at(longest + 1):
        log_in(code=wrong_code_of(enrolled.secret))
        assert TotpDevice.objects.get().throttling_failure_count == FAILURES_MAX
    with at(2 * longest + 3):
        assert log_in(code=code_of(enrolled.secret)).status_code == 200


def test_user_hears_of_several_wrong_codes_once(acme, enrolled):
    mail.outbox.clear()
    for attempt in range(7):
        with at(attempt * 200):
            log_in(code=wrong_code_of(enrolled.secret))

    assert [letter.subject for letter in mail.outbox] == ["Wrong codes at your sign-in"]
    assert actions(acme)[-1] == ("two_factor.codes_guessed", "anonymous")


def test_what_is_no_code_at_all_costs_no_pause(enrolled):
    answer = log_in(code="12345")

    refused(answer, 401, "two_factor_invalid")
    assert "Retry-After" not in answer
    assert log_in(code=code_of(enrolled.secret)).status_code == 200


# --- The token between --------------------------------------------------------------------------


def test_token_alone_is_worth_nothing(enrolled):
    token = token_of(log_in())
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    refused(client.get(ORGANIZATION), 401, "not_authenticated")
    assert pointers(refused(verify(token), 422, "validation_failed")) == [""]
    refused(verify(token, code=wrong_code_of(enrolled.secret)), 401, "two_factor_invalid")


def test_token_lapses(enrolled):
    token = token_of(log_in())

    with at(LIFETIME_SECONDS + 1):
        refused(verify(token, code=code_of(enrolled.secret)), 401, "token_expired")


def test_token_ends_with_the_password(acme, enrolled):
    token = token_of(log_in())
    user = User.objects.get(pk=acme.users["alice"].pk)
    user.set_password("another horse 7 staple")
    user.save()

    refused(verify(token, code=code_of(enrolled.secret)), 401, "token_revoked")


@pytest.mark.parametrize("change", [{"is_active": False}])
def test_token_ends_with_the_account(acme, enrolled, change):
    token = token_of(log_in())
    User.objects.filter(pk=acme.users["alice"].pk).update(**change)

    refused(verify(token, code=code_of(enrolled.secret)), 401, "token_revoked")


def test_token_of_one_user_takes_no_code_of_another(acme, bob, enrolled):
    other = enroll(bob)

    refused(verify(token_of(log_in()), code=code_of(other.secret)), 401, "two_factor_invalid")
    answer = verify(token_of(log_in()), recovery_code=other.recovery_codes[0])
    refused(answer, 401, "two_factor_invalid")


def test_forged_token_is_refused(acme, enrolled):
    good = token_of(log_in())
    content = {"u": str(acme.users["alice"].pk), "p": "x", "o": None}
    forged = [
        "x", "a:b:c", good[:-1], good + "x", good.swapcase(), "\u20ac" * 50, "\0",
        signing.dumps(content, salt="another"),
        signing.dumps(content, key="another", salt="accounts.two_factor_tokens"),
        good.split(":", 1)[0] + ":" + make_token(acme.users["bob"], None).split(":", 1)[1],
    ]  # fmt: skip

    for token in forged:
        answer = verify(token, code="123456")
        assert answer.status_code in {401, 422}
        assert answer.json()["code"] in {"not_authenticated", "validation_failed"}
    content["p"] = "\u20ac"
    odd = signing.dumps(content, salt="accounts.two_factor_tokens")
    refused(verify(odd, code="123456"), 401, "token_revoked")


@pytest.mark.parametrize(
    "proof",
    [{}, {"code": "123456", "recovery_code": "x"}, {"code": 123456}, {"recovery_code": None},
     {"code": "1" * 65}, {"code": "123456", "password": "x"}],
)  # fmt: skip
def test_ill_formed_proof_is_refused(enrolled, proof):
    refused(verify(token_of(log_in()), **proof), 422, "validation_failed")


def test_second_factor_that_came_or_went_meanwhile_stops_the_sign_in(acme, enrolled):
    alice, bob = acme.users["alice"], acme.users["bob"]

    check_still_proved(alice, "pwd otp")
    check_still_proved(bob, "pwd")
    for user, methods in ((alice, "pwd"), (bob, "pwd otp")):
        with pytest.raises(InvalidCredentials):
            check_still_proved(user, methods)


# --- The route of old ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "multipart"])
def test_compatibility_login_asks_for_the_code_too(enrolled, form):
    body = {"email": "alice@example.com", "password": "correct horse 9 battery"}
    nobody = APIClient()

    token = token_of(nobody.post(LEGACY_LOGIN, body, format=form))
    answer = nobody.post(LEGACY_LOGIN, body | {"code": code_of(enrolled.secret)}, format=form)

    assert answer.status_code == 200
    assert session_of(signed_in(answer)).methods == "pwd otp"
    assert verify(token, recovery_code=enrolled.recovery_codes[0]).status_code == 200
    wrong = nobody.post(LEGACY_LOGIN, body | {"code": "x"}, format=form)
    refused(wrong, 401, "two_factor_invalid")
