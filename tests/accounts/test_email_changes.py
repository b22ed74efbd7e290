"""A new address is proved by a letter to it, and no answer tells whether somebody has it."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from accounts import email_changes
from accounts.models import User
from tenancy.encryption import encrypt
from tenancy.models import AuditEvent
from tests.conftest import PASSWORD
from tests.http import pointers, refused
from tests.servers import at_once

ME, CONFIRM = "/api/v1/me", "/api/v1/me/email/confirm"
NEW, TAKEN = "robert@example.org", "alice@example.com"


@pytest.fixture(autouse=True)
def confirmed(quick, settings):
    settings.ACCOUNTS_SIGNUP = "confirmed"


def ask(client, email=NEW, password=PASSWORD, **more):
    return client.patch(ME, {"email": email, "current_password": password, **more})


def confirm(client, token):
    return client.post(CONFIRM, {"token": token})


def refused_token(answer):
    assert pointers(refused(answer, 422, "validation_failed")) == ["/token"]


@pytest.fixture
def token(bob):
    assert ask(bob).status_code == 202
    return re.findall(r"^[\w=-]{100,}$", mail.outbox.pop().body, re.M)[0]


def email_of(cast, who="bob"):
    return User.objects.get(pk=cast.users[who].pk).email


def test_answer_does_not_tell_whether_the_address_is_known(acme, bob):
    known, unknown = ask(bob, TAKEN), ask(bob)

    assert known.status_code == unknown.status_code == 202
    assert known.content == unknown.content
    assert email_of(acme) == "bob@example.com"


def test_letter_goes_to_the_new_address_and_tells(acme, bob):
    ask(bob, TAKEN)
    ask(bob)

    known, unknown = mail.outbox
    assert (known.to, unknown.to) == ([TAKEN], [NEW])
    assert not re.findall(r"[\w=-]{100,}", known.body)
    assert re.findall(r"[\w=-]{100,}", unknown.body)
    assert "bob@example.com" not in known.body + unknown.body


def test_nothing_is_asked_about_the_address_before_the_answer(acme, bob, monkeypatch):
    kept = []
    monkeypatch.setattr(email_changes, "do_later", kept.append)

    ask(bob, TAKEN)
    ask(bob)

    assert len(kept) == 2
    assert not mail.outbox


def test_token_changes_the_address_and_ends_other_sessions(acme, bob, token):
    elsewhere = acme.client("bob")

    answer = confirm(bob, token)

    assert (answer.status_code, answer.json()["email"]) == (200, NEW)
    assert bob.get(ME).status_code == 200
    refused(elsewhere.get(ME), 401, "token_revoked")
    assert sorted(each.to[0] for each in mail.outbox) == ["bob@example.com", NEW]
    event = AuditEvent.objects.order_by("id").last()
    assert (event.action, event.details) == ("user.changed", {"email": True})


def test_token_works_once(acme, bob, token):
    confirm(bob, token)
    ask(bob, "bob@example.com")

    refused_token(confirm(bob, token))


def test_token_ends_with_the_password(acme, bob, token):
    User.objects.filter(pk=acme.users["bob"].pk).update(password="!")

    refused_token(confirm(bob, token))
    assert email_of(acme) == "bob@example.com"


def test_token_is_for_whoever_asked_for_it(acme, bob, alice, token):
    refused_token(confirm(alice, token))
    assert email_of(acme, "alice") == TAKEN


def test_address_that_was_taken_meanwhile_is_not_given_twice(acme, bob, token):
    User.objects.create(email=NEW)

    refused_token(confirm(bob, token))


@pytest.mark.parametrize("hours", [23, 25])
def test_token_lives_a_day(acme, bob, token, hours, settings):
    settings.ACCESS_TOKEN_LIFETIME = timedelta(days=2)
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        answer = confirm(acme.client("bob"), token)
    assert answer.status_code == (200 if hours < 24 else 422)


@pytest.mark.parametrize("held", ["x", "[]", '["email"]', '["signup", 9e9, "a", "b", "c", "d"]'])
def test_what_is_no_token_for_this_is_refused(acme, bob, held):
    refused_token(confirm(bob, encrypt(held)))
    refused_token(confirm(bob, held))


def test_of_two_tokens_at_once_one_wins(acme, bob):
    ask(bob)
    ask(bob, "bobby@example.org")
    tokens = [re.findall(r"^[\w=-]{100,}$", each.body, re.M)[0] for each in mail.outbox]

    answers = at_once([lambda each=each: confirm(bob, each).status_code for each in tokens])

    assert sorted(answers) in ([200, 422], [200, 503])


def test_password_and_address_are_looked_at_first(acme, bob):
    assert pointers(ask(bob, password="x" * 12).json()) == ["/current_password"]
    assert pointers(ask(bob, "no address").json()) == ["/email"]
    assert not mail.outbox


def test_name_is_changed_at_once(acme, bob):
    assert ask(bob, name="Robert").status_code == 202

    assert bob.get(ME).json()["name"] == "Robert"


def test_own_address_is_no_change(acme, bob):
    assert ask(bob, "BOB@example.com").status_code == 200
    assert not mail.outbox


def test_letters_to_one_address_are_bounded(acme, bob, settings):
    settings.RATE_LIMITS, settings.LIMIT_FORGOT_ACCOUNT = True, "1/hour"

    assert [ask(bob).status_code for _ in range(3)] == [202] * 3
    assert len(mail.outbox) == 1
