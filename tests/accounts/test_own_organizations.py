"""Founding another organization, what one may do in it, and what it asks of its people."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.login import sign_in
from accounts.models import Membership, User
from accounts.ownership import found_organization
from accounts.principals import KeyHolder, Member
from accounts.roles import Role, permissions_of
from accounts.sessions import Device
from tenancy.exceptions import PlanLimitReached
from tenancy.models import AuditEvent, Organization
from tests.conftest import PASSWORD
from tests.http import pointers, refused

pytestmark = pytest.mark.usefixtures("quick")

FOUND = "/api/v1/organizations"
ORGANIZATION = "/api/v1/organization"
PERMISSIONS = "/api/v1/organization/permissions"


def member(cast, who):
    row = Membership.objects.get(user=cast.users[who], organization=cast.organization)
    session = sign_in(cast.users[who], row, Device()).session
    return Member(
        cast.id, row.role, user_id=row.user_id, membership_id=row.pk, session_id=session.pk
    )


# --- founding -----------------------------------------------------------------------------------


def test_vera_founds_her_own_and_switches_to_it(acme):
    login = APIClient().post(
        "/api/v1/auth/login", {"email": "vera@example.com", "password": PASSWORD}
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {login.json()['access_token']}")

    answer = client.post(FOUND, {"name": "Vera & Co"})

    body = answer.json()
    assert (answer.status_code, answer["Location"]) == (201, ORGANIZATION)
    assert (body["slug"], body["role"], body["status"]) == ("vera-co", "owner", "active")
    assert "refresh" in body["hint"]
    switch = {"refresh_token": login.json()["refresh_token"], "organization": body["id"]}
    pair = APIClient().post("/api/v1/auth/refresh", switch).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair['access_token']}")
    assert client.get(ORGANIZATION).json()["slug"] == "vera-co"
    assert client.get(PERMISSIONS).json()["role"] == "owner"


def test_founding_is_recorded_with_its_founder(acme, vera):
    vera.post(FOUND, {"name": "Veras"})

    event = AuditEvent.objects.get(action="organization.created", organization__slug="veras")
    assert event.actor == f"user:{acme.users['vera'].pk}"


def test_name_of_another_is_refused(acme, globex, vera):
    assert pointers(refused(vera.post(FOUND, {"name": "GLOBEX"}), 409, "name_taken")) == ["/name"]

    assert acme.users["vera"].memberships.count() == 1


def test_no_more_than_one_user_may_own(acme, alice, settings):
    settings.ACCOUNTS_MAX_ORGANIZATIONS = 2
    assert alice.post(FOUND, {"name": "Second"}).status_code == 201

    body = refused(alice.post(FOUND, {"name": "Third"}), 403, "plan_limit_reached")

    assert (body["limit"], body["used"], body["name"]) == (2, 2, "organizations")
    assert not Organization.objects.filter(slug="third").exists()
    assert alice.post(FOUND, {"name": "Acme"}).status_code in {403, 409}


def test_of_many_at_once_no_more_than_allowed_are_founded(acme, settings):
    settings.ACCOUNTS_MAX_ORGANIZATIONS = 3
    alice, barrier = member(acme, "alice"), Barrier(6)

    def found(number):
        barrier.wait(10)
        try:
            found_organization(alice, f"Daughter {number}")
        except PlanLimitReached:
            return 0
        finally:
            connection.close()
        return 1

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(found, range(6))) == 2

    assert Membership.objects.filter(user=acme.users["alice"], role=Role.OWNER).count() == 3


def test_organization_has_the_id_that_was_chosen_for_it(acme):
    chosen = uuid.uuid4()

    made = found_organization(member(acme, "alice"), "Chosen", organization_id=chosen)

    assert made.pk == chosen
    assert Membership.objects.get(organization=chosen).role == Role.OWNER


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"), ({"name": None}, "/name"), ({"name": ""}, "/name"), ({"name": 1}, "/name"),
        ({"name": "x" * 2_000}, "/name"), ({"name": "nul\x00"}, "/name"),
        ({"name": "Ok", "region": "nowhere"}, "/region"), ({"name": "Ok", "region": 1}, "/region"),
        ({"name": "Ok", "region": "n\x00"}, "/region"), ({"name": "Ok", "plan": "big"}, "/plan"),
    ],
)  # fmt: skip
def test_wrong_bodies_are_refused_with_a_pointer(acme, vera, body, pointer):
    assert pointer in pointers(refused(vera.post(FOUND, body), 422, "validation_failed"))

    assert Organization.objects.count() == 1


# --- what may I do ------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "bob", "vera"])
def test_permissions_are_those_of_the_role(acme, who):
    body = acme.client(who).get(PERMISSIONS).json()

    role = Membership.objects.get(user=acme.users[who]).role
    assert body == {
        "role": role, "permissions": permissions_of(role), "scopes": None, "collections": None,
    }  # fmt: skip


def test_permissions_of_a_key_are_narrowed_by_its_scopes():
    from accounts.api.organizations import represent_permissions

    key = KeyHolder(
        uuid.uuid4(), Role.VIEWER, key_id=uuid.uuid4(), collections=frozenset({"b", "a"}),
        scopes=frozenset({"documents.read", "documents.write"}),
    )  # fmt: skip

    assert represent_permissions(key) == {
        "role": "viewer",
        "permissions": ["documents.read"],
        "scopes": ["documents.read", "documents.write"],
        "collections": ["a", "b"],
    }


# --- two factors for everybody ------------------------------------------------------------------


def test_policy_bites_at_once_and_spares_who_gave_a_code(acme, alice, bob):
    membership = Membership.objects.get(user=acme.users["vera"])
    with_code = APIClient()
    signed_in = sign_in(acme.users["vera"], membership, Device(), methods="pwd otp")
    with_code.credentials(HTTP_AUTHORIZATION=f"Bearer {signed_in.access_token}")
    assert bob.get(ORGANIZATION).status_code == 200

    answer = alice.patch(ORGANIZATION, {"two_factor_required": True})

    assert answer.json()["two_factor_required"] is True
    refused(bob.get(ORGANIZATION), 403, "two_factor_enrollment_required")
    refused(alice.get(ORGANIZATION), 403, "two_factor_enrollment_required")
    assert with_code.get(ORGANIZATION).json()["two_factor_required"] is True
    assert bob.get("/api/v1/me").status_code == 200
    event = AuditEvent.objects.order_by("id").last()
    assert (event.action, event.details) == (
        "organization.changed", {"two_factor_required": True},
    )  # fmt: skip


def test_policy_can_be_taken_back(acme):
    Organization.objects.filter(pk=acme.id).update(two_factor_required=True)
    membership = Membership.objects.get(user=acme.users["alice"])
    owner = APIClient()
    signed_in = sign_in(acme.users["alice"], membership, Device(), methods="pwd otp")
    owner.credentials(HTTP_AUTHORIZATION=f"Bearer {signed_in.access_token}")
    bob = acme.client("bob")
    refused(bob.get(ORGANIZATION), 403, "two_factor_enrollment_required")

    owner.patch(ORGANIZATION, {"two_factor_required": False})

    assert bob.get(ORGANIZATION).status_code == 200


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_policy_is_for_admins_to_decide(acme, who):
    answer = acme.client(who).patch(ORGANIZATION, {"two_factor_required": True})

    refused(answer, 403, "permission_denied")
    assert not Organization.objects.get(pk=acme.id).two_factor_required


def test_one_user_in_many_organizations_is_found_by_name(acme, globex):
    user = User.objects.get(pk=acme.users["bob"].pk)
    Membership.objects.create(user=user, organization=globex.organization, role=Role.VIEWER)
    body = {"email": "bob@example.com", "password": PASSWORD}

    for named in ("globex", str(globex.id)):
        answer = APIClient().post("/api/v1/auth/login", body | {"organization": named})
        assert answer.json()["organization"]["slug"] == "globex"
