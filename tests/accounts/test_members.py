"""Members over HTTP: who is there, who may change whom, and that an owner is left."""

import uuid

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Membership, Session, TotpDevice, User
from accounts.roles import Role
from tenancy.models import AuditEvent, Operation, Organization
from tests.conftest import hashed_password
from tests.http import refused
from tests.test_isolation import API_ROUTES

pytestmark = pytest.mark.usefixtures("quick")

MEMBERS = "/api/v1/organization/members"
ORGANIZATION = "/api/v1/organization"


def join(cast, who, role):
    user = User.objects.create(email=f"{who}@example.com", password=hashed_password())
    cast.users[who] = user
    return Membership.objects.create(user=user, organization=cast.organization, role=role)


def membership(cast, who):
    return Membership.objects.get(user=cast.users[who], organization=cast.organization)


def url_of(cast, who):
    return f"{MEMBERS}/{membership(cast, who).pk}"


def roles_of(cast):
    rows = Membership.objects.filter(organization=cast.organization).select_related("user")
    return {row.user.email.partition("@")[0]: row.role for row in rows}


def last_event():
    return AuditEvent.objects.order_by("id").last()


@pytest.fixture
def adam(acme):
    join(acme, "adam", Role.ADMIN)
    return acme.client("adam")


# --- who is there -------------------------------------------------------------------------------


def test_members_are_listed_with_what_colleagues_need(acme, vera):
    TotpDevice.objects.create(user=acme.users["bob"], confirmed=True, secret_encrypted="x")
    TotpDevice.objects.create(user=acme.users["vera"], confirmed=False, secret_encrypted="x")

    rows = vera.get(MEMBERS).json()["data"]

    assert [(row["user"]["email"], row["role"], row["two_factor"]) for row in rows] == [
        ("alice@example.com", "owner", False),
        ("bob@example.com", "editor", True),
        ("vera@example.com", "viewer", False),
    ]
    assert set(rows[0]) == {"id", "user", "role", "two_factor", "created_at"}
    assert set(rows[0]["user"]) == {"id", "email", "name"}


def test_pages_hold_every_member_once(acme, vera):
    for number in range(7):
        join(acme, f"extra{number}", Role.VIEWER)

    seen, following = [], None
    while True:
        query = {"limit": 3} | ({"cursor": following} if following else {})
        page = vera.get(MEMBERS, query).json()
        seen += [row["user"]["email"] for row in page["data"]]
        following = page["page"]["next"]
        if following is None:
            break

    assert len(seen) == len(set(seen)) == 10


def test_members_are_filtered_by_role(acme, vera):
    assert [row["role"] for row in vera.get(MEMBERS, {"role": "editor"}).json()["data"]] == [
        "editor"
    ]
    refused(vera.get(MEMBERS, {"role": "boss"}), 400, "invalid_parameter")
    refused(vera.get(MEMBERS, {"rolle": "editor"}), 400, "unknown_parameter")


def test_cursor_is_for_the_list_it_was_made_for(acme, globex, alice, charlie):
    for number in range(2):
        join(globex, f"globex{number}", Role.VIEWER)
    cursor = alice.get(MEMBERS, {"limit": 1}).json()["page"]["next"]

    refused(charlie.get(MEMBERS, {"cursor": cursor}), 400, "cursor_invalid")
    refused(alice.get(MEMBERS, {"cursor": cursor, "role": "owner"}), 400, "cursor_invalid")
    refused(alice.get(MEMBERS, {"cursor": "x"}), 400, "cursor_invalid")


def test_charlie_sees_nobody_of_acme(acme, charlie):
    assert [row["user"]["email"] for row in charlie.get(MEMBERS).json()["data"]] == [
        "charlie@example.com"
    ]


# --- roles --------------------------------------------------------------------------------------


def test_another_role_holds_at_once_and_old_tokens_end(acme, adam, bob):
    answer = adam.patch(url_of(acme, "bob"), {"role": "viewer"})

    assert (answer.status_code, answer.json()["role"]) == (200, "viewer")
    assert membership(acme, "bob").epoch == 2
    refused(bob.get(ORGANIZATION), 401, "token_revoked")
    event = last_event()
    assert (event.action, event.actor) == (
        "member.role_changed",
        f"user:{acme.users['adam'].pk}",
    )
    assert (event.details["old"], event.details["new"]) == ("editor", "viewer")
    assert "example.com" not in str(event.details)


def test_refreshing_after_a_change_of_role_gives_tokens_of_the_new_one(acme, adam, nobody):
    body = {"email": "bob@example.com", "password": "correct horse 9 battery"}
    token = nobody.post("/api/v1/auth/login", body).json()["refresh_token"]
    adam.patch(url_of(acme, "bob"), {"role": "viewer"})

    answer = nobody.post("/api/v1/auth/refresh", {"refresh_token": token})

    assert answer.json()["organization"]["role"] == "viewer"
    nobody.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access_token']}")
    assert nobody.get(ORGANIZATION).status_code == 200


def test_same_role_again_ends_nothing(acme, adam, bob):
    before = AuditEvent.objects.count()

    assert adam.patch(url_of(acme, "bob"), {"role": "editor"}).status_code == 200

    assert bob.get(ORGANIZATION).status_code == 200
    assert AuditEvent.objects.count() == before


def test_adam_touches_no_owner_and_makes_none(acme, adam):
    before = roles_of(acme)

    refused(adam.patch(url_of(acme, "alice"), {"role": "viewer"}), 403, "permission_denied")
    refused(adam.patch(url_of(acme, "alice"), {"role": "owner"}), 403, "permission_denied")
    refused(adam.delete(url_of(acme, "alice")), 403, "permission_denied")
    refused(adam.patch(url_of(acme, "bob"), {"role": "owner"}), 403, "permission_denied")
    refused(adam.patch(url_of(acme, "adam"), {"role": "owner"}), 403, "permission_denied")
    assert roles_of(acme) == before


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_editors_and_viewers_change_nobody(acme, who):
    client = acme.client(who)

    refused(client.patch(url_of(acme, who), {"role": "admin"}), 403, "permission_denied")
    refused(client.delete(url_of(acme, "alice")), 403, "permission_denied")


def test_alice_makes_bob_an_owner_and_steps_down(acme, alice, bob):
    assert alice.patch(url_of(acme, "bob"), {"role": "owner"}).status_code == 200

    assert alice.patch(url_of(acme, "alice"), {"role": "editor"}).status_code == 200
    assert roles_of(acme) == {"alice": "editor", "bob": "owner", "vera": "viewer"}


@pytest.mark.parametrize("role", ["admin", "editor", "viewer"])
def test_the_only_owner_stays_one(acme, alice, role):
    refused(alice.patch(url_of(acme, "alice"), {"role": role}), 409, "last_owner")
    refused(alice.delete(url_of(acme, "alice")), 409, "last_owner")

    assert roles_of(acme)["alice"] == "owner"


def test_an_owner_who_cannot_sign_in_does_not_count(acme, alice):
    join(acme, "olaf", Role.OWNER)
    User.objects.filter(pk=acme.users["olaf"].pk).update(is_active=False)

    refused(alice.patch(url_of(acme, "alice"), {"role": "admin"}), 409, "last_owner")
    assert alice.delete(url_of(acme, "olaf")).status_code == 204


def test_an_admin_demoted_a_moment_ago_demotes_nobody(acme, adam):
    """What a process still believes of a role is judged again under the lock."""
    assert adam.get(MEMBERS).status_code == 200  # read, and kept
    Membership.objects.filter(user=acme.users["adam"]).update(role=Role.VIEWER)

    refused(adam.patch(url_of(acme, "bob"), {"role": "viewer"}), 403, "permission_denied")
    refused(adam.delete(url_of(acme, "bob")), 403, "permission_denied")


# --- removal ------------------------------------------------------------------------------------


def test_removed_bob_is_out_at_once_and_elsewhere_still_in(acme, globex, adam, bob):
    other = Membership.objects.create(
        user=acme.users["bob"], organization=globex.organization, role=Role.VIEWER
    )
    globex.users["bob"] = acme.users["bob"]
    at_globex = globex.client("bob")

    assert adam.delete(url_of(acme, "bob")).status_code == 204

    refused(bob.get(ORGANIZATION), 401, "token_revoked")
    assert at_globex.get(ORGANIZATION).status_code == 200
    assert list(acme.users["bob"].memberships.all()) == [other]
    ended = Session.objects.get(user=acme.users["bob"], organization=acme.organization)
    assert ended.revoked_for == "member_removed"
    assert last_event().action == "member.removed"


def test_removing_oneself_is_leaving(acme, adam):
    assert adam.delete(url_of(acme, "adam")).status_code == 204

    assert last_event().action == "member.left"


def test_members_of_others_are_not_found(acme, globex, alice, charlie):
    foreign = charlie.patch(url_of(acme, "bob"), {"role": "viewer"})
    missing = charlie.patch(f"{MEMBERS}/{uuid.uuid4()}", {"role": "viewer"})

    assert refused(foreign, 404, "not_found")["detail"] == missing.json()["detail"]
    refused(charlie.delete(url_of(acme, "bob")), 404, "not_found")
    assert roles_of(acme)["bob"] == "editor"


# --- hostile input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "role",
    [None, 1, True, [], {}, "", "Owner", "owner ", "root", "x" * 10_000, ["owner"], "own\x00er"],
)
def test_what_is_no_role_is_refused_with_a_pointer(acme, alice, role):
    body = refused(alice.patch(url_of(acme, "bob"), {"role": role}), 422, "validation_failed")

    assert {error["pointer"] for error in body["errors"]} == {"/role"}
    assert len(str(body)) < 3_000


@pytest.mark.parametrize("member", ["x", "1", "0" * 36, "%00", "null", "a" * 500])
def test_what_is_no_id_is_not_found(acme, alice, member):
    refused(alice.patch(f"{MEMBERS}/{member}", {"role": "viewer"}), 404, "not_found")
    refused(alice.delete(f"{MEMBERS}/{member}"), 404, "not_found")


def test_bodies_are_strict(acme, alice):
    url = url_of(acme, "bob")

    refused(alice.patch(url, {}), 422, "validation_failed")
    refused(alice.patch(url, {"role": "viewer", "user": "x"}), 422, "validation_failed")
    refused(alice.patch(url, []), 422, "validation_failed")
    refused(alice.generic("PATCH", url, b""), 400, "malformed_json")


# --- a deleted organization, over HTTP ----------------------------------------------------------


def log_in(**named):
    body = {"email": "alice@example.com", "password": "correct horse 9 battery"}
    return APIClient().post("/api/v1/auth/login", body | named)


def signed_in(answer):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access_token']}")
    return client


def test_deleted_organization_is_restored_by_its_owner(acme, alice):
    refused(alice.post("/api/v1/organization/restore"), 409, "not_deleted")
    assert alice.delete(ORGANIZATION, {"confirm": "acme"}).status_code == 202
    refused(alice.get(ORGANIZATION), 401, "token_revoked")
    assert "naming" in refused(log_in(), 410, "organization_deleted")["hint"]
    Organization.objects.filter(pk=acme.id).update(purge_after=timezone.now())
    assert "hint" not in refused(log_in(), 410, "organization_deleted")

    owner = signed_in(log_in(organization="acme"))
    for route in API_ROUTES:
        if route.required("get") not in {None, "public", "signed_in"}:
            refused(owner.get(route.path), 410, "organization_deleted")
    refused(owner.patch(ORGANIZATION, {"name": "Other"}), 410, "organization_deleted")
    refused(owner.delete(ORGANIZATION, {"confirm": "acme"}), 410, "organization_deleted")
    refused(owner.post("/api/v1/organization/leave"), 410, "organization_deleted")

    restored = owner.post("/api/v1/organization/restore")
    assert (restored.status_code, restored.json()["status"]) == (200, "active")
    assert owner.get(ORGANIZATION).status_code == 200
    refused(owner.post("/api/v1/organization/restore"), 409, "not_deleted")
    assert log_in().status_code == 200


def test_nobody_but_an_owner_signs_in_to_a_deleted_organization(acme, alice, nobody):
    alice.delete(ORGANIZATION, {"confirm": "acme"})

    body = {"email": "bob@example.com", "password": "correct horse 9 battery"}
    answer = nobody.post("/api/v1/auth/login", body | {"organization": "acme"})
    refused(answer, 410, "organization_deleted")


def test_suspended_organization_comes_back_suspended(acme, alice):
    alice.delete(ORGANIZATION, {"confirm": "acme"})
    purge = Operation.objects.get(kind="purge")
    purge.params["status_before"] = "suspended"
    purge.save()

    owner = signed_in(log_in(organization=str(acme.id)))
    assert owner.post("/api/v1/organization/restore").json()["status"] == "suspended"
    refused(owner.get(ORGANIZATION), 403, "organization_suspended")
