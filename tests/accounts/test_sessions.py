"""The rows have the last word: what a token may do is what its session, user and role may now."""

import time
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.exceptions import TokenRevoked
from accounts.login import sign_in
from accounts.models import Membership, Session, User
from accounts.principals import forget_members, get_member
from accounts.roles import Role
from accounts.sessions import (
    USER_AGENT_MAX_CHARACTERS,
    Device,
    open_session,
    revoke_sessions,
)
from accounts.tokens import read_access_token
from tenancy import lifecycle
from tests.conftest import ACTOR

pytestmark = pytest.mark.usefixtures("quick")

ORGANIZATION = "/api/v1/organization"
DOCUMENTS = "/api/v1/collections/main/documents"


def assert_revoked(answer):
    assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")


def membership_of(cast, who):
    return Membership.objects.filter(user=cast.users[who])


def claims_of(client):
    return read_access_token(client._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer "))


def remove_bob(cast):
    membership_of(cast, "bob").delete()


def change_role_of_bob(cast):
    membership_of(cast, "bob").update(role=Role.VIEWER, epoch=F("epoch") + 1)


def deactivate_bob(cast):
    User.objects.filter(pk=cast.users["bob"].pk).update(is_active=False)


def delete_bob(cast):
    User.objects.filter(pk=cast.users["bob"].pk).delete()


def revoke_session_of_bob(cast):
    Session.objects.filter(user=cast.users["bob"]).update(revoked_at=timezone.now())


def expire_session_of_bob(cast):
    Session.objects.filter(user=cast.users["bob"]).update(expires_at=timezone.now())


def delete_session_of_bob(cast):
    Session.objects.filter(user=cast.users["bob"]).delete()


def give_session_of_bob_to_vera(cast):
    Session.objects.filter(user=cast.users["bob"]).update(user=cast.users["vera"])


ENDINGS = [
    remove_bob, change_role_of_bob, deactivate_bob, delete_bob, revoke_session_of_bob,
    expire_session_of_bob, delete_session_of_bob, give_session_of_bob_to_vera,
]  # fmt: skip


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_change_of_the_rows_ends_the_old_token(acme, end):
    bob, vera = acme.client("bob"), acme.client("vera")
    assert bob.get(ORGANIZATION).status_code == 200

    end(acme)
    forget_members()

    assert_revoked(bob.get(ORGANIZATION))
    assert_revoked(bob.post(DOCUMENTS, {"n": 1}))
    assert vera.get(ORGANIZATION).status_code == 200


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_change_made_by_another_process_bites_within_the_row_ttl(acme, settings, end):
    settings.ACCOUNTS_ROW_TTL = 0.05
    bob = acme.client("bob")
    assert bob.get(ORGANIZATION).status_code == 200

    end(acme)  # nobody tells this process
    deadline = time.monotonic() + 5
    while bob.get(ORGANIZATION).status_code == 200:
        assert time.monotonic() < deadline

    assert_revoked(bob.get(ORGANIZATION))


def test_session_for_one_organization_opens_no_other(acme, globex):
    client = acme.client("alice")
    Session.objects.filter(user=acme.users["alice"]).update(organization=globex.organization)

    assert_revoked(client.get(ORGANIZATION))


def test_role_in_the_token_is_not_believed(acme, bob):
    assert bob.post(DOCUMENTS, {"n": 1}).status_code == 201
    membership_of(acme, "bob").update(role=Role.VIEWER)  # the same epoch: the token still holds
    forget_members()

    answer = bob.post(DOCUMENTS, {"n": 2})

    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert bob.get(DOCUMENTS).status_code == 200


def test_promotion_needs_no_new_token(acme, vera):
    assert vera.post(DOCUMENTS, {"n": 1}).status_code == 403
    membership_of(acme, "vera").update(role=Role.EDITOR)
    forget_members()

    assert vera.post(DOCUMENTS, {"n": 1}).status_code == 201


def test_revoking_sessions_bites_here_at_once(acme, bob, vera):
    assert bob.get(ORGANIZATION).status_code == 200

    assert revoke_sessions(user=acme.users["bob"]) == 1

    assert_revoked(bob.get(ORGANIZATION))
    assert vera.get(ORGANIZATION).status_code == 200
    assert revoke_sessions(user=acme.users["bob"]) == 0


def test_revocation_that_is_rolled_back_ends_nothing(acme, bob):
    with transaction.atomic():
        revoke_sessions(user=acme.users["bob"])
        transaction.set_rollback(True)

    assert bob.get(ORGANIZATION).status_code == 200


def test_one_sign_in_ends_without_the_other(acme):
    first, second = acme.client("bob"), acme.client("bob")

    revoke_sessions(pk=claims_of(first).session_id)

    assert_revoked(first.get(ORGANIZATION))
    assert second.get(ORGANIZATION).status_code == 200


def test_deleted_organization_signs_everybody_out_at_once(acme, alice, vera, charlie):
    assert {client.get(ORGANIZATION).status_code for client in (alice, vera)} == {200}

    lifecycle.delete_organization(acme.id, by=ACTOR)

    for client in (alice, vera):
        assert_revoked(client.get(ORGANIZATION))
    assert charlie.get(ORGANIZATION).status_code == 200


def test_restored_organization_asks_everybody_to_sign_in_again(acme, alice):
    lifecycle.delete_organization(acme.id, by=ACTOR)
    lifecycle.restore_organization(acme.id, by=ACTOR)

    assert_revoked(alice.get(ORGANIZATION))
    assert acme.client("alice").get(ORGANIZATION).status_code == 200


def test_token_of_a_purged_organization_opens_nothing_of_one_registered_anew(
    naming, acme, alice, settings
):
    settings.TENANCY_SLUG_RETIREMENT = timedelta()
    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    purge_to_the_end(acme)
    alice_again = User.objects.create_user("alice@example.com")

    def add_owner(organization):
        Membership.objects.create(user=alice_again, organization=organization, role=Role.OWNER)

    anew = lifecycle.create_organization("Acme", by=ACTOR, on_reserve=add_owner)

    assert anew.slug == "acme"
    assert_revoked(alice.get(ORGANIZATION))
    assert_revoked(alice.post(DOCUMENTS, {"n": 1}))


def purge_to_the_end(cast):
    from tenancy.models import Operation, Organization
    from tenancy.operations import resume_operations

    Operation.objects.open().update(not_before=cast.organization.created_at)
    resume_operations()
    assert Organization.objects.get(pk=cast.id).status == "purged"


def test_purge_removes_people_who_belong_nowhere_else(acme, globex):
    Membership.objects.create(
        user=acme.users["bob"], organization=globex.organization, role=Role.VIEWER
    )
    User.objects.filter(pk=acme.users["vera"].pk).update(is_staff=True)

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    purge_to_the_end(acme)

    emails = set(User.objects.values_list("email", flat=True))
    assert emails == {"bob@example.com", "vera@example.com", "charlie@example.com"}


def test_steady_state_asks_the_catalog_nothing(acme, bob, settings, django_assert_num_queries):
    settings.TENANCY_CATALOG_TTL = 60
    document = bob.post(DOCUMENTS, {"n": 1}).json()["_id"]["$oid"]
    bob.get(f"{DOCUMENTS}/{document}")

    with django_assert_num_queries(0):
        for _ in range(3):
            assert bob.get(f"{DOCUMENTS}/{document}").status_code == 200


def test_standing_is_read_in_one_query(acme, bob, django_assert_num_queries):
    claims = claims_of(bob)

    with django_assert_num_queries(1):
        principal = get_member(claims)
        assert get_member(claims) is principal

    assert principal.role == "editor"
    assert principal.actor == f"user:{acme.users['bob'].pk}"


def test_refusal_is_read_again_each_time(acme, bob):
    claims = claims_of(bob)
    membership_of(acme, "bob").update(epoch=2)
    with pytest.raises(TokenRevoked):
        get_member(claims)

    membership_of(acme, "bob").update(epoch=1)

    assert get_member(claims).role == "editor"


def test_session_remembers_the_device_within_bounds(acme):
    membership = membership_of(acme, "bob").get()

    session = open_session(membership, Device("x" * 5_000, "2001:db8::1"))

    session.refresh_from_db()
    assert session.user_agent == "x" * USER_AGENT_MAX_CHARACTERS
    assert session.address == "2001:db8::1"


def test_session_ends_by_itself(acme, settings):
    settings.ACCOUNTS_SESSION_LIFETIME = timedelta(seconds=-1)

    assert_revoked(acme.client("bob").get(ORGANIZATION))


def test_sign_in_of_one_leaves_the_tokens_of_others(acme, bob):
    token = sign_in(acme.users["bob"], membership_of(acme, "bob").get(), Device()).access_token
    other = APIClient()
    other.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    assert {client.get(ORGANIZATION).status_code for client in (bob, other)} == {200}


def test_end_of_one_session_leaves_what_is_known_of_others(acme, django_assert_num_queries):
    bob, vera = acme.client("bob"), acme.client("vera")
    for client in (bob, vera):
        assert client.get(ORGANIZATION).status_code == 200

    revoke_sessions(user=acme.users["bob"])

    with django_assert_num_queries(0):
        get_member(claims_of(vera))
    assert_revoked(bob.get(ORGANIZATION))
