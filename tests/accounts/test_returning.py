"""Whoever has left their only organization is not stuck: they sign up again with their account."""

import re

import pytest
from django.core import mail
from rest_framework.test import APIClient

from accounts.models import Membership, Session, TotpDevice, User
from accounts.roles import Role
from tenancy import lifecycle
from tenancy.models import AuditEvent, Organization
from tests.accounts.authenticator import code_of, enroll, wrong_code_of
from tests.conftest import ACTOR, PASSWORD
from tests.http import pointers, refused
from tests.servers import at_once

pytestmark = pytest.mark.usefixtures("quick")

SIGN_UP, LOG_IN = "/api/v1/auth/signup", "/api/v1/auth/login"
BODY = {"organization_name": "Umbrella", "email": "bob@example.com", "password": PASSWORD}
WRONG = "another horse 10 battery"


def ask(headers=None, **changes):
    return APIClient().post(SIGN_UP, BODY | changes, headers=headers)


def log_in():
    return APIClient().post(LOG_IN, {"email": BODY["email"], "password": PASSWORD})


@pytest.fixture
def gone(acme, bob):
    """bob, who has left the only organization that he was in."""
    assert bob.post("/api/v1/organization/leave").status_code == 204
    return acme.users["bob"]


@pytest.fixture
def secret(acme, bob):
    """That of the authenticator of bob, who has left the only organization that he was in."""
    enrolled = enroll(bob)
    assert enrolled.client.post("/api/v1/organization/leave").status_code == 204
    mail.outbox.clear()
    return enrolled.secret


def test_sign_in_says_how_to_go_on(gone):
    problem = refused(log_in(), 403, "permission_denied")

    assert "POST /api/v1/auth/signup" in problem["hint"]


def test_account_founds_an_organization_of_its_own(gone):
    answer = ask(name="Robert", email=" BOB@example.com")

    body = answer.json()
    assert (answer.status_code, answer["Location"]) == (201, "/api/v1/organization")
    assert (body["user"]["id"], body["organization"]["role"]) == (str(gone.pk), "owner")
    assert User.objects.filter(email=BODY["email"]).count() == 1
    assert log_in().json()["organization"]["slug"] == "umbrella"
    events = AuditEvent.objects.filter(organization__slug="umbrella").order_by("sequence")
    assert [(event.action, event.actor) for event in events][:2] == [
        ("organization.created", f"user:{gone.pk}"),
        ("session.opened", f"user:{gone.pk}"),
    ]


@pytest.mark.parametrize("password", [WRONG, PASSWORD + " "])
def test_wrong_password_is_told_as_a_taken_address(gone, password):
    problem = refused(ask(password=password), 409, "already_exists")

    assert pointers(problem) == ["/email"]
    assert Organization.objects.count() == 1


def test_right_password_of_whoever_belongs_somewhere_is_no_key(acme):
    right, wrong = ask(), ask(password=WRONG)

    bodies = [refused(answer, 409, "already_exists") for answer in (right, wrong)]
    for body in bodies:
        body.pop("request_id")
    assert bodies[0] == bodies[1]


def test_inactive_account_founds_nothing(gone):
    User.objects.filter(pk=gone.pk).update(is_active=False)

    refused(ask(), 409, "already_exists")


def test_taken_name_comes_before_the_address(gone):
    refused(ask(organization_name="Acme"), 409, "name_taken")


def test_passwords_are_not_guessed_beside_the_limits_of_signing_in(gone, settings):
    settings.RATE_LIMITS, settings.LIMIT_LOGIN_PAIR = True, "2/15 minutes"
    settings.LIMIT_SIGNUP_ADDRESS = "100/hour"

    answers = [ask(password=WRONG), ask(password=WRONG), ask(), log_in()]

    assert [answer.status_code for answer in answers] == [409, 409, 429, 429]


def test_what_went_well_is_forgotten(gone, settings):
    settings.RATE_LIMITS, settings.LIMIT_LOGIN_PAIR = True, "2/15 minutes"

    ask(password=WRONG)

    assert ask().status_code == 201
    assert [log_in().status_code for _ in range(2)] == [200, 200]


def test_second_factor_is_asked_for(secret):
    assert "code" in refused(ask(), 401, "two_factor_required")["hint"]
    refused(ask(code=wrong_code_of(secret)), 401, "two_factor_invalid")
    TotpDevice.objects.update(throttling_failure_count=0)
    answer = ask(code=code_of(secret))

    assert answer.status_code == 201
    assert Session.objects.get(revoked_at=None).methods == "pwd otp"


def test_second_factor_is_not_asked_of_whoever_has_the_wrong_password(secret):
    refused(ask(password=WRONG, code=code_of(secret)), 409, "already_exists")


@pytest.mark.parametrize("names", [["One", "Two"], ["One", "One"]])
def test_of_two_foundings_at_once_one_succeeds(gone, names):
    answers = at_once([lambda name=name: ask(organization_name=name) for name in names])

    assert sorted(answer.status_code for answer in answers) in ([201, 409], [201, 503])
    assert Membership.objects.filter(user=gone).count() == 1
    assert Organization.objects.count() == 2


def test_repeat_with_a_key_founds_once(gone):
    first, again = (ask(headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again["Idempotent-Replayed"] == "true"


def test_member_of_a_deleted_organization_does_not_wait_for_its_purge(acme):
    lifecycle.delete_organization(acme.id, by=ACTOR)

    assert ask().status_code == 201
    refused(ask(email="alice@example.com", organization_name="Other"), 409, "already_exists")


def test_compatibility_route_does_it_too(gone, nobody):
    wrong = nobody.post("/org/create", BODY | {"password": WRONG})
    right = nobody.post("/org/create", BODY)

    assert (wrong.status_code, right.status_code) == (400, 201)
    assert Membership.objects.get(user=gone).role == Role.OWNER


# --- Where sign-ups are confirmed ---------------------------------------------------------------


@pytest.fixture
def confirmed(settings):
    settings.ACCOUNTS_SIGNUP = "confirmed"


def confirm(token):
    return APIClient().post("/api/v1/auth/signup/confirm", {"token": token})


def token_of(letter):
    return re.findall(r"^[\w=-]{100,}$", letter.body, re.M)[0]


def test_letter_holds_the_token(gone, confirmed):
    known, unknown = ask(), ask(email="new@example.com")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    token = token_of(mail.outbox[0])

    answer = confirm(token)

    assert (answer.status_code, answer.json()["user"]["id"]) == (201, str(gone.pk))
    assert pointers(refused(confirm(token), 422, "validation_failed")) == ["/token"]
    assert Membership.objects.filter(user=gone).count() == 1


def test_letter_after_a_wrong_password_says_what_to_do(gone, confirmed):
    ask(password=WRONG)

    [letter] = mail.outbox
    assert letter.subject == "You have an account already"
    assert "sign up again with the password" in letter.body
    assert not re.findall(r"[\w=-]{100,}", letter.body)


def test_token_ends_with_the_password(gone, confirmed):
    ask()
    User.objects.filter(pk=gone.pk).update(password="!")

    refused(confirm(token_of(mail.outbox[0])), 422, "validation_failed")


def test_second_factor_is_proved_before_the_letter(secret, confirmed):
    ask()
    ask(code=code_of(secret))

    without, with_code = mail.outbox
    assert without.subject == "You have an account already"
    assert confirm(token_of(with_code)).status_code == 201


def test_token_ends_with_another_second_factor(gone, confirmed):
    ask()
    TotpDevice.objects.create(user=gone, confirmed=True, secret_encrypted="x")

    refused(confirm(token_of(mail.outbox[0])), 422, "validation_failed")


def test_two_tokens_at_once_found_one_organization(gone, confirmed):
    ask(organization_name="One")
    ask(organization_name="Two")
    tokens = [token_of(letter) for letter in mail.outbox]

    answers = at_once([lambda token=token: confirm(token) for token in tokens])

    assert sorted(answer.status_code for answer in answers) in ([201, 422], [201, 503])
    assert Membership.objects.filter(user=gone).count() == 1
