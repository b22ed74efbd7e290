"""Sign in: who gets in, where to, and what a refusal does not tell."""

import pytest
from django.db import transaction

from accounts import login, signup
from accounts.exceptions import InvalidCredentials
from accounts.login import log_in
from accounts.models import Membership, Session, User
from accounts.roles import Role
from accounts.sessions import Device
from tenancy import lifecycle
from tests.conftest import ACTOR, PASSWORD
from tests.http import refused

pytestmark = pytest.mark.usefixtures("quick")

LOG_IN = "/api/v1/auth/login"


def credentials(email="dora@example.com", password=PASSWORD, **more):
    return {"email": email, "password": password} | more


@pytest.mark.parametrize("email", ["alice@example.com", "ALICE@EXAMPLE.COM", " Alice@Example.com"])
def test_login_knows_the_address_in_any_case(acme, nobody, email):
    answer = nobody.post(LOG_IN, credentials(email))

    assert answer.status_code == 200
    assert answer.json()["user"]["email"] == "alice@example.com"
    assert answer.json()["organization"]["role"] == "owner"


@pytest.mark.parametrize(
    "body",
    [credentials("alice@example.com", "wrong horse 9 battery"), credentials("nobody@example.com"),
     credentials("alice@example.com", "x" * 129), credentials("alice", PASSWORD),
     credentials("alice@example.com", PASSWORD.upper()), credentials("alice@example.com' --")],
)  # fmt: skip
def test_wrong_credentials_do_not_tell_what_is_wrong(acme, nobody, body):
    answer = nobody.post(LOG_IN, body)

    refused(answer, 401, "invalid_credentials")
    assert answer.json()["detail"] == InvalidCredentials.default_detail
    assert answer["WWW-Authenticate"].startswith("Bearer ")
    assert not Session.objects.exists()


def test_deactivated_user_is_nobody(acme, nobody):
    User.objects.update(is_active=False)

    refused(nobody.post(LOG_IN, credentials("alice@example.com")), 401, "invalid_credentials")


def test_user_without_a_password_is_nobody(acme, nobody):
    User.objects.create_user("operator@example.com")

    for password in ("", "!", "x" * 200, PASSWORD):
        answer = nobody.post(LOG_IN, credentials("operator@example.com", password))
        assert answer.status_code in {401, 422}


@pytest.mark.parametrize("held", ["", "x" * 129])
def test_too_long_password_is_nobodys(acme, nobody, held):
    User.objects.create_user("eve@example.com", held)

    assert nobody.post(LOG_IN, credentials("eve@example.com", "x" * 129)).status_code == 401


def test_login_of_a_member_of_nothing_is_not_allowed(acme, nobody):
    User.objects.create_user("operator@example.com", PASSWORD)

    refused(nobody.post(LOG_IN, credentials("operator@example.com")), 403, "permission_denied")


@pytest.fixture
def alice_in_two(acme, globex):
    Membership.objects.create(
        user=acme.users["alice"], organization=globex.organization, role=Role.VIEWER
    )


def test_login_opens_the_oldest_membership_and_lists_all(alice_in_two, nobody):
    body = nobody.post(LOG_IN, credentials("alice@example.com")).json()

    assert body["organization"]["slug"] == "acme"
    assert [(each["slug"], each["role"]) for each in body["memberships"]] == [
        ("acme", "owner"), ("globex", "viewer"),
    ]  # fmt: skip


def test_login_opens_the_organization_that_is_named(alice_in_two, globex, nobody):
    for name in ("globex", str(globex.id)):
        body = nobody.post(LOG_IN, credentials("alice@example.com", organization=name)).json()
        assert (body["organization"]["slug"], body["organization"]["role"]) == ("globex", "viewer")


@pytest.mark.parametrize("name", ["globex", "unknown", "None", "../acme", "ACME "])
def test_login_to_an_organization_of_others_is_refused_like_a_wrong_password(
    acme, globex, nobody, name
):
    answer = nobody.post(LOG_IN, credentials("bob@example.com", organization=name))

    refused(answer, 401, "invalid_credentials")


def test_login_refuses_unknown_fields_with_the_nearest_name(acme, nobody):
    answer = nobody.post(LOG_IN, credentials("alice@example.com", organisation="acme"))

    assert "Did you mean “organization”?" in answer.json()["errors"][0]["message"]


def test_suspended_organization_serves_no_data(acme, nobody):
    lifecycle.suspend_organization(acme.id, by=ACTOR)
    token = nobody.post(LOG_IN, credentials("alice@example.com")).json()["access_token"]
    nobody.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    for path in ("organization", "collections", "collections/main/documents"):
        refused(nobody.get(f"/api/v1/{path}"), 403, "organization_suspended")


def test_login_to_a_deleted_organization_says_that_it_is_gone(acme, nobody):
    lifecycle.delete_organization(acme.id, by=ACTOR)

    refused(nobody.post(LOG_IN, credentials("alice@example.com")), 410, "organization_deleted")
    wrong = nobody.post(LOG_IN, credentials("alice@example.com", "wrong horse 9 battery"))
    refused(wrong, 401, "invalid_credentials")


def test_login_passes_over_a_deleted_organization(acme, alice_in_two, nobody):
    lifecycle.delete_organization(acme.id, by=ACTOR)

    assert (
        nobody.post(LOG_IN, credentials("alice@example.com")).json()["organization"]["slug"]
        == "globex"
    )


def test_login_that_overlaps_a_change_of_password_opens_no_session(acme, monkeypatch):
    """The old password was right when it was checked, and no longer when the session opens."""

    def change_meanwhile(password, user):
        alice = User.objects.get(pk=user.pk)
        with transaction.atomic():
            signup.AccountChange(alice, None, "other").apply(acme.organization)
        return True

    monkeypatch.setattr(login, "matches", change_meanwhile)

    with pytest.raises(InvalidCredentials):
        log_in("alice@example.com", PASSWORD, organization=None, device=Device())

    assert not Session.objects.filter(revoked_at=None).exists()


def test_change_of_an_account_does_not_undo_what_happened_meanwhile(acme):
    alice = User.objects.get(email="alice@example.com")
    User.objects.update(name="Alice L.", is_staff=True)

    with transaction.atomic():
        signup.AccountChange(alice, "a@example.com", None).apply(acme.organization)

    changed = User.objects.get(pk=alice.pk)
    assert (changed.email, changed.name, changed.is_staff) == ("a@example.com", "Alice L.", True)
