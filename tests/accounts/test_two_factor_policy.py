"""An organization that requires two factors: who has one goes on, who has none can enroll."""

import pytest
from rest_framework.test import APIClient

from accounts.models import Membership
from accounts.principals import forget_members
from accounts.roles import PUBLIC, SIGNED_IN, Role
from tenancy.models import AuditEvent, Organization
from tests.accounts.authenticator import TOTP, code_of, enroll, log_in, signed_in
from tests.conftest import PASSWORD
from tests.http import refused
from tests.test_isolation import API_ROUTES, METHODS, label, send

ORGANIZATION = "/api/v1/organization"
OF_A_PERMISSION = [
    (route, method)
    for route in API_ROUTES
    for method in METHODS
    if route.action(method) and route.required(method) not in {PUBLIC, SIGNED_IN}
]
CODE = "two_factor_enrollment_required"


def require(cast):
    queryset = Organization.objects.filter(pk=cast.id)
    queryset.update(two_factor_required=True)
    forget_members()


@pytest.fixture
def strict(acme):
    require(acme)
    return acme


@pytest.mark.parametrize(("route", "method"), OF_A_PERMISSION, ids=label)
def test_one_factor_opens_no_route_of_the_organization(strict, route, method):
    refused(send(strict.client("alice"), route, method), 403, CODE)


def test_own_account_stays_open(strict, alice):
    for path in ("/api/v1/auth/sessions", "/api/v1/auth/two-factor"):
        assert alice.get(path).status_code == 200


def test_policy_bites_a_session_that_is_open(acme, alice):
    assert alice.get(ORGANIZATION).status_code == 200

    require(acme)

    refused(alice.get(ORGANIZATION), 403, CODE)


def test_enrollment_opens_everything_without_a_new_sign_in(strict, alice):
    refused(alice.get(ORGANIZATION), 403, CODE)

    enroll(alice)

    assert alice.get(ORGANIZATION).status_code == 200
    assert alice.post("/api/v1/collections/main/documents", {"n": 1}).status_code == 201


def test_one_who_lacks_the_factor_signs_in_to_enroll(strict):
    client = signed_in(log_in("bob"))
    refused(client.get(ORGANIZATION), 403, CODE)

    enrolled = enroll(client)

    assert client.get(ORGANIZATION).status_code == 200
    again = signed_in(log_in("bob", code=code_of(enrolled.secret)))
    assert again.get(ORGANIZATION).status_code == 200


def test_refreshed_session_keeps_its_factors(strict):
    one = log_in("bob").json()
    enroll(signed_in(log_in("alice")))
    refreshed = APIClient().post("/api/v1/auth/refresh", {"refresh_token": one["refresh_token"]})

    refused(signed_in(refreshed).get(ORGANIZATION), 403, CODE)
    enroll(signed_in(refreshed))
    token = refreshed.json()["refresh_token"]
    both = APIClient().post("/api/v1/auth/refresh", {"refresh_token": token})
    assert signed_in(both).get(ORGANIZATION).status_code == 200


def test_switch_to_a_strict_organization_needs_the_factor(strict, globex):
    Membership.objects.create(
        user=globex.users["charlie"], organization=strict.organization, role=Role.VIEWER
    )
    first = log_in("charlie", organization="globex").json()

    body = {"refresh_token": first["refresh_token"], "organization": "acme"}
    client = signed_in(APIClient().post("/api/v1/auth/refresh", body))

    refused(client.get(ORGANIZATION), 403, CODE)
    enroll(client)
    assert client.get(ORGANIZATION).json()["slug"] == "acme"


def test_removal_is_allowed_and_closes_the_organization_at_once(strict, alice):
    enrolled = enroll(alice)
    assert alice.get(ORGANIZATION).status_code == 200

    body = {"current_password": PASSWORD, "code": code_of(enrolled.secret)}
    assert alice.delete(TOTP, body).status_code == 204

    refused(alice.get(ORGANIZATION), 403, CODE)
    enroll(alice)
    assert alice.get(ORGANIZATION).status_code == 200


def test_event_is_in_each_of_the_users_organizations(strict, globex, alice):
    Membership.objects.create(
        user=strict.users["alice"], organization=globex.organization, role=Role.VIEWER
    )

    enroll(alice)

    events = AuditEvent.objects.filter(action="two_factor.enabled")
    assert {event.organization_id for event in events} == {strict.id, globex.id}
    assert {str(event.details) for event in events} == {
        str({"user": str(strict.users["alice"].pk)})
    }


def test_policy_of_one_organization_does_not_close_another(strict, charlie):
    assert charlie.get(ORGANIZATION).status_code == 200
