"""Oneself: what one sees and changes of one's account, and its end."""

import pytest
from django.core import mail

from accounts.models import Invitation, Membership, Session, TotpDevice, User
from accounts.roles import Role
from tenancy import lifecycle
from tenancy.models import AuditEvent
from tests.conftest import ACTOR, PASSWORD
from tests.http import pointers, refused

pytestmark = pytest.mark.usefixtures("quick")

ME = "/api/v1/me"
ORGANIZATIONS = "/api/v1/me/organizations"
NEW = "robert@example.org"


@pytest.fixture(autouse=True)
def letters_at_once(monkeypatch):
    """Letters are sent by a thread of their own; here, when they are asked for."""
    from accounts import mail as letters

    monkeypatch.setattr("accounts.profile.send_later", letters.send)


def row(cast, who):
    return User.objects.get(pk=cast.users[who].pk)


def change_email(client, email=NEW, password=PASSWORD):
    return client.patch(ME, {"email": email, "current_password": password})


def delete(client, password=PASSWORD):
    return client.delete(ME, {"current_password": password})


# --- reading ------------------------------------------------------------------------------------


def test_bob_sees_himself(acme, bob):
    body = bob.get(ME).json()

    assert (body["id"], body["email"]) == (str(acme.users["bob"].pk), "bob@example.com")
    assert (body["role"], body["two_factor"]) == ("editor", False)
    assert body["organization_id"] == str(acme.id)
    assert not [name for name in body if "password" in name]


def test_bob_sees_that_he_has_an_authenticator(acme, bob):
    TotpDevice.objects.create(user=acme.users["bob"], confirmed=True, secret_encrypted="x")

    assert bob.get(ME).json()["two_factor"] is True


def test_organizations_are_listed_with_ones_role(acme, globex, bob):
    Membership.objects.create(
        user=acme.users["bob"], organization=globex.organization, role=Role.VIEWER
    )

    rows = bob.get(ORGANIZATIONS).json()["data"]

    assert [(each["slug"], each["role"], each["current"]) for each in rows] == [
        ("acme", "editor", True),
        ("globex", "viewer", False),
    ]
    assert {each["status"] for each in rows} == {"active"}


def test_organizations_come_in_pages(acme, globex, bob):
    Membership.objects.create(
        user=acme.users["bob"], organization=globex.organization, role=Role.VIEWER
    )

    first = bob.get(ORGANIZATIONS, {"limit": 1}).json()
    second = bob.get(ORGANIZATIONS, {"limit": 1, "cursor": first["page"]["next"]}).json()

    assert [first["data"][0]["slug"], second["data"][0]["slug"]] == ["acme", "globex"]
    assert second["page"]["next"] is None


# --- changing -----------------------------------------------------------------------------------


def test_name_is_changed_without_a_password(acme, bob):
    assert bob.patch(ME, {"name": "Robert"}).json()["name"] == "Robert"

    event = AuditEvent.objects.order_by("id").last()
    assert (event.action, event.details) == ("user.changed", {"name": True})
    assert bob.get(ME).status_code == 200


def test_address_is_changed_and_both_addresses_hear_of_it(acme, bob):
    elsewhere = acme.client("bob")

    answer = change_email(bob, "Robert@Example.ORG ")

    assert (answer.status_code, answer.json()["email"]) == (200, NEW)
    assert bob.get(ME).status_code == 200
    refused(elsewhere.get(ME), 401, "token_revoked")
    assert sorted(each.to[0] for each in mail.outbox) == ["bob@example.com", NEW]
    assert NEW not in str(mail.outbox[0].message()).replace(f"To: {NEW}", "")
    event = AuditEvent.objects.order_by("id").last()
    assert (event.action, event.details) == ("user.changed", {"email": True})


def test_address_needs_the_password(acme, bob):
    missing = refused(bob.patch(ME, {"email": NEW}), 422, "validation_failed")
    wrong = refused(change_email(bob, password="x" * 12), 422, "validation_failed")

    assert pointers(missing) == pointers(wrong) == ["/current_password"]
    assert row(acme, "bob").email == "bob@example.com"
    assert not mail.outbox


@pytest.mark.parametrize("email", ["alice@example.com", "ALICE@EXAMPLE.com"])
def test_address_of_another_is_refused(acme, bob, email):
    assert pointers(refused(change_email(bob, email), 409, "already_exists")) == ["/email"]

    assert row(acme, "bob").email == "bob@example.com"
    assert not mail.outbox


def test_same_address_changes_nothing(acme, bob):
    elsewhere = acme.client("bob")

    assert change_email(bob, "BOB@example.com").status_code == 200

    assert elsewhere.get(ME).status_code == 200
    assert not mail.outbox


@pytest.mark.parametrize(
    "email", ["", "x", None, 1, [], {}, "a@b", "x" * 300 + "@example.com", "a@b.c\r\nBcc: x@y.z"]
)
def test_what_is_no_address_is_refused(acme, bob, email):
    assert pointers(refused(change_email(bob, email), 422, "validation_failed")) == ["/email"]


@pytest.mark.parametrize("name", [None, 1, [], {}, "x" * 101, "nul\x00"])
def test_what_is_no_name_is_refused(acme, bob, name):
    assert pointers(refused(bob.patch(ME, {"name": name}), 422, "validation_failed")) == ["/name"]


@pytest.mark.parametrize("body", [{}, {"current_password": PASSWORD}, {"is_staff": True}, []])
def test_body_that_changes_nothing_known_is_refused(acme, bob, body):
    refused(bob.patch(ME, body), 422, "validation_failed")

    assert not row(acme, "bob").is_staff


# --- the end ------------------------------------------------------------------------------------


def test_bob_removes_his_account(acme, globex, bob):
    Membership.objects.create(
        user=acme.users["bob"], organization=globex.organization, role=Role.VIEWER
    )
    user_id = str(acme.users["bob"].pk)

    assert delete(bob).status_code == 204

    refused(bob.get(ME), 401, "token_revoked")
    assert not User.objects.filter(pk=user_id).exists()
    assert not Session.objects.filter(user=user_id).exists()
    events = AuditEvent.objects.filter(action="user.deleted")
    assert {event.organization_id for event in events} == {acme.id, globex.id}
    assert all(event.details["user"] == user_id for event in events)
    assert "bob@example.com" not in str(list(AuditEvent.objects.values()))
    assert [each.to for each in mail.outbox] == [["bob@example.com"]]


def test_nothing_that_holds_the_address_is_left(acme, bob):
    Invitation.objects.create(
        organization=acme.organization, email="bob@example.com", role=Role.EDITOR, digest="x",
        sent_at=acme.organization.created_at, expires_at=acme.organization.created_at,
        accepted_at=acme.organization.created_at, accepted_by=acme.users["bob"],
    )  # fmt: skip

    delete(bob)

    assert not Invitation.objects.exists()


def test_only_owner_stays_and_hears_of_which_organization(acme, globex, alice):
    Membership.objects.create(
        user=acme.users["alice"], organization=globex.organization, role=Role.OWNER
    )

    body = refused(delete(alice), 409, "last_owner")

    assert ["acme" in error["message"] for error in body["errors"]] == [True]
    assert User.objects.filter(pk=acme.users["alice"].pk).exists()
    assert alice.get(ME).status_code == 200


def test_owner_of_a_deleted_organization_stays_until_it_is_purged(acme, globex, alice):
    Membership.objects.create(
        user=acme.users["alice"], organization=globex.organization, role=Role.VIEWER
    )
    globex.users["alice"] = acme.users["alice"]
    lifecycle.delete_organization(acme.id, by=ACTOR)

    refused(delete(globex.client("alice")), 409, "last_owner")


def test_wrong_password_removes_nobody(acme, bob):
    for password in ("x" * 12, "", "x" * 900):
        assert pointers(refused(delete(bob, password), 422, "validation_failed")) == [
            "/current_password"
        ]
    refused(bob.delete(ME), 400, "malformed_json")
    assert row(acme, "bob").is_active


def test_operator_is_removed_by_another_operator(acme, bob):
    User.objects.filter(pk=acme.users["bob"].pk).update(is_staff=True)

    refused(delete(bob), 403, "permission_denied")

    assert User.objects.filter(pk=acme.users["bob"].pk).exists()


def test_address_is_free_again(acme, bob):
    delete(bob)

    assert User.objects.create(email="bob@example.com").pk != acme.users["bob"].pk


def test_password_is_not_guessed_with_a_stolen_token(acme, bob, settings):
    settings.RATE_LIMITS = True
    settings.LIMIT_LOGIN_PAIR = "2/15 minutes"

    answers = [delete(bob, "x" * 12), change_email(bob, password="x" * 12), delete(bob)]

    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert User.objects.filter(pk=acme.users["bob"].pk).exists()
