"""What lasts is decided by the rows as they are, whatever a cache still believes."""

import json

import pytest
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts import signup
from accounts.exceptions import PermissionDenied, TokenRevoked
from accounts.models import ApiKey, Membership, Session, User
from accounts.principals import KeyHolder, Member
from accounts.roles import Role
from accounts.standing import check_still_allowed
from tests.conftest import PASSWORD
from tests.http import refused

ORGANIZATION = "/api/v1/organization"
DOCUMENTS = "/api/v1/collections/main/documents"


@pytest.fixture
def believed(settings, acme):
    """alice, whom this process has just seen: it will believe her token for a long time."""
    settings.ACCOUNTS_ROW_TTL = 600
    client = acme.client("alice")
    assert client.get(ORGANIZATION).status_code == 200
    return client


def end_session(cast):
    Session.objects.filter(user=cast.users["alice"]).update(revoked_at=timezone.now())


def remove(cast):
    Membership.objects.filter(user=cast.users["alice"]).delete()


def deactivate(cast):
    User.objects.filter(pk=cast.users["alice"].pk).update(is_active=False)


LASTING = [
    ("POST", f"{ORGANIZATION}/api-keys", {"name": "robot", "role": "admin"}),
    ("POST", f"{ORGANIZATION}/invitations", {"email": "mallory@example.com", "role": "owner"}),
    ("PATCH", ORGANIZATION, {"two_factor_required": True}),
    ("PATCH", ORGANIZATION, {"name": "Stolen"}),
    ("DELETE", ORGANIZATION, {"confirm": "acme", "purge": True}),
    ("POST", "/api/v1/organizations", {"name": "Another"}),
    ("PUT", "/org/update", {"password": "another horse 8 staples"}),
    ("PUT", "/org/update", {"email": "mallory@example.com"}),
    ("DELETE", "/org/delete", {}),
]


@pytest.mark.parametrize("end", [end_session, remove, deactivate], ids=lambda end: end.__name__)
@pytest.mark.parametrize(("method", "path", "body"), LASTING)
def test_ended_credential_makes_nothing_that_lasts_though_a_cache_believes_it(
    acme, believed, end, method, path, body
):
    end(acme)  # nobody tells this process
    assert believed.get(DOCUMENTS).status_code == 200

    refused(believed.generic(method, path, json.dumps(body), content_type="application/json"),
            401, "token_revoked")  # fmt: skip

    acme.organization.refresh_from_db()
    assert (acme.organization.name, acme.organization.status) == ("Acme", "active")
    assert not ApiKey.objects.exists()
    assert not User.objects.filter(email="mallory@example.com").exists()


def test_demoted_owner_does_not_delete_though_a_cache_believes_the_role(acme, believed):
    Membership.objects.filter(user=acme.users["alice"]).update(role=Role.VIEWER)

    answer = believed.delete(ORGANIZATION, {"confirm": "acme", "purge": True})

    refused(answer, 403, "permission_denied")


def member_of(cast, who):
    membership = Membership.objects.get(user=cast.users[who])
    session = Session.objects.filter(user=cast.users[who]).first()
    return Member(
        cast.id, membership.role, user_id=membership.user_id, membership_id=membership.pk,
        session_id=session.pk,
    )  # fmt: skip


@pytest.mark.parametrize("end", [end_session, remove, deactivate], ids=lambda end: end.__name__)
def test_member_is_judged_by_session_membership_and_user(acme, alice, end):
    member = member_of(acme, "alice")
    with transaction.atomic():
        check_still_allowed(member, "keys.manage")

    end(acme)

    with transaction.atomic(), pytest.raises(TokenRevoked):
        check_still_allowed(member, "keys.manage")


def test_member_is_judged_by_the_role_of_now(acme, alice):
    member = member_of(acme, "alice")
    Membership.objects.filter(user=acme.users["alice"]).update(role=Role.EDITOR)

    with transaction.atomic():
        check_still_allowed(member)
        with pytest.raises(PermissionDenied):
            check_still_allowed(member, "keys.manage")


@pytest.mark.parametrize(
    ("changes", "raised"),
    [
        ({"revoked_at": timezone.now()}, TokenRevoked),
        ({"expires_at": timezone.now()}, TokenRevoked),
        ({"scopes": ["documents.read"]}, PermissionDenied),
        ({"role": "viewer"}, PermissionDenied),
    ],
)
def test_key_is_judged_by_its_row(acme, changes, raised):
    row = ApiKey.objects.create(
        organization=acme.organization, name="robot", role="admin", scopes=["members.manage"],
        digest="x", created_by="command:test",
    )  # fmt: skip
    holder = KeyHolder(acme.id, "admin", scopes=frozenset(["members.manage"]), key_id=row.pk)
    with transaction.atomic():
        check_still_allowed(holder, "members.manage")

    ApiKey.objects.filter(pk=row.pk).update(**changes)

    with transaction.atomic(), pytest.raises(raised):
        check_still_allowed(holder, "members.manage")


# --- A change of the account that takes its time to hash ----------------------------------------


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"password": make_password("the victim's new one")},
        {"email": "new@example.com"},
        {"is_active": False},
    ],
)
def test_account_that_was_changed_meanwhile_is_not_changed_back(acme, alice, meanwhile):
    read = User.objects.get(email="alice@example.com")
    change = signup.AccountChange(read, None, "the thief's hash", member_of(acme, "alice"))
    User.objects.filter(pk=read.pk).update(**meanwhile)

    with transaction.atomic(), pytest.raises(TokenRevoked):
        change.apply(acme.organization)

    assert User.objects.get(pk=read.pk).password != "the thief's hash"


def test_session_that_ended_while_the_password_was_hashed_changes_nothing(acme, alice):
    read = User.objects.get(email="alice@example.com")
    change = signup.AccountChange(read, "mallory@example.com", "x", member_of(acme, "alice"))
    end_session(acme)

    with transaction.atomic(), pytest.raises(TokenRevoked):
        change.apply(acme.organization)

    assert User.objects.get(pk=read.pk).email == "alice@example.com"


def test_change_the_old_way_writes_to_both_addresses(acme, alice, mailoutbox):
    answer = alice.put(
        "/org/update", {"email": "alice@new.example", "password": "another horse 8 staples"}
    )

    assert answer.status_code == 200
    assert sorted(to for letter in mailoutbox for to in letter.to) == [
        "alice@example.com", "alice@example.com", "alice@new.example",
    ]  # fmt: skip
    assert PASSWORD not in "".join(letter.body for letter in mailoutbox)
