"""Signing in is limited, and the limits keep nobody out for ever and tell nothing."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import limit_windows, login
from accounts.models import Session, User
from tenancy.models import AuditEvent
from tests.accounts import authenticator
from tests.conftest import PASSWORD
from tests.http import refused
from tests.invitations import ask, last_token
from tests.servers import at_once

pytestmark = pytest.mark.usefixtures("quick", "limited")

AUTH = "/api/v1/auth"
LOG_IN, LEGACY = f"{AUTH}/login", "/admin/login"
SITE = "/admin/login/"
ALICE, BOB, NOBODY = "alice@example.com", "bob@example.com", "nobody@example.com"
WRONG = "a wrong horse 9"
HOME, OFFICE, ELSEWHERE = "192.0.2.1", "192.0.2.2", "198.51.100.9"
PAIR_LIMIT, ACCOUNT_LIMIT = 3, 6


@pytest.fixture
def limited(settings):
    """Limits that are reached soon."""
    settings.RATE_LIMITS = True
    settings.LIMIT_LOGIN_PAIR = f"{PAIR_LIMIT}/15 minutes"
    settings.LIMIT_LOGIN_ACCOUNT = f"{ACCOUNT_LIMIT}/hour"
    settings.LIMIT_LOGIN_ADDRESS = "12/minute"


@pytest.fixture
def later(monkeypatch):
    """Let time go by."""
    gone = [0.0]
    clock = limit_windows.seconds
    monkeypatch.setattr(limit_windows, "seconds", lambda: clock() + gone[0])
    return lambda **time: gone.__setitem__(0, gone[0] + timedelta(**time).total_seconds())


def log_in(email=ALICE, password=WRONG, address=HOME, route=LOG_IN):
    body = {"email": email, "password": password}
    return APIClient(REMOTE_ADDR=address).post(route, body)


def fill_pair(email=ALICE, address=HOME):
    return [log_in(email, address=address).status_code for _ in range(PAIR_LIMIT)]


def fill_account(email=ALICE):
    """Fail from as many addresses as it takes."""
    for number in range(ACCOUNT_LIMIT):
        assert log_in(email, address=f"203.0.113.{number + 1}").status_code == 401


def told(answer):
    """Return what an answer tells that is not of its own request."""
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    headers = {name: value for name, value in answer.items() if name != "X-Request-Id"}
    return answer.status_code, body, headers


@pytest.mark.parametrize("route", [LOG_IN, LEGACY])
def test_after_some_failures_nobody_gets_in_not_even_by_the_right_password(acme, route):
    failures = [log_in(route=route).status_code for _ in range(PAIR_LIMIT)]

    answer = log_in(password=PASSWORD, route=route)

    assert failures == [401] * PAIR_LIMIT
    refused(answer, 429, "rate_limited")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["retryable"]
    assert answer["Retry-After"] == "60"
    assert "RateLimit-Policy" not in answer


def test_both_routes_count_as_one(acme):
    log_in(route=LEGACY)
    log_in(route=LEGACY)
    log_in(route=LOG_IN)

    assert log_in(route=LEGACY).status_code == 429
    assert log_in(route=LOG_IN).status_code == 429


def test_an_account_that_is_not_there_is_answered_alike(acme):
    known = [told(log_in(ALICE)) for _ in range(PAIR_LIMIT + 1)]
    unknown = [told(log_in(NOBODY)) for _ in range(PAIR_LIMIT + 1)]

    assert known == unknown
    assert [status for status, _, _ in known] == [401] * PAIR_LIMIT + [429]


@pytest.mark.parametrize("fullest", ["pair", "account"])
def test_an_account_that_is_not_there_costs_as_many_queries(acme, settings, fullest):
    if fullest == "account":
        settings.LIMIT_LOGIN_PAIR, settings.LIMIT_LOGIN_ACCOUNT = "50/hour", f"{PAIR_LIMIT}/hour"

    def queries(email):
        counts = []
        for _ in range(PAIR_LIMIT + 2):  # failures, the first refusal, another one
            with CaptureQueriesContext(connection) as captured:
                log_in(email)
            counts.append(len(captured))
        return counts

    log_in(BOB, address=ELSEWHERE)  # what is read once for all has been read

    assert queries(ALICE) == queries(NOBODY)


def test_spellings_of_an_address_count_as_one(acme):
    for email in (ALICE, "ALICE@example.com", "  Alice@Example.com "):
        assert log_in(email).status_code == 401

    assert log_in("aLICE@example.com").status_code == 429


def test_the_answer_does_not_tell_which_limit_it_was(acme, settings):
    fill_pair()
    by_pair = told(log_in())
    fill_account(BOB)
    by_account = told(log_in(BOB, address=ELSEWHERE))
    settings.LIMIT_LOGIN_ADDRESS = "1/minute"
    by_address = told(log_in(NOBODY, address=HOME))

    assert by_pair == by_account == by_address
    assert by_pair[0] == 429


def test_another_address_and_another_account_are_not_concerned(acme):
    fill_pair()

    assert log_in(BOB, PASSWORD, HOME).status_code == 200
    assert log_in(ALICE, PASSWORD, OFFICE).status_code == 200


def test_an_address_that_tries_many_accounts_is_limited(acme):
    for number in range(12):
        assert log_in(f"user-{number}@example.com").status_code == 401

    assert log_in(ALICE, PASSWORD, HOME).status_code == 429
    assert log_in(ALICE, PASSWORD, OFFICE).status_code == 200


def test_a_complete_sign_in_clears_the_pair_and_not_the_address(acme, settings):
    settings.LIMIT_LOGIN_ADDRESS = "5/minute"
    for _ in range(PAIR_LIMIT - 1):
        log_in()

    assert log_in(password=PASSWORD).status_code == 200
    assert [log_in().status_code for _ in range(3)] == [401, 401, 429]


def test_what_was_refused_is_not_counted(acme, later):
    fill_pair()
    for _ in range(20):
        assert log_in().status_code == 429
    later(minutes=15, seconds=1)

    assert log_in(password=PASSWORD).status_code == 200


def test_a_window_ends_by_itself_however_long_it_is_tried(acme, later):
    fill_pair()
    for _ in range(14):
        later(minutes=1)
        assert log_in(password=PASSWORD).status_code == 429
    later(minutes=1, seconds=1)

    assert log_in(password=PASSWORD).status_code == 200


def test_thirty_two_at_once_have_no_more_tries_than_one(acme, monkeypatch):
    tried = []
    monkeypatch.setattr(login, "matches", lambda password, user: bool(tried.append(password)))

    answers = at_once([lambda: log_in().status_code] * 12 + [lambda: log_in(BOB).status_code] * 20)

    assert len(tried) == answers.count(401) == 2 * PAIR_LIMIT
    assert answers.count(429) == 32 - 2 * PAIR_LIMIT


# --- Nobody can lock others out -----------------------------------------------------------------


def test_an_attacked_account_is_closed_to_addresses_it_does_not_know(acme):
    fill_account()

    assert log_in(ALICE, PASSWORD, ELSEWHERE).status_code == 429
    assert log_in(BOB, PASSWORD, ELSEWHERE).status_code == 200


def test_an_attacked_account_is_open_where_it_was_signed_in_to(acme, later):
    assert log_in(ALICE, PASSWORD, HOME).status_code == 200
    for _ in range(3):
        fill_account()
        assert log_in(ALICE, PASSWORD, HOME).status_code == 200
        later(minutes=61)


def test_a_known_address_has_its_own_limits_still(acme):
    log_in(ALICE, PASSWORD, HOME)
    fill_account()

    assert [*fill_pair(), log_in(ALICE, PASSWORD, HOME).status_code] == [401, 401, 401, 429]


def test_an_address_is_forgotten_after_thirty_days(acme):
    log_in(ALICE, PASSWORD, HOME)
    Session.objects.update(created_at=timezone.now() - timedelta(days=31))
    fill_account()

    assert log_in(ALICE, PASSWORD, HOME).status_code == 429


def test_a_neighbour_in_the_same_ipv6_network_is_the_same_address(acme):
    assert log_in(ALICE, PASSWORD, "2001:db8:1:2::1").status_code == 200
    fill_account()

    assert log_in(ALICE, PASSWORD, "2001:db8:1:2:ffff::9").status_code == 200
    for number in range(PAIR_LIMIT):
        assert log_in(BOB, address=f"2001:db8:9:9::{number + 1}").status_code == 401
    assert log_in(BOB, PASSWORD, "2001:db8:9:9:1::").status_code == 429
    assert log_in(BOB, PASSWORD, "2001:db8:9:a::").status_code == 200


def test_a_new_password_by_letter_opens_the_account(acme):
    fill_account()
    APIClient().post(f"{AUTH}/password/forgot", {"email": ALICE})
    token = re.findall(r"^[0-9a-f]{32}-\S+$", mail.outbox[0].body, re.M)[0]
    new = "another horse 7 staple"

    done = APIClient().post(f"{AUTH}/password/reset", {"token": token, "new_password": new})

    assert done.status_code == 204
    assert log_in(ALICE, new, ELSEWHERE).status_code == 200


def test_behind_a_proxy_it_is_the_client_that_counts(acme, settings):
    settings.TENANTRY_BEHIND_PROXY = True

    def log_in_through_proxy(address, password=WRONG):
        client = APIClient(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=f"6.6.6.6, {address}")
        return client.post(LOG_IN, {"email": ALICE, "password": password}).status_code

    assert [log_in_through_proxy(HOME) for _ in range(4)] == [401, 401, 401, 429]
    assert log_in_through_proxy(OFFICE, PASSWORD) == 200


# --- What is left behind ------------------------------------------------------------------------


def test_a_limit_that_is_reached_is_recorded_once_for_its_window(acme, later):
    fill_pair()
    for _ in range(5):
        log_in()
    (event,) = AuditEvent.objects.filter(action="login.limited")

    later(minutes=15, seconds=1)
    fill_pair()
    log_in()

    assert event.organization is None
    assert event.details == {
        "limit": "LIMIT_LOGIN_PAIR", "user": str(acme.users["alice"].pk),
    }  # fmt: skip
    assert event.address == HOME
    assert AuditEvent.objects.filter(action="login.limited").count() == 2


def test_an_account_that_is_not_there_is_recorded_without_its_address(acme):
    fill_pair(NOBODY)
    log_in(NOBODY)

    event = AuditEvent.objects.get(action="login.limited")
    assert event.details == {"limit": "LIMIT_LOGIN_PAIR", "user": None}


def test_hostile_addresses_are_counted_and_break_nothing(acme):
    for email in ("x" * 250 + "@example.com", "a\x00b@example.com", "ällice@example.com", "@"):
        for _ in range(PAIR_LIMIT + 1):
            assert log_in(email).status_code in {401, 422, 429}


def test_nothing_is_limited_when_limits_are_off(acme, settings):
    settings.RATE_LIMITS = False

    assert [log_in().status_code for _ in range(PAIR_LIMIT * 2)] == [401] * PAIR_LIMIT * 2


# --- Other doors --------------------------------------------------------------------------------


def test_half_a_sign_in_clears_nothing_and_a_whole_one_does(acme, alice, settings):
    secret = authenticator.enroll(alice).secret
    halves = [log_in(password=PASSWORD) for _ in range(PAIR_LIMIT - 1)]
    token = halves[0].json()["two_factor_token"]

    body = {"two_factor_token": token, "code": authenticator.code_of(secret)}
    done = APIClient(REMOTE_ADDR=HOME).post(authenticator.VERIFY, body)

    assert {half.json()["code"] for half in halves} == {"two_factor_required"}
    assert done.status_code == 200
    assert [log_in(password=PASSWORD).status_code for _ in range(PAIR_LIMIT + 1)] == [
        *[401] * PAIR_LIMIT, 429,
    ]  # fmt: skip


def test_codes_are_not_to_be_guessed(acme, alice, settings):
    settings.ACCOUNTS_CODE_THROTTLE = 0.0
    settings.LIMIT_TWO_FACTOR_ACCOUNT = "2/15 minutes"
    secret = authenticator.enroll(alice).secret
    token = log_in(password=PASSWORD).json()["two_factor_token"]

    def verify(code, address):
        body = {"two_factor_token": token, "code": code}
        return APIClient(REMOTE_ADDR=address).post(authenticator.VERIFY, body)

    wrong = authenticator.wrong_code_of(secret)
    assert [verify(wrong, address).status_code for address in (HOME, OFFICE)] == [401, 401]
    refused(verify(authenticator.code_of(secret), ELSEWHERE), 429, "rate_limited")


def make_operator():
    return User.objects.create_superuser("root@example.com", PASSWORD)


def site_log_in(password, client=None):
    body = {"username": "root@example.com", "password": password}
    return (client or Client(REMOTE_ADDR=HOME)).post(SITE, body)


def test_the_admin_site_is_limited_and_says_so(acme):
    make_operator()
    for _ in range(PAIR_LIMIT):
        assert "correct email" in site_log_in(WRONG).content.decode()

    page = site_log_in(PASSWORD)

    assert (page.status_code, page.wsgi_request.user.is_authenticated) == (200, False)
    assert "Too many attempts" in page.content.decode()
    assert log_in("root@example.com").status_code == 429


def test_a_sign_in_to_the_admin_site_clears_the_count(acme):
    make_operator()
    for _ in range(PAIR_LIMIT - 1):
        site_log_in(WRONG)

    assert site_log_in(PASSWORD).status_code == 302
    assert "correct email" in site_log_in(WRONG).content.decode()


@pytest.mark.parametrize("email", ["dora@example.com", "robot@example.com"])
def test_the_admin_site_lets_nobody_in_who_is_no_operator(acme, email):
    User.objects.create_user("dora@example.com", PASSWORD)
    User.objects.create_user("robot@example.com", is_staff=True)

    page = Client().post(SITE, {"username": email, "password": PASSWORD})

    assert (page.status_code, page.wsgi_request.user.is_authenticated) == (200, False)


def test_the_password_is_not_to_be_guessed_with_a_stolen_token(acme, alice):
    body = {"current_password": WRONG, "new_password": "another horse 7 staple"}
    tries = [alice.post(f"{AUTH}/password/change", body).status_code for _ in range(PAIR_LIMIT)]

    answer = alice.post(f"{AUTH}/password/change", body | {"current_password": PASSWORD})

    assert tries == [422] * PAIR_LIMIT
    refused(answer, 429, "rate_limited")
    refused(alice.delete("/api/v1/me", {"current_password": PASSWORD}), 429, "rate_limited")


def test_the_password_is_not_to_be_guessed_with_an_invitation(acme, globex, alice):
    ask(alice, "charlie@example.com")
    token = last_token()

    def accept(password):
        return APIClient(REMOTE_ADDR=HOME).post(
            f"/api/v1/invitations/{token}/accept", {"password": password}
        )

    assert [accept(WRONG).status_code for _ in range(PAIR_LIMIT)] == [401] * PAIR_LIMIT
    refused(accept(PASSWORD), 429, "rate_limited")
    assert log_in("charlie@example.com", PASSWORD, OFFICE).status_code == 200


def test_letters_to_one_address_are_few_and_nobody_is_told(acme, settings):
    settings.LIMIT_FORGOT_ACCOUNT = "2/hour"
    answers = {
        email: [APIClient().post(f"{AUTH}/password/forgot", {"email": email}) for _ in range(4)]
        for email in (ALICE, NOBODY)
    }

    assert len(mail.outbox) == 2
    assert [told(each) for each in answers[ALICE]] == [told(each) for each in answers[NOBODY]]
    assert {each.status_code for each in answers[ALICE]} == {202}


@pytest.mark.parametrize(
    ("setting", "method", "path", "body"),
    [
        ("LIMIT_SIGNUP_ADDRESS", "post", f"{AUTH}/signup", {}),
        ("LIMIT_SIGNUP_ADDRESS", "post", "/org/create", {}),
        ("LIMIT_REFRESH_ADDRESS", "post", f"{AUTH}/refresh", {"refresh_token": "none"}),
        ("LIMIT_FORGOT_ADDRESS", "post", f"{AUTH}/password/forgot", {"email": NOBODY}),
        ("LIMIT_FORGOT_ADDRESS", "post", f"{AUTH}/password/reset", {}),
        ("LIMIT_INVITATION_ADDRESS", "get", "/api/v1/invitations/inv_none", None),
        ("LIMIT_INVITATION_ADDRESS", "post", "/api/v1/invitations/inv_none/accept", {}),
    ],
)
def test_what_needs_no_credential_is_limited_by_address(
    acme, settings, setting, method, path, body
):
    setattr(settings, setting, "2/hour")

    def send(address):
        return getattr(APIClient(REMOTE_ADDR=address), method)(path, body)

    assert 429 not in {send(HOME).status_code for _ in range(2)}
    answer = send(HOME)
    refused(answer, 429, "rate_limited")
    assert 3_590 <= int(answer["Retry-After"]) <= 3_600
    assert send(OFFICE).status_code != 429
