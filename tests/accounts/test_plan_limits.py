"""What a plan allows is allowed, to the request, for everybody of an organization together."""

import re
from uuid import uuid4

import pytest
from rest_framework.test import APIClient
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts import limit_windows
from accounts.models import Membership
from accounts.throttles import PlanThrottle
from tenancy import catalog
from tenancy.models import Organization, Plan
from tests.conftest import PASSWORD
from tests.http import DOCUMENTS, refused
from tests.servers import at_once

pytestmark = pytest.mark.usefixtures("quick", "limited")

ROUTE, KEYS = "/api/v1/organization", "/api/v1/organization/api-keys"
POLICY = '"minute";q=6;w=60, "burst";q=4;w=1'


@pytest.fixture
def limited(settings):
    settings.RATE_LIMITS = True


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still until it is moved."""
    now = [1000.0]
    monkeypatch.setattr(limit_windows, "seconds", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def limit(cast, requests_per_minute=None, burst=None):
    """Give an organization a plan of its own."""
    plan, _ = Plan.objects.update_or_create(
        code=cast.slug, defaults={"requests_per_minute": requests_per_minute, "burst": burst}
    )
    Organization.objects.filter(pk=cast.id).update(plan=plan)
    catalog.forget_tenant(cast.id)


def test_answers_say_what_is_allowed_and_what_is_left(acme, alice, clock):
    limit(acme, 6, 4)

    first = alice.get(ROUTE)
    clock(0.5)
    second = alice.get(ROUTE)

    assert first["RateLimit-Policy"] == second["RateLimit-Policy"] == POLICY
    assert first["RateLimit"] == '"minute";r=5;t=60, "burst";r=3;t=1'
    assert second["RateLimit"] == '"minute";r=4;t=60, "burst";r=2;t=1'
    assert "Retry-After" not in first


def test_a_burst_is_refused_and_a_second_later_let_through(acme, alice, clock):
    limit(acme, 6, 4)
    assert [alice.get(ROUTE).status_code for _ in range(4)] == [200] * 4

    answer = alice.get(ROUTE)

    refused(answer, 429, "rate_limited")
    assert (answer["Retry-After"], answer["RateLimit-Policy"]) == ("1", POLICY)
    assert answer["RateLimit"] == '"minute";r=2;t=60, "burst";r=0;t=1'
    assert "4 requests in a second" in answer.json()["detail"]
    clock(1)
    assert [alice.get(ROUTE).status_code for _ in range(3)] == [200, 200, 429]


def test_retry_after_is_when_there_is_room(acme, alice, clock):
    limit(acme, 2)
    alice.get(ROUTE)
    clock(10)
    alice.get(ROUTE)
    clock(5.5)

    answer = alice.get(ROUTE)

    assert (answer.status_code, answer["Retry-After"]) == (429, "45")
    assert answer["RateLimit"] == '"minute";r=0;t=45'
    clock(45)
    assert [alice.get(ROUTE).status_code for _ in range(2)] == [200, 429]


def test_people_and_programs_share_what_their_organization_has(acme, alice, bob):
    key = alice.post(KEYS, {"name": "robot", "role": "viewer", "scopes": ["organization.read"]})
    robot = APIClient(HTTP_X_API_KEY=key.json()["key"])
    limit(acme, 4)

    answers = [who.get(ROUTE) for who in (alice, bob, robot, alice, robot)]

    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert [re.findall(r"r=(\d)", answer["RateLimit"]) for answer in answers[:4]] == [
        ["3"], ["2"], ["1"], ["0"],
    ]  # fmt: skip


def test_an_organization_cannot_eat_what_another_has(acme, globex, alice, charlie):
    limit(acme, 2)
    limit(globex, 2)
    for _ in range(5):
        alice.get(ROUTE)

    assert [charlie.get(ROUTE).status_code for _ in range(3)] == [200, 200, 429]


def test_plans_do_not_share_though_organizations_do_a_plan(acme, globex, alice, charlie):
    limit(acme, 2)
    Organization.objects.filter(pk=globex.id).update(plan=Plan.objects.get(code="acme"))
    catalog.clear_cache()
    alice.get(ROUTE)
    alice.get(ROUTE)

    assert (alice.get(ROUTE).status_code, charlie.get(ROUTE).status_code) == (429, 200)


def test_a_plan_without_limits_is_not_counted_nor_spoken_of(acme, alice, monkeypatch):
    monkeypatch.setattr(limit_windows.MemoryWindows, "take", None)

    answer = alice.get(ROUTE)

    assert answer.status_code == 200
    assert not {"RateLimit", "RateLimit-Policy", "Retry-After"} & set(answer.headers)


def test_limits_that_are_off_are_not_spoken_of(acme, alice, settings):
    settings.RATE_LIMITS = False
    limit(acme, 1, 1)

    answers = [alice.get(ROUTE) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0]


def test_a_changed_plan_holds_for_what_was_counted(acme, alice):
    limit(acme, 5)
    for _ in range(3):
        alice.get(ROUTE)

    limit(acme, 3)
    assert alice.get(ROUTE).status_code == 429
    limit(acme, 4)
    assert alice.get(ROUTE).status_code == 200


def test_a_plan_of_nothing_at_all_lets_nobody_through(acme, alice):
    limit(acme, 0)

    answer = alice.get(ROUTE)

    assert (answer.status_code, answer["Retry-After"]) == (429, "60")


def test_thirty_two_at_once_get_what_the_plan_allows(acme, alice):
    limit(acme, 10)
    token = alice._credentials["HTTP_AUTHORIZATION"]

    answers = at_once([lambda: APIClient(HTTP_AUTHORIZATION=token).get(ROUTE).status_code] * 32)

    assert sorted(answers) == [200] * 10 + [429] * 22


def test_errors_carry_the_headers_too(acme, alice):
    limit(acme, 6, 4)

    answers = [
        alice.get(f"{DOCUMENTS}/missing"),
        alice.get(DOCUMENTS, {"limit": "0"}),
        alice.generic("POST", DOCUMENTS, "{", content_type="application/json"),
    ]

    assert [answer.status_code for answer in answers] == [404, 400, 400]
    assert {answer["RateLimit-Policy"] for answer in answers} == {POLICY}


@pytest.fixture
def used_up(acme, alice):
    """What a leaked key has left of the plan: nothing. Returns the key's id."""
    key = alice.post(KEYS, {"name": "leaked", "role": "viewer", "scopes": ["organization.read"]})
    limit(acme, 2)
    robot = APIClient(HTTP_X_API_KEY=key.json()["key"])
    assert [robot.get(ROUTE).status_code for _ in range(3)] == [200, 200, 429]
    return key.json()["id"]


def test_a_key_that_uses_the_plan_up_can_be_found_and_revoked(alice, used_up):
    assert alice.get(KEYS).json()["data"][0]["id"] == used_up
    assert alice.delete(f"{KEYS}/{used_up}").status_code == 204


def test_people_can_be_shut_out_while_the_plan_is_used_up(acme, alice, used_up):
    bob = Membership.objects.get(user=acme.users["bob"])

    answers = [
        alice.delete(f"{ROUTE}/members/{bob.pk}"),
        alice.delete(f"{ROUTE}/invitations/{uuid4()}"),
        alice.get("/api/v1/auth/sessions"),
        alice.delete(f"/api/v1/auth/sessions/{uuid4()}"),
        alice.patch("/api/v1/me", {"name": "Alice"}),
        alice.post("/api/v1/auth/logout-all"),
    ]

    assert [answer.status_code for answer in answers] == [204, 404, 200, 404, 200, 204]
    assert not [answer for answer in answers if "RateLimit" in answer]


def test_a_password_can_be_changed_while_the_plan_is_used_up(alice, used_up):
    body = {"current_password": PASSWORD, "new_password": "another horse 10 battery"}

    assert alice.post("/api/v1/auth/password/change", body).status_code == 204


def test_what_ends_credentials_is_counted_for_programs(acme, alice):
    terms = {"name": "robot", "role": "admin", "scopes": ["members.manage"]}
    robot = APIClient(HTTP_X_API_KEY=alice.post(KEYS, terms).json()["key"])
    limit(acme, 1)

    answers = [robot.delete(f"{ROUTE}/members/{uuid4()}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [404, 429]


def test_what_is_public_is_not_counted_and_another_organization_is(acme, alice):
    limit(acme, 1)

    public = [alice.get("/org/get", {"organization_name": "Acme"}) for _ in range(3)]
    founded = [alice.post("/api/v1/organizations", {"name": "a"}) for _ in range(2)]

    assert [answer.status_code for answer in public] == [200] * 3
    assert founded[1].status_code == 429


def test_nobody_has_no_plan(acme, nobody):
    limit(acme, 1)

    for path in ("/livez", "/", "/org/get?organization_name=Acme", ROUTE):
        assert "RateLimit" not in nobody.get(path)


def test_limits_are_shown_with_the_organization(acme, alice):
    limit(acme, 600, 50)

    shown = alice.get(ROUTE).json()["limits"]

    assert (shown["requests_per_minute"], shown["burst"]) == (600, 50)


@pytest.mark.parametrize("requests_per_minute", [None, 1000])
def test_counting_reads_nothing_from_the_catalog(
    acme, alice, settings, requests_per_minute, django_assert_num_queries
):
    settings.TENANCY_CATALOG_TTL = settings.ACCOUNTS_ROW_TTL = 60
    limit(acme, requests_per_minute)
    alice.put(f"{DOCUMENTS}/one", {"a": 1})

    with django_assert_num_queries(0):
        answer = alice.get(f"{DOCUMENTS}/one")

    assert answer.status_code == 200
    assert ("RateLimit" in answer) == (requests_per_minute is not None)


def test_what_django_rest_framework_raises_itself_is_the_same_problem(acme, alice, monkeypatch):
    def throttled(self, request, view):
        return False

    monkeypatch.setattr(PlanThrottle, "allow_request", throttled)
    monkeypatch.setattr(PlanThrottle, "wait", lambda self: 6.2)

    answer = alice.get(ROUTE)

    refused(answer, 429, "rate_limited")
    assert answer["Retry-After"] == "7"


def test_every_view_is_under_the_throttles():
    assert {each.__name__ for each in APIView.throttle_classes} == {
        "AddressThrottle", "PlanThrottle",
    }  # fmt: skip
    assert all(issubclass(each, BaseThrottle) for each in APIView.throttle_classes)


def test_the_document_says_that_any_request_can_be_one_too_many(document):
    paths = document["paths"]

    silent = [
        (path, method)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "401" in operation["responses"] and "429" not in operation["responses"]
    ]

    assert len(paths) > 20
    assert silent == []
