"""Who has the letter becomes a member: somebody new, by a password, or signed in."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import accepting
from accounts.exceptions import TwoFactorInvalid, TwoFactorRequired
from accounts.invitations import may_still_grant
from accounts.models import Invitation, Membership, Session, User
from accounts.principals import forget_members
from accounts.roles import Role
from accounts.sessions import revoke_sessions
from tenancy import lifecycle
from tenancy.models import Operation, Plan
from tenancy.operations import resume_operations
from tests.conftest import ACTOR, PASSWORD
from tests.http import INTERNALS, pointers, refused, send
from tests.invitations import (
    INVITATIONS,
    MARY,
    NEW_PASSWORD,
    accept,
    accept_without_body,
    ask,
    change,
    last_token,
    look,
    make_account,
    roles_of,
)

pytestmark = pytest.mark.usefixtures("quick")

ORGANIZATION = "/api/v1/organization"
CHARLIE = "charlie@example.com"


@pytest.fixture
def invitation(alice):
    return ask(alice)


@pytest.fixture
def token(invitation):
    return last_token()


def opens(answer, role, slug="acme"):
    """Assert that an answer is that of a sign-in whose token works."""
    body = answer.json()
    assert answer.status_code == 201, body
    assert (body["organization"]["slug"], body["organization"]["role"]) == (slug, role)
    assert set(body) >= {"access_token", "refresh_token", "session_id", "memberships", "user"}
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access_token']}")
    assert client.get(ORGANIZATION).json()["slug"] == slug
    return client


def state_of(invitation, client):
    rows = client.get(INVITATIONS).json()["data"]
    return next(row["state"] for row in rows if row["id"] == invitation["id"])


# --- Look ---------------------------------------------------------------------------------------


def test_the_offer_is_shown_and_not_used_up(invitation, token):
    for _ in range(2):
        answer = look(token)

    assert answer.status_code == 200
    assert answer.json() == {
        "organization": {"name": "Acme"},
        "email": MARY,
        "role": "editor",
        "expires_at": invitation["expires_at"],
    }
    assert answer["Cache-Control"] == "no-store"


def test_the_offer_is_the_same_with_and_without_an_account(token):
    without = look(token)

    make_account()

    assert look(token).content == without.content


def test_looking_is_blind_to_credentials(token):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer a.b.c")

    assert client.get(f"/api/v1/invitations/{token}").status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        "x", "inv_", "inv_" + "A" * 43, "inv_" + "A" * 42, "inv_" + "é" * 43, "inv_" + "%00" * 43,
        "A" * 100_000, "%F0%9F%98%80", "null", "..", "inv_" + "'" * 43,
    ],
)  # fmt: skip
def test_what_is_no_token_is_not_found(mongo, token):
    for answer in (look(token), accept(token, password=NEW_PASSWORD)):
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
        assert not [word for word in INTERNALS if word in answer.content.decode()]
    assert not User.objects.exists()


def test_the_digest_is_no_token(invitation):
    digest = Invitation.objects.get().digest

    refused(look(digest), 404, "not_found")


# --- Somebody new -------------------------------------------------------------------------------


def test_somebody_new_gets_an_account_and_is_signed_in(acme, alice, invitation, token):
    answer = accept(token, password=NEW_PASSWORD, name="Mary")

    mary = opens(answer, "editor")
    user = User.objects.get(email=MARY)
    assert (user.name, user.is_staff, user.check_password(NEW_PASSWORD)) == ("Mary", False, True)
    assert mary.post("/api/v1/collections/main/documents", {"n": 1}).status_code == 201
    assert Session.objects.get(user=user).methods == "pwd"
    assert Invitation.objects.get().accepted_by == user
    assert state_of(invitation, alice) == "accepted"
    login = {"email": MARY, "password": NEW_PASSWORD}
    assert APIClient().post("/api/v1/auth/login", login).status_code == 200


def test_it_works_once(token):
    assert accept(token, password=NEW_PASSWORD).status_code == 201

    refused(accept(token, password=NEW_PASSWORD), 410, "invitation_expired")
    refused(look(token), 410, "invitation_expired")
    assert roles_of(MARY) == ["editor"]


@pytest.mark.parametrize("password", ["short", "password1234", "1234567890123", "x" * 129, MARY])
def test_a_weak_password_uses_nothing_up(token, password):
    problem = refused(accept(token, password=password), 422, "validation_failed")

    assert set(pointers(problem)) == {"/password"}
    assert not User.objects.filter(email=MARY).exists()
    assert look(token).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/password"),
        ({"password": None}, "/password"),
        ({"password": 1234567890}, "/password"),
        ({"password": NEW_PASSWORD, "role": "owner"}, "/role"),
        ({"password": NEW_PASSWORD, "email": "x@example.com"}, "/email"),
        ({"password": NEW_PASSWORD, "name": "x" * 101}, "/name"),
        ({"password": NEW_PASSWORD, "name": "a\0b"}, "/name"),
        ({"password": NEW_PASSWORD, "code": 123456}, "/code"),
    ],
)
def test_bad_input_is_pointed_at(token, body, pointer):
    problem = refused(accept(token, **body), 422, "validation_failed")

    assert pointers(problem) == [pointer]
    assert look(token).status_code == 200


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null"])
def test_bodies_that_are_no_objects(token, raw):
    answer = send(APIClient(), "POST", f"/api/v1/invitations/{token}/accept", raw)

    assert answer.status_code in {400, 422}
    assert roles_of(MARY) == []


def test_the_plan_has_no_room(alice, invitation, token):
    Plan.objects.update(max_members=3)

    problem = refused(accept(token, password=NEW_PASSWORD), 403, "plan_limit_reached")

    assert (problem["limit"], problem["used"]) == (3, 3)
    assert not User.objects.filter(email=MARY).exists()
    assert state_of(invitation, alice) == "open"
    Plan.objects.update(max_members=4)
    opens(accept(token, password=NEW_PASSWORD), "editor")


def test_who_signed_up_meanwhile_is_not_overwritten(token, monkeypatch):
    """The account comes while the password of the new one is being hashed."""

    def hash_slowly(password):
        make_account()
        return "!"

    monkeypatch.setattr(accepting, "hash_password", hash_slowly)

    refused(accept(token, password=NEW_PASSWORD), 409, "already_exists")

    assert look(token).status_code == 200
    opens(accept(token, password=PASSWORD), "editor")


# --- An account that is there -------------------------------------------------------------------


def test_an_account_joins_by_its_password(acme, globex, alice):
    ask(alice, "Charlie@Example.com", "admin")

    answer = accept(last_token(), password=PASSWORD, name="Somebody else")

    opens(answer, "admin")
    assert [each["slug"] for each in answer.json()["memberships"]] == ["globex", "acme"]
    assert sorted(roles_of(CHARLIE)) == ["admin", "owner"]
    assert User.objects.get(email=CHARLIE).name == ""


def test_a_wrong_password_uses_nothing_up(token):
    user = make_account()

    for password in (NEW_PASSWORD, "short", "x" * 500):
        problem = refused(accept(token, password=password), 401, "invalid_credentials")

    assert MARY not in str(problem)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert look(token).status_code == 200
    assert roles_of(MARY) == []


def test_a_deactivated_account_does_not_join(token):
    make_account(is_active=False)

    refused(accept(token, password=PASSWORD), 401, "invalid_credentials")
    assert look(token).status_code == 200


def test_a_password_that_changes_meanwhile_opens_nothing(token, monkeypatch):
    user = make_account()

    def match_slowly(password, user):
        User.objects.filter(pk=user.pk).update(password="!")
        return True

    monkeypatch.setattr(accepting, "matches", match_slowly)

    refused(accept(token, password=PASSWORD), 401, "invalid_credentials")
    assert not Session.objects.filter(user=user).exists()
    assert look(token).status_code == 200


def test_an_account_with_a_second_factor_shows_its_code(token, monkeypatch):
    make_account()

    def prove(user, code, **_):
        if code is None:
            raise TwoFactorRequired
        if code != "123456":
            raise TwoFactorInvalid
        return "pwd otp"

    monkeypatch.setattr(accepting.two_factor, "prove", prove)
    monkeypatch.setattr(accepting.two_factor, "check_still_proved", lambda user, methods: None)

    refused(accept(token, password=PASSWORD), 401, "two_factor_required")
    refused(accept(token, password=PASSWORD, code="1"), 401, "two_factor_invalid")
    opens(accept(token, password=PASSWORD, code="123456"), "editor")
    assert Session.objects.get(user__email=MARY).methods == "pwd otp"


def test_who_became_a_member_meanwhile_stays_as_they_are(acme, token):
    user = make_account()
    Membership.objects.create(user=user, organization=acme.organization, role=Role.VIEWER)

    opens(accept(token, password=PASSWORD), "viewer")

    assert roles_of(MARY) == ["viewer"]
    refused(look(token), 410, "invitation_expired")


# --- Signed in ----------------------------------------------------------------------------------


def test_who_is_signed_in_joins_without_a_body(acme, alice, globex):
    charlie = globex.client("charlie")
    Session.objects.filter(user=globex.users["charlie"]).update(methods="pwd otp")
    ask(alice, CHARLIE, "admin")

    answer = accept_without_body(last_token(), charlie)

    opens(answer, "admin")
    assert charlie.get(ORGANIZATION).json()["slug"] == "globex"  # the other session goes on
    methods = Session.objects.get(pk=answer.json()["session_id"]).methods
    assert methods == "pwd otp"


def test_who_is_signed_in_under_another_address_does_not_join(charlie, token):
    refused(accept_without_body(token, charlie), 403, "permission_denied")

    assert look(token).status_code == 200
    opens(accept(token, charlie, password=NEW_PASSWORD), "editor")  # a body speaks for itself
    assert roles_of(CHARLIE) == ["owner"]


def test_without_body_and_credential_nothing_happens(token):
    refused(accept_without_body(token, APIClient()), 400, "malformed_json")


def test_a_token_that_does_not_hold_is_refused(acme, alice, globex):
    charlie = globex.client("charlie")
    ask(alice, CHARLIE)
    charlie.get(ORGANIZATION)
    revoke_sessions(user=globex.users["charlie"])

    refused(accept_without_body(last_token(), charlie), 401, "token_revoked")
    assert roles_of(CHARLIE) == ["owner"]


def test_a_user_who_was_deleted_elsewhere_does_not_join(acme, alice, globex):
    charlie = globex.client("charlie")
    ask(alice, CHARLIE)
    charlie.get(ORGANIZATION)
    User.objects.filter(email=CHARLIE).delete()

    refused(accept_without_body(last_token(), charlie), 401, "token_revoked")


def test_a_session_that_ended_elsewhere_opens_no_new_one(acme, alice, globex):
    """This process has the session in its cache, and must not make a lasting one of it."""
    charlie = globex.client("charlie")
    ask(alice, CHARLIE)
    charlie.get(ORGANIZATION)
    Session.objects.filter(user=globex.users["charlie"]).update(revoked_at=timezone.now())

    refused(accept_without_body(last_token(), charlie), 401, "token_revoked")
    assert look(last_token()).status_code == 200
    assert roles_of(CHARLIE) == ["owner"]


# --- What ends an invitation --------------------------------------------------------------------


def test_its_time_is_over(alice, invitation, token):
    change(invitation, expires_at=timezone.now())

    refused(look(token), 410, "invitation_expired")
    refused(accept(token, password=NEW_PASSWORD), 410, "invitation_expired")
    assert state_of(invitation, alice) == "expired"


def test_it_lives_for_its_lifetime(settings, alice):
    settings.ACCOUNTS_INVITATION_LIFETIME = timedelta(days=2)

    ask(alice)

    row = Invitation.objects.get()
    assert row.expires_at - row.sent_at == timedelta(days=2)


def demote(user):
    Membership.objects.filter(user=user).update(role=Role.EDITOR)


def remove(user):
    Membership.objects.filter(user=user).delete()


def deactivate(user):
    User.objects.filter(pk=user.pk).update(is_active=False)


def delete(user):
    user.delete()


@pytest.mark.parametrize("lose", [demote, remove, deactivate, delete])
def test_it_dies_with_the_right_to_give_its_role(acme, alice, lose):
    Membership.objects.filter(user=acme.users["bob"]).update(role=Role.ADMIN)
    invitation = ask(acme.client("bob"))
    token = last_token()

    lose(acme.users["bob"])

    refused(look(token), 410, "invitation_expired")
    refused(accept(token, password=NEW_PASSWORD), 410, "invitation_expired")
    assert roles_of(MARY) == []
    change(invitation, sent_at=timezone.now() - timedelta(hours=1))
    assert alice.post(f"{INVITATIONS}/{invitation['id']}/resend").status_code == 200
    opens(accept(last_token(), password=NEW_PASSWORD), "editor")  # alice answers for it now


def test_an_owner_who_is_none_any_more_makes_no_owners(acme, alice):
    invitation = ask(alice, role="owner")
    row = Invitation.objects.get(pk=invitation["id"])
    assert may_still_grant(row)

    Membership.objects.filter(user=acme.users["alice"]).update(role=Role.ADMIN)

    assert not may_still_grant(row)
    refused(accept(last_token(), password=NEW_PASSWORD), 410, "invitation_expired")


def test_a_suspended_organization_takes_nobody_in(acme, alice, invitation, token):
    lifecycle.suspend_organization(acme.id, by=ACTOR)
    forget_members()

    refused(look(token), 403, "organization_suspended")
    refused(accept(token, password=NEW_PASSWORD), 403, "organization_suspended")
    refused(alice.post(INVITATIONS, {"email": "x@example.com", "role": "viewer"}), 403,
            "organization_suspended")  # fmt: skip
    lifecycle.resume_organization(acme.id, by=ACTOR)
    opens(accept(token, password=NEW_PASSWORD), "editor")


def test_invitations_end_with_the_organization_and_stay_ended(acme, invitation, token):
    lifecycle.delete_organization(acme.id, by=ACTOR)

    assert look(token).status_code == accept(token, password=NEW_PASSWORD).status_code == 410
    lifecycle.restore_organization(acme.id, by=ACTOR)
    refused(accept(token, password=NEW_PASSWORD), 410, "invitation_expired")
    assert state_of(invitation, acme.client("alice")) == "revoked"


def test_a_purge_leaves_no_address(acme, globex, invitation, token):
    other = ask(globex.client("charlie"))

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    Operation.objects.open().update(not_before=acme.organization.created_at)
    resume_operations()

    assert [str(pk) for pk in Invitation.objects.values_list("pk", flat=True)] == [other["id"]]
    refused(look(token), 404, "not_found")
