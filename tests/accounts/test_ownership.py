"""Ownership changes hands and never gets lost, however many reach for it at once."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from django.db import connection

from accounts.exceptions import AccountsError, LastOwner
from accounts.login import sign_in
from accounts.models import Membership, Session, User
from accounts.ownership import change_role, leave_organization, remove_member, transfer_ownership
from accounts.principals import Member
from accounts.profile import delete_account
from accounts.roles import Role
from accounts.sessions import Device
from tenancy.exceptions import TenancyError
from tenancy.models import AuditEvent
from tests.conftest import PASSWORD, make_cast
from tests.http import pointers, refused

pytestmark = pytest.mark.usefixtures("quick")

TRANSFER = "/api/v1/organization/transfer"
LEAVE = "/api/v1/organization/leave"
ORGANIZATION = "/api/v1/organization"
ROUNDS = 6


def membership(cast, who):
    return Membership.objects.get(user=cast.users[who], organization=cast.organization)


def member(cast, who):
    """Return somebody as the cache still knows them."""
    row = membership(cast, who)
    session = sign_in(cast.users[who], row, Device()).session
    return Member(
        cast.id, row.role, user_id=row.user_id, membership_id=row.pk, session_id=session.pk
    )


def at_once(*acts):
    """Run every act in a thread of its own; return the errors, None for what was done."""
    barrier = Barrier(len(acts))

    def run(act):
        barrier.wait(10)
        try:
            act()
        except TenancyError as error:
            return error
        finally:
            connection.close()
        return None

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def owners(cast):
    return Membership.objects.filter(organization=cast.organization, role=Role.OWNER).count()


# --- races --------------------------------------------------------------------------------------


@pytest.fixture
def pair(mongo):
    return make_cast("Pair", {"ann": Role.OWNER, "ben": Role.OWNER})


def make_both_owners(cast):
    for user in cast.users.values():
        Membership.objects.update_or_create(
            user=user, organization=cast.organization, defaults={"role": Role.OWNER}
        )


def prepared(act, cast, own, other):
    """Return the act with the rows it names read before the race begins."""
    as_own, own_id, other_id = (
        member(cast, own), membership(cast, own).pk, membership(cast, other).pk,
    )  # fmt: skip
    return {
        "demote": partial(change_role, as_own, other_id, Role.VIEWER),
        "step down": partial(change_role, as_own, own_id, Role.ADMIN),
        "remove": partial(remove_member, as_own, other_id),
        "leave": partial(leave_organization, as_own),
        "transfer": partial(transfer_ownership, as_own, other_id),
    }[act]


@pytest.mark.parametrize("first", ["demote", "step down", "remove", "leave", "transfer"])
@pytest.mark.parametrize("second", ["demote", "step down", "remove", "leave"])
def test_two_owners_at_once_leave_one(pair, first, second):
    for _ in range(ROUNDS):
        make_both_owners(pair)

        errors = at_once(prepared(first, pair, "ann", "ben"), prepared(second, pair, "ben", "ann"))

        assert owners(pair) >= 1
        assert all(error is None or isinstance(error, TenancyError) for error in errors)


def test_of_two_owners_who_demote_each_other_one_is_refused(pair):
    for _ in range(ROUNDS):
        make_both_owners(pair)

        errors = at_once(
            prepared("demote", pair, "ann", "ben"), prepared("demote", pair, "ben", "ann")
        )

        assert sum(error is None for error in errors) == 1
        assert [error.code for error in errors if error] == ["permission_denied"]
        assert owners(pair) == 1


def test_one_of_two_owners_who_leave_at_once_stays(pair):
    errors = at_once(prepared("leave", pair, "ann", "ben"), prepared("leave", pair, "ben", "ann"))

    assert [type(error) for error in errors if error] == [LastOwner]
    assert owners(pair) == 1


def test_one_deletes_their_account_while_the_other_owner_leaves(pair):
    delete = partial(delete_account, member(pair, "ann"), current_password=PASSWORD)

    errors = at_once(delete, prepared("leave", pair, "ben", "ann"))

    assert [type(error) for error in errors if error] == [LastOwner]
    assert owners(pair) == 1


def test_both_owners_delete_their_accounts_at_once(pair):
    acts = [
        partial(delete_account, member(pair, who), current_password=PASSWORD)
        for who in ("ann", "ben")
    ]

    errors = at_once(*acts)

    assert [type(error) for error in errors if error] == [LastOwner]
    assert User.objects.count() == 1
    assert owners(pair) == 1


def test_account_is_deleted_once(acme):
    acts = [partial(delete_account, member(acme, "bob"), current_password=PASSWORD)] * 4

    errors = at_once(*acts)

    assert sum(error is None for error in errors) == 1
    assert all(isinstance(error, AccountsError | TenancyError) for error in errors if error)
    assert AuditEvent.objects.filter(action="user.deleted").count() == 1


# --- transfer -----------------------------------------------------------------------------------


def test_alice_hands_acme_to_bob(acme, alice, bob):
    answer = alice.post(TRANSFER, {"member": str(membership(acme, "bob").pk)})

    assert (answer.status_code, answer.json()["role"]) == (200, "owner")
    assert (membership(acme, "bob").role, membership(acme, "alice").role) == ("owner", "admin")
    for client in (alice, bob):  # both were given other roles
        refused(client.get(ORGANIZATION), 401, "token_revoked")
    event = AuditEvent.objects.order_by("id").last()
    assert event.action == "ownership.transferred"
    assert event.details["user"] == str(acme.users["bob"].pk)


def test_ownership_goes_to_another_owner(pair):
    transfer_ownership(member(pair, "ann"), membership(pair, "ben").pk)

    assert (membership(pair, "ann").role, membership(pair, "ben").role) == ("admin", "owner")


def test_ownership_is_not_handed_to_oneself(acme, alice):
    answer = alice.post(TRANSFER, {"member": str(membership(acme, "alice").pk)})

    assert pointers(refused(answer, 422, "validation_failed")) == ["/member"]
    assert membership(acme, "alice").role == "owner"


def test_ownership_is_not_handed_to_one_who_cannot_sign_in(acme, alice):
    User.objects.filter(pk=acme.users["bob"].pk).update(is_active=False)

    answer = alice.post(TRANSFER, {"member": str(membership(acme, "bob").pk)})

    refused(answer, 409, "last_owner")
    assert (membership(acme, "bob").role, membership(acme, "alice").role) == ("editor", "owner")


def test_third_owner_is_no_reason_to_hand_over_to_one_who_cannot_sign_in(acme, alice):
    Membership.objects.filter(user=acme.users["vera"]).update(role=Role.OWNER)
    User.objects.filter(pk=acme.users["bob"].pk).update(is_active=False)

    answer = alice.post(TRANSFER, {"member": str(membership(acme, "bob").pk)})

    refused(answer, 409, "last_owner")
    assert (membership(acme, "bob").role, membership(acme, "alice").role) == ("editor", "owner")


def test_ownership_stays_inside_the_organization(acme, globex, alice):
    for target in (membership(globex, "charlie").pk, uuid.uuid4()):
        refused(alice.post(TRANSFER, {"member": str(target)}), 404, "not_found")
    assert membership(acme, "alice").role == "owner"


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_only_an_owner_hands_over(acme, who):
    answer = acme.client(who).post(TRANSFER, {"member": str(membership(acme, who).pk)})

    refused(answer, 403, "permission_denied")


@pytest.mark.parametrize("given", [None, 1, True, [], {}, "", "x", "0" * 40, "\x00"])
def test_what_is_no_member_is_refused_with_a_pointer(acme, alice, given):
    body = refused(alice.post(TRANSFER, {"member": given}), 422, "validation_failed")

    assert pointers(body) == ["/member"]


# --- leaving ------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_everybody_may_leave(acme, who):
    client = acme.client(who)

    assert client.post(LEAVE).status_code == 204

    refused(client.get(ORGANIZATION), 401, "token_revoked")
    assert not acme.users[who].memberships.exists()
    assert not Session.objects.filter(user=acme.users[who], revoked_at=None).exists()
    assert AuditEvent.objects.order_by("id").last().action == "member.left"


def test_the_only_owner_stays(acme, alice):
    refused(alice.post(LEAVE), 409, "last_owner")

    assert alice.get(ORGANIZATION).status_code == 200


def test_leaving_one_organization_leaves_the_others(acme, globex, bob):
    Membership.objects.create(
        user=acme.users["bob"], organization=globex.organization, role=Role.VIEWER
    )
    globex.users["bob"] = acme.users["bob"]
    at_globex = globex.client("bob")

    bob.post(LEAVE)

    assert at_globex.get(ORGANIZATION).json()["slug"] == "globex"
