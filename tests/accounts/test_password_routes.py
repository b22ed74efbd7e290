"""Change a password, forget it, reset it: who stays signed in, who hears of it, what is refused."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import password_resets
from accounts.models import Membership, Session, User
from accounts.roles import Role
from tenancy.models import AuditEvent
from tests.conftest import PASSWORD
from tests.http import pointers, refused
from tests.letters import posted
from tests.servers import at_once

pytestmark = pytest.mark.usefixtures("quick")

AUTH = "/api/v1/auth"
CHANGE, FORGOT = f"{AUTH}/password/change", f"{AUTH}/password/forgot"
RESET, LOG_IN = f"{AUTH}/password/reset", f"{AUTH}/login"
NEW = "another horse 7 staple"
ALICE = "alice@example.com"


def change(client, current=PASSWORD, new=NEW):
    return client.post(CHANGE, {"current_password": current, "new_password": new})


def reset(client, token, new=NEW):
    return client.post(RESET, {"token": token, "new_password": new})


def log_in(email=ALICE, password=NEW):
    return APIClient().post(LOG_IN, {"email": email, "password": password})


def token_for(email=ALICE):
    """Ask for a letter and return the token in it."""
    mail.outbox.clear()
    assert APIClient().post(FORGOT, {"email": email}).status_code == 202
    (letter,) = mail.outbox
    assert letter.to == [User.objects.get(email=email).email]
    return re.findall(r"^[0-9a-f]{32}-\S+$", letter.body, re.M)[0]


def events(action):
    rows = AuditEvent.objects.filter(action=action).order_by("chain", "sequence")
    return [(row.organization and row.organization.slug, row.actor) for row in rows]


# --- Change -------------------------------------------------------------------------------------


def test_change_keeps_this_session_and_ends_the_others(acme, alice, bob):
    elsewhere = acme.client("alice")

    assert change(alice).status_code == 204

    assert alice.get("/api/v1/organization").status_code == 200
    refused(elsewhere.get("/api/v1/organization"), 401, "token_revoked")
    assert bob.get("/api/v1/organization").status_code == 200
    assert log_in().status_code == 200
    refused(log_in(password=PASSWORD), 401, "invalid_credentials")


def test_change_is_told_to_the_user_and_to_nobody_else(acme, alice):
    change(alice)

    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == ([ALICE], "Your password was changed")
    assert NEW not in letter.body
    assert PASSWORD not in letter.body


def test_change_is_in_the_audit_of_each_of_ones_organizations(acme, globex, alice):
    user = acme.users["alice"]
    Membership.objects.create(user=user, organization=globex.organization, role=Role.VIEWER)

    change(alice)

    actor = f"user:{user.pk}"
    assert sorted(events("password.changed")) == [("acme", actor), ("globex", actor)]
    assert ALICE not in str(list(AuditEvent.objects.values_list("details", flat=True)))


@pytest.mark.parametrize("wrong", ["wrong horse 9 battery", PASSWORD.upper(), "x" * 129, "ﬀ"])
def test_change_with_a_wrong_password_is_pointed_at_and_changes_nothing(acme, alice, wrong):
    problem = refused(change(alice, current=wrong), 422, "validation_failed")

    assert pointers(problem) == ["/current_password"]
    assert log_in(password=PASSWORD).status_code == 200
    assert mail.outbox == []


BAD_PASSWORDS = ["", "short", "1234567890123", "alice@example.com", "x" * 129, "x" * 60_001,
                 "long enough \0"]  # fmt: skip


@pytest.mark.parametrize("new", BAD_PASSWORDS, ids=lambda value: f"{value[:9]!r}{len(value)}")
def test_unusable_new_password_is_pointed_at(acme, alice, new):
    problem = refused(change(alice, new=new), 422, "validation_failed")

    assert set(pointers(problem)) == {"/new_password"}
    assert log_in(password=PASSWORD).status_code == 200


@pytest.mark.parametrize("path", [CHANGE, RESET, FORGOT])
@pytest.mark.parametrize("body", [{}, [], None, {"x": 1}, {"email": 5, "token": []}], ids=repr)
def test_ill_formed_body_is_a_422(acme, alice, path, body):
    assert alice.post(path, body, format="json").status_code in {400, 422}


def test_change_of_nobody_is_refused(db, nobody):
    refused(change(nobody), 401, "not_authenticated")


def test_password_that_changes_while_it_is_checked_is_not_overwritten(acme, alice, monkeypatch):
    def change_meanwhile(password):
        User.objects.filter(email=ALICE).update(password="another")
        return "mine"

    monkeypatch.setattr(password_resets, "hash_password", change_meanwhile)

    problem = refused(change(alice), 422, "validation_failed")

    assert pointers(problem) == ["/current_password"]
    assert User.objects.get(email=ALICE).password == "another"


# --- Forget -------------------------------------------------------------------------------------


@pytest.fixture
def answers(acme):
    User.objects.filter(email="bob@example.com").update(is_active=False)
    User.objects.create_user("operator@example.com")
    addresses = [ALICE, "bob@example.com", "operator@example.com", "nobody@example.com", "x", "'--"]
    return [APIClient().post(FORGOT, {"email": email}) for email in addresses]


def test_answer_to_the_forgetful_is_the_same_for_all(answers):
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1


def test_letter_goes_to_active_users_with_a_password_alone(answers):
    assert [letter.to for letter in mail.outbox] == [[ALICE]]
    assert events("password.reset_requested") == [("acme", "anonymous")]


@pytest.mark.parametrize(
    "email", ["ALICE@Example.com", " alice@example.com", "\uff41lice@example.com"]
)
def test_address_is_known_in_any_spelling_and_the_letter_goes_to_the_kept_one(acme, nobody, email):
    nobody.post(FORGOT, {"email": email})

    assert [letter.to for letter in mail.outbox] == [[ALICE]]


def test_request_asks_nothing_of_the_catalog_before_it_is_answered(
    acme, nobody, monkeypatch, django_assert_num_queries
):
    kept = []
    monkeypatch.setattr(password_resets, "do_later", kept.append)

    with django_assert_num_queries(0):
        assert nobody.post(FORGOT, {"email": ALICE}).status_code == 202

    assert len(kept) == 1


def test_letter_links_to_the_page_of_an_application(acme, nobody, settings):
    settings.ACCOUNTS_RESET_URL = "https://app.example/reset#{token}"

    nobody.post(FORGOT, {"email": ALICE})

    assert re.search(r"^https://app\.example/reset#[0-9a-f]{32}-\S+$", mail.outbox[0].body, re.M)


@pytest.mark.parametrize("email", [ALICE, "o'malley$(id)@example.com"])
def test_letters_can_be_followed_without_a_page(acme, nobody, email):
    User.objects.filter(email=ALICE).update(email=email)
    nobody.post(FORGOT, {"email": email})

    path, body = posted(mail.outbox[0])
    assert pointers(nobody.post(path, body).json()) == ["/new_password"]
    assert nobody.post(path, body | {"new_password": NEW}).status_code == 204
    assert posted(mail.outbox[1]) == (FORGOT, {"email": email})


# --- Reset --------------------------------------------------------------------------------------


def test_reset_ends_every_session_and_the_new_password_opens(acme, alice, bob, nobody):
    assert reset(nobody, token_for()).status_code == 204

    refused(alice.get("/api/v1/organization"), 401, "token_revoked")
    assert bob.get("/api/v1/organization").status_code == 200
    assert not Session.objects.filter(user=acme.users["alice"], revoked_at=None).exists()
    assert log_in().status_code == 200
    refused(log_in(password=PASSWORD), 401, "invalid_credentials")


def test_reset_is_recorded_and_told(acme, nobody):
    reset(nobody, token_for())

    assert events("password.reset") == [("acme", f"user:{acme.users['alice'].pk}")]
    assert [letter.subject for letter in mail.outbox][1:] == ["Your password was changed"]


def test_reset_is_blind_to_a_credential_sent_along(acme, nobody):
    token = token_for()
    nobody.credentials(HTTP_AUTHORIZATION="Bearer of.bad.news")

    assert reset(nobody, token).status_code == 204


def refused_token(answer):
    assert pointers(refused(answer, 422, "validation_failed")) == ["/token"]


def test_token_works_once(acme, nobody):
    token = token_for()
    reset(nobody, token)

    refused_token(reset(nobody, token, "a third horse 5 glue"))

    assert log_in().status_code == 200


def test_of_two_resets_at_once_one_wins(acme):
    token = token_for()
    passwords = ["first horse 7 staple", "second horse 7 staple"]

    answers = at_once([lambda new=new: reset(APIClient(), token, new) for new in passwords])

    assert sorted(answer.status_code for answer in answers) == [204, 422]
    winner = passwords[[answer.status_code for answer in answers].index(204)]
    assert log_in(password=winner).status_code == 200
    assert len(events("password.reset")) == 1


@pytest.mark.parametrize("age", [timedelta(minutes=59), timedelta(minutes=61)])
def test_token_lives_an_hour(acme, nobody, age):
    token = token_for()

    with time_machine.travel(timezone.now() + age):
        answer = reset(nobody, token)

    assert answer.status_code == (204 if age < timedelta(hours=1) else 422)


def test_token_ends_with_a_change_of_the_password(acme, alice, nobody):
    token = token_for()
    change(alice)

    refused_token(reset(nobody, token, "a third horse 5 glue"))


def test_token_of_one_is_not_anothers(acme, nobody):
    token = token_for()
    bob = acme.users["bob"].pk.hex

    refused_token(reset(nobody, f"{bob}-{token.partition('-')[2]}"))

    assert log_in("bob@example.com", PASSWORD).status_code == 200


def test_token_of_a_user_who_was_locked_out_is_refused(acme, nobody):
    token = token_for()
    User.objects.filter(email=ALICE).update(is_active=False)

    refused_token(reset(nobody, token))


@pytest.mark.parametrize(
    "token",
    ["x", "-", "--", "0-0-0", "ä" * 40, "00000000000040008000000000000000-abc-def", "9" * 500,
     "' OR 1=1 --", "{00000000-0000-4000-8000-000000000000}-a-b"],
)  # fmt: skip
def test_token_that_is_none_is_pointed_at(acme, nobody, token):
    refused_token(reset(nobody, token))


@pytest.mark.parametrize("new", BAD_PASSWORDS, ids=lambda value: f"{value[:9]!r}{len(value)}")
def test_unusable_password_does_not_use_the_token_up(acme, nobody, new):
    token = token_for()

    problem = refused(reset(nobody, token, new), 422, "validation_failed")

    assert set(pointers(problem)) == {"/new_password"}
    assert reset(nobody, token).status_code == 204


@pytest.mark.parametrize("path", [CHANGE, RESET, LOG_IN])
@pytest.mark.parametrize("text", [rb"\ud800", rb"\u0000", rb"\udfff long enough"])
def test_half_characters_are_a_4xx(acme, alice, path, text):
    body = b'{"current_password": "%b", "new_password": "%b", "email": "%b", "password": "%b"}'
    filled = body % (text, text, text, text)

    answer = alice.generic("POST", path, filled, content_type="application/json")

    assert 400 <= answer.status_code < 500
