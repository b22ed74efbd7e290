"""create_operator and reset_two_factor: operators from the command line, and a way back in."""

import json
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Membership, RecoveryCode, Session, TotpDevice, User
from accounts.passwords import matches
from accounts.roles import Role
from tenancy.models import AuditEvent
from tests.accounts.authenticator import code_of, enroll, log_in
from tests.http import refused

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs_mongod]

GOOD = "correct horse 9 battery"
ROOT = "root@example.com"


@pytest.fixture(autouse=True)
def no_given_password(monkeypatch, settings):
    monkeypatch.delenv("TENANTRY_OPERATOR_PASSWORD", raising=False)
    settings.RATE_LIMITS = False


def run(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def create(*arguments):
    return run("create_operator", *arguments)


def created(*arguments):
    return json.loads(create(*arguments, "--json"))


def failed(*arguments):
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    assert caught.value.returncode == 1
    return str(caught.value)


def test_operator_gets_a_generated_password_that_is_shown_once():
    answer = created(" Root@Example.com ")

    user = User.objects.get()
    assert (user.email, user.is_staff, user.is_superuser) == (ROOT, True, True)
    assert matches(answer["password"], user)
    assert len(answer["password"]) >= 20
    assert answer["two_factor"] is None


def test_generated_password_is_in_the_text():
    text = create(ROOT)

    assert matches(text.partition("with the password ")[2].partition(" ")[0], User.objects.get())


def test_password_from_the_environment_is_not_shown(monkeypatch):
    monkeypatch.setenv("TENANTRY_OPERATOR_PASSWORD", GOOD)

    text = create(ROOT, "--json")

    assert matches(GOOD, User.objects.get())
    assert GOOD not in text


def test_password_from_a_file_is_not_shown(tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{GOOD}\n")

    text = create(ROOT, "--password-file", str(file))

    assert matches(GOOD, User.objects.get())
    assert GOOD not in text


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_unreadable_password_file_is_refused(tmp_path, content):
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    assert "password file" in failed("create_operator", ROOT, "--password-file", str(file))
    assert not User.objects.exists()


def test_two_passwords_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TENANTRY_OPERATOR_PASSWORD", GOOD)

    failure = failed("create_operator", ROOT, "--password-file", str(tmp_path / "password"))

    assert "not by both" in failure


@pytest.mark.parametrize(
    ("password", "reason"), [("short", "at least 10"), ("x1" * 65, "128"), ("password12", "common")]
)
def test_weak_password_is_refused_with_the_reason(monkeypatch, password, reason):
    monkeypatch.setenv("TENANTRY_OPERATOR_PASSWORD", password)

    assert reason in failed("create_operator", ROOT)
    assert not User.objects.exists()


@pytest.mark.parametrize("email", ["", "root", "a@b@c", "\0@example.com"])
def test_what_is_no_address_is_refused(email):
    assert failed("create_operator", email) == "This is not an e-mail address."


def test_operator_without_power_of_everything():
    answer = created(ROOT, "--no-superuser")

    assert (answer["is_superuser"], User.objects.get().is_superuser) == (False, False)
    assert User.objects.get().is_staff


def test_existing_user_is_left_alone_unless_promoted():
    user = User.objects.create_user("peter@example.com", GOOD)

    assert "already" in failed("create_operator", "PETER@example.com")
    user.refresh_from_db()
    assert not user.is_staff

    answer = created("PETER@example.com", "--promote")

    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser, answer["is_new"]) == (True, True, False)
    assert matches(GOOD, user)
    assert answer["password"] is None


def test_promotion_takes_no_power_away():
    User.objects.create_superuser(ROOT, GOOD)

    assert created(ROOT, "--promote", "--no-superuser")["is_superuser"] is True


def test_nobody_and_locked_users_are_not_promoted():
    User.objects.create_user("peter@example.com", GOOD, is_active=False)

    assert "no user" in failed("create_operator", ROOT, "--promote")
    assert "locked" in failed("create_operator", "peter@example.com", "--promote")
    assert not User.objects.filter(is_staff=True).exists()


def test_operator_with_two_factors_signs_in_with_what_is_printed(settings, monkeypatch):
    settings.ADMIN_TWO_FACTOR = True
    monkeypatch.setenv("TENANTRY_OPERATOR_PASSWORD", GOOD)
    factor = created(ROOT, "--two-factor")["two_factor"]
    client = Client()

    client.post("/admin/login/", {"username": ROOT, "password": GOOD})
    client.post("/admin/second-factor/", {"code": code_of(factor["secret"])})

    assert client.get("/admin/").status_code == 200
    assert factor["secret"] in factor["otpauth_uri"]
    assert len(factor["recovery_codes"]) == 10


def test_picture_uri_and_codes_are_in_the_text():
    text = create(ROOT, "--two-factor")

    assert "otpauth://totp/Tenantry:root%40example.com?secret=" in text
    assert "\u2588\u2588\u2588" in text
    assert text.count("-") >= 30


def test_promoted_user_keeps_the_authenticator_that_there_is():
    create(ROOT, "--two-factor")
    device = TotpDevice.objects.get()

    assert created(ROOT, "--promote", "--two-factor")["two_factor"] is None
    assert TotpDevice.objects.get() == device


def test_what_is_done_is_in_the_audit_without_the_address():
    create(ROOT, "--two-factor")
    create(ROOT, "--promote")

    events = list(AuditEvent.objects.order_by("pk"))
    assert [event.action for event in events] == [
        "operator.created", "two_factor.enabled", "operator.promoted",
    ]  # fmt: skip
    assert {event.actor for event in events} == {"command:create_operator"}
    assert ROOT not in str([event.details for event in events])


def test_reset_removes_the_factor_and_ends_the_sessions(acme, alice):
    enroll(alice)
    refused(log_in(), 401, "two_factor_required")
    mail.outbox.clear()

    answer = json.loads(run("reset_two_factor", "ALICE@example.com", "--json"))

    assert answer == {"email": "alice@example.com", "reset": True}
    assert not TotpDevice.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert not Session.objects.filter(user=acme.users["alice"], revoked_at=None).exists()
    refused(alice.get("/api/v1/organization"), 401, "token_revoked")
    assert log_in().status_code == 200
    assert [letter.subject for letter in mail.outbox] == ["Your second factor was reset"]
    event = AuditEvent.objects.get(action="two_factor.reset")
    assert (event.organization, event.actor) == (acme.organization, "command:reset_two_factor")


def test_reset_without_a_factor_changes_nothing(acme, bob):
    assert "no second factor" in run("reset_two_factor", "bob@example.com")

    assert bob.get("/api/v1/organization").status_code == 200
    assert "no user" in failed("reset_two_factor", "nobody@example.com")


def test_reset_is_told_to_each_of_many_organizations_within_bounds(acme, globex, alice):
    Membership.objects.create(
        user=acme.users["alice"], organization=globex.organization, role=Role.VIEWER
    )
    enroll(alice)

    run("reset_two_factor", "alice@example.com")

    events = AuditEvent.objects.filter(action="two_factor.reset")
    assert {event.organization for event in events} == {acme.organization, globex.organization}


def test_terminal_without_the_characters_gets_no_picture():
    with TextIOWrapper(BytesIO(), encoding="ascii", write_through=True) as out:
        call_command("create_operator", ROOT, "--two-factor", stdout=out)
        text = out.buffer.getvalue().decode()

    assert "shown only now" in text
    assert "otpauth://totp/" in text
