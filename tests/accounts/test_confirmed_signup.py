"""Sign-up by a letter: no answer and no row before it tells whether an address is known."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.core.checks import run_checks
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import confirmed_signup
from accounts.models import Membership, User
from tenancy import lifecycle
from tenancy.encryption import encrypt
from tenancy.models import Organization
from tests.conftest import ACTOR, PASSWORD
from tests.http import pointers, refused, send
from tests.letters import posted
from tests.servers import at_once

SIGN_UP, CONFIRM = "/api/v1/auth/signup", "/api/v1/auth/signup/confirm"
BODY = {"organization_name": "Umbrella", "email": "dora@example.com", "password": PASSWORD}
KNOWN = BODY | {"email": " Alice@example.com"}


@pytest.fixture(autouse=True)
def confirmed(quick, settings):
    settings.ACCOUNTS_SIGNUP = "confirmed"


def ask(**changes):
    return APIClient().post(SIGN_UP, BODY | changes)


def confirm(token):
    return APIClient().post(CONFIRM, {"token": token})


def token_of(letter):
    return re.findall(r"^[\w=-]{100,}$", letter.body, re.M)[0]


@pytest.fixture
def token(mongo):
    assert ask(name="Dora").status_code == 202
    return token_of(mail.outbox.pop())


def refused_token(answer):
    assert pointers(refused(answer, 422, "validation_failed")) == ["/token"]


def test_answer_does_not_tell_whether_the_address_is_known(acme):
    known, unknown = ask(email=KNOWN["email"]), ask()

    assert known.status_code == unknown.status_code == 202
    assert known.content == unknown.content
    assert set(known.headers) == set(unknown.headers)


def test_letter_does_and_holds_a_token_for_the_unknown_alone(acme):
    ask(email=KNOWN["email"])
    ask()

    known, unknown = mail.outbox
    assert (known.to, known.subject) == (["alice@example.com"], "You have an account already")
    assert (unknown.to, unknown.subject) == (["dora@example.com"], "Confirm your e-mail address")
    assert not re.findall(r"[\w=-]{100,}", known.body)
    assert PASSWORD not in known.body + unknown.body
    assert token_of(unknown)


def test_letters_can_be_followed_without_a_page(acme, nobody):
    ask(email=KNOWN["email"])
    ask()

    known, unknown = mail.outbox
    assert send(nobody, "POST", *posted(unknown)).status_code == 201
    assert posted(known) == ("/api/v1/auth/password/forgot", {"email": "alice@example.com"})


def test_nothing_is_asked_of_the_users_before_the_answer(
    acme, monkeypatch, django_assert_num_queries
):
    kept = []
    monkeypatch.setattr(confirmed_signup, "do_later", kept.append)

    for body in (BODY, KNOWN):
        with django_assert_num_queries(1) as queries:  # whether the name is free
            APIClient().post(SIGN_UP, body)
        assert "accounts_user" not in queries.captured_queries[0]["sql"]

    assert len(kept) == 2


def test_inactive_user_gets_no_letter(acme):
    User.objects.update(is_active=False)

    assert ask(email=KNOWN["email"]).status_code == 202

    assert mail.outbox == []


def test_asking_writes_no_row(acme):
    before = [model.objects.count() for model in (User, Organization, Membership)]

    ask()

    assert [model.objects.count() for model in (User, Organization, Membership)] == before


def test_token_makes_what_was_asked_for(token, nobody):
    answer = confirm(token)

    body = answer.json()
    assert (answer.status_code, answer["Location"]) == (201, "/api/v1/organization")
    assert (body["user"]["email"], body["user"]["name"]) == ("dora@example.com", "Dora")
    assert (body["organization"]["slug"], body["organization"]["role"]) == ("umbrella", "owner")
    signed_in = nobody.post("/api/v1/auth/login", {"email": BODY["email"], "password": PASSWORD})
    assert signed_in.status_code == 200


def test_token_shows_nothing_of_what_it_holds(token):
    assert "dora" not in token
    assert "argon2" not in token


def test_token_works_once(token):
    confirm(token)

    refused_token(confirm(token))

    assert Organization.objects.count() == User.objects.count() == 1


def test_of_two_who_confirm_at_once_one_gets_in(token):
    answers = at_once([lambda: confirm(token)] * 2)

    assert sorted(answer.status_code for answer in answers) in ([201, 422], [201, 503])
    assert Organization.objects.count() == User.objects.count() == 1


@pytest.mark.parametrize("hours", [23, 25])
def test_token_lives_a_day(token, hours):
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        assert confirm(token).status_code == (201 if hours < 24 else 422)


def test_name_that_was_taken_meanwhile_is_told(token):
    lifecycle.create_organization("Umbrella", by=ACTOR)

    problem = refused(confirm(token), 409, "name_taken")

    assert pointers(problem) == ["/token"]
    assert not User.objects.exists()


@pytest.mark.parametrize("value", ["x", "ä", "gAAAA", "x" * 7_999])
def test_what_is_no_token_is_refused(db, value):
    refused_token(confirm(value))


@pytest.mark.parametrize("held", ["mongodb://localhost", "[]", "5", '["signup"]', '["other", 9e9]'])
def test_what_the_service_encrypted_for_something_else_is_no_token(db, held):
    refused_token(confirm(encrypt(held)))


@pytest.mark.parametrize("email", [BODY["email"], KNOWN["email"]])
def test_taken_name_is_told_whatever_the_address(acme, email):
    refused(ask(organization_name="ACME", email=email), 409, "name_taken")

    assert mail.outbox == []


@pytest.mark.parametrize("email", [BODY["email"], KNOWN["email"]])
def test_unusable_password_is_told_whatever_the_address(acme, email):
    problem = refused(ask(password="short", email=email), 422, "validation_failed")

    assert set(pointers(problem)) == {"/password"}
    assert mail.outbox == []


def test_compatibility_route_does_not_tell_either(acme, nobody):
    answers = [nobody.post("/org/create", body) for body in (BODY, KNOWN)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content == ask().content
    assert not User.objects.filter(email=BODY["email"]).exists()


def test_letter_links_to_the_page_of_an_application(transactional_db, settings):
    settings.ACCOUNTS_CONFIRMATION_URL = "https://app.example/confirm#{token}"

    ask()

    assert re.search(r"^https://app\.example/confirm#[\w=-]{100,}$", mail.outbox[0].body, re.M)


@pytest.mark.parametrize(
    ("value", "ids"), [("open", []), ("confirmed", []), ("no", ["accounts.E003"])]
)
def test_way_to_sign_up_that_there_is_not_is_named(settings, value, ids):
    settings.ACCOUNTS_SIGNUP = value

    assert [each.id for each in run_checks() if each.id == "accounts.E003"] == ids


# --- Where sign-up is open ----------------------------------------------------------------------


def test_name_and_address_that_are_both_taken_look_like_a_taken_name(acme, settings):
    settings.ACCOUNTS_SIGNUP = "open"

    known = ask(organization_name="Acme", email=KNOWN["email"])
    unknown = ask(organization_name="Acme")

    bodies = [refused(answer, 409, "name_taken") for answer in (known, unknown)]
    for body in bodies:
        body.pop("request_id")
    assert bodies[0] == bodies[1]
