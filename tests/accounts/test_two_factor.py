"""Setting up an authenticator, renewing its recovery codes, taking it away."""

import base64
import re
from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from accounts.models import RecoveryCode, Session, TotpDevice
from accounts.recovery_codes import CODES
from accounts.tokens import read_access_token
from tenancy.models import AuditEvent
from tests.accounts.authenticator import (
    CONFIRM,
    RECOVERY_CODES,
    TOTP,
    TWO_FACTOR,
    code_of,
    enroll,
    log_in,
    offer,
    signed_in,
    wrong_code_of,
)
from tests.conftest import PASSWORD
from tests.http import pointers, refused

ORGANIZATION = "/api/v1/organization"


def session_of(client):
    token = client._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return Session.objects.get(pk=read_access_token(token).session_id)


def subjects():
    return [letter.subject for letter in mail.outbox]


def actions(cast):
    events = AuditEvent.objects.filter(organization=cast.organization, action__contains="factor")
    return [(event.action, event.actor) for event in events.order_by("pk")]


# --- Set up -------------------------------------------------------------------------------------


def test_offer_is_a_uri_a_secret_and_a_picture(alice, settings):
    settings.ACCOUNTS_TWO_FACTOR_ISSUER = "Acme & Söhne"

    answer = alice.post(TOTP, {"current_password": PASSWORD})

    body = answer.json()
    assert answer.status_code == 201
    assert "no-store" in answer["Cache-Control"]
    uri = urlsplit(body["otpauth_uri"])
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/Acme & Söhne:alice@example.com"
    query = {name: values[0] for name, values in parse_qs(uri.query).items()}
    assert query == {"secret": body["secret"], "issuer": "Acme & Söhne", "algorithm": "SHA1",
                     "digits": "6", "period": "30"}  # fmt: skip
    assert len(base64.b32decode(body["secret"])) == 20
    assert ElementTree.fromstring(body["qr_svg"]).tag == "{http://www.w3.org/2000/svg}svg"


def test_offer_changes_nothing_until_it_is_confirmed(acme, alice):
    offer(alice)

    assert alice.get(TWO_FACTOR).json() == {"enabled": False, "recovery_codes_left": 0}
    assert log_in().status_code == 200


def test_secret_is_kept_encrypted(alice):
    secret = offer(alice)["secret"]

    device = TotpDevice.objects.get()
    assert secret not in device.secret_encrypted
    assert device.secret == secret


@pytest.mark.parametrize("password", ["wrong horse 9 battery", PASSWORD + " ", "x" * 500, "\0"])
def test_offer_needs_the_password(alice, password):
    body = refused(alice.post(TOTP, {"current_password": password}), 422, "validation_failed")

    assert pointers(body) == ["/current_password"]
    assert not TotpDevice.objects.exists()


def test_second_offer_replaces_the_first(alice):
    first, second = offer(alice)["secret"], offer(alice)["secret"]

    assert TotpDevice.objects.count() == 1
    refused(alice.post(CONFIRM, {"code": code_of(first)}), 401, "two_factor_invalid")
    with time_machine.travel(timezone.now() + timedelta(seconds=5), tick=False):
        assert alice.post(CONFIRM, {"code": code_of(second)}).status_code == 200


def test_offer_lapses(alice):
    secret = offer(alice)["secret"]

    # The access token, of ten minutes, lapses before the offer does: the row is made older.
    TotpDevice.objects.update(created_at=timezone.now() - timedelta(minutes=15, seconds=1))

    refused(alice.post(CONFIRM, {"code": code_of(secret)}), 404, "not_found")
    assert not TotpDevice.objects.filter(confirmed=True).exists()


def test_confirmation_without_an_offer_is_not_found(alice):
    refused(alice.post(CONFIRM, {"code": "123456"}), 404, "not_found")


def test_confirmation_makes_this_session_one_of_two_factors_and_ends_the_others(acme, alice, vera):
    other = acme.client("alice")
    assert other.get(ORGANIZATION).status_code == 200

    enrolled = enroll(alice)

    assert session_of(alice).methods == "pwd otp"
    assert alice.get(ORGANIZATION).status_code == 200
    refused(other.get(ORGANIZATION), 401, "token_revoked")
    assert vera.get(ORGANIZATION).status_code == 200
    assert alice.get(TWO_FACTOR).json() == {"enabled": True, "recovery_codes_left": CODES}
    assert len(set(enrolled.recovery_codes)) == CODES


def test_confirmation_is_in_the_audit_and_in_a_letter(acme, globex, alice):
    enroll(alice)

    user = f"user:{acme.users['alice'].pk}"
    assert actions(acme) == [("two_factor.enabled", user)]
    assert actions(globex) == []
    assert subjects() == ["Two factors are on"]
    assert mail.outbox[0].to == ["alice@example.com"]


def test_wrong_first_code_confirms_nothing(alice):
    secret = offer(alice)["secret"]

    answer = alice.post(CONFIRM, {"code": wrong_code_of(secret)})

    refused(answer, 401, "two_factor_invalid")
    assert answer["Retry-After"] == "1"
    assert alice.get(TWO_FACTOR).json()["enabled"] is False


def test_second_authenticator_is_refused(alice):
    enrolled = enroll(alice)

    refused(alice.post(TOTP, {"current_password": PASSWORD}), 409, "already_exists")
    refused(alice.post(CONFIRM, {"code": code_of(enrolled.secret)}), 409, "already_exists")
    assert TotpDevice.objects.get().secret == enrolled.secret


@pytest.mark.parametrize(
    ("url", "body", "pointer"),
    [(TOTP, {}, "/current_password"), (TOTP, {"current_password": 5}, "/current_password"),
     (TOTP, {"current_password": PASSWORD, "code": "1"}, "/code"),
     (CONFIRM, {"code": 123456}, "/code"), (CONFIRM, {"code": ""}, "/code"),
     (CONFIRM, {"code": "1" * 65}, "/code"),
     (RECOVERY_CODES, {"current_password": PASSWORD, "code": None}, "/code"),
     (RECOVERY_CODES, [], "")],
)  # fmt: skip
def test_ill_formed_body_is_refused_with_a_pointer(alice, url, body, pointer):
    problem = refused(alice.post(url, body, format="json"), 422, "validation_failed")

    assert pointers(problem) == [pointer]


@pytest.mark.parametrize(
    "code", ["\0", "\uff11\uff12\uff13\uff14\uff15\uff16", "١٢٣٤٥٦", "-00001", "1e5", "12345", "💥"]
)
def test_hostile_code_is_no_more_than_wrong(alice, code):
    offer(alice)

    answer = alice.post(CONFIRM, {"code": code})

    assert answer.status_code in {401, 422}
    assert answer.json()["code"] in {"two_factor_invalid", "validation_failed"}


# --- Recovery codes and removal -----------------------------------------------------------------


def test_new_recovery_codes_end_the_old_ones(acme, alice):
    enrolled = enroll(alice)

    answer = alice.post(
        RECOVERY_CODES, {"current_password": PASSWORD, "code": code_of(enrolled.secret)}
    )

    fresh = answer.json()["recovery_codes"]
    assert "no-store" in answer["Cache-Control"]
    assert not set(fresh) & set(enrolled.recovery_codes)
    refused(log_in(code=enrolled.recovery_codes[0]), 401, "two_factor_invalid")
    assert log_in(code=fresh[0]).status_code == 200
    assert subjects()[1] == "New recovery codes"
    assert actions(acme)[1][0] == "two_factor.codes_renewed"


def test_recovery_codes_are_not_renewed_without_a_good_code(alice):
    refused(
        alice.post(RECOVERY_CODES, {"current_password": PASSWORD, "code": "123456"}),
        404,
        "not_found",
    )
    enrolled = enroll(alice)
    before = set(RecoveryCode.objects.values_list("digest", flat=True))

    for code in (wrong_code_of(enrolled.secret), enrolled.recovery_codes[0]):
        refused(
            alice.post(RECOVERY_CODES, {"current_password": PASSWORD, "code": code}),
            401,
            "two_factor_invalid",
        )

    assert set(RecoveryCode.objects.values_list("digest", flat=True)) == before


@pytest.mark.parametrize("proof", ["code", "recovery_code"])
def test_removal_leaves_one_factor_everywhere(acme, alice, proof):
    enrolled = enroll(alice)
    second = signed_in(log_in(code=enrolled.recovery_codes[1]))
    given = {"code": code_of(enrolled.secret), "recovery_code": enrolled.recovery_codes[0]}

    answer = alice.delete(TOTP, {"current_password": PASSWORD, proof: given[proof]})

    assert answer.status_code == 204
    assert not TotpDevice.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert [session_of(client).methods for client in (alice, second)] == ["pwd", "pwd"]
    assert log_in().status_code == 200
    assert actions(acme)[-1][0] == "two_factor.disabled"
    assert subjects()[-1] == "Two factors are off"


def test_removal_needs_password_and_one_code(alice):
    enrolled = enroll(alice)
    code, spare = code_of(enrolled.secret), enrolled.recovery_codes[0]

    for body, status in (
        ({"current_password": PASSWORD}, 422),
        ({"current_password": PASSWORD, "code": code, "recovery_code": spare}, 422),
        ({"code": code}, 422),
        ({"current_password": "wrong horse 9 battery", "code": code}, 422),
        ({"current_password": PASSWORD, "code": wrong_code_of(enrolled.secret)}, 401),
        ({"current_password": PASSWORD, "recovery_code": "0000-0000-0000-0000"}, 401),
    ):
        assert alice.delete(TOTP, body).status_code == status

    assert alice.get(TWO_FACTOR).json() == {"enabled": True, "recovery_codes_left": CODES}


def test_nothing_to_remove_is_not_found(alice):
    body = {"current_password": PASSWORD, "code": "123456"}

    refused(alice.delete(TOTP, body), 404, "not_found")


def test_one_user_cannot_touch_the_factor_of_another(alice, bob):
    enrolled = enroll(alice)

    refused(bob.post(CONFIRM, {"code": code_of(enrolled.secret)}), 404, "not_found")
    body = {"current_password": PASSWORD, "recovery_code": enrolled.recovery_codes[0]}
    refused(bob.delete(TOTP, body), 404, "not_found")
    assert alice.get(TWO_FACTOR).json() == {"enabled": True, "recovery_codes_left": CODES}


def test_no_event_holds_a_secret(acme, alice):
    enrolled = enroll(alice)
    log_in(code=enrolled.recovery_codes[0])

    texts = " ".join(str(event.details) for event in AuditEvent.objects.all())
    for secret in (enrolled.secret, *enrolled.recovery_codes, "alice@example.com"):
        assert secret not in texts


def test_secrets_are_encrypted_anew_with_a_new_key(alice, settings):
    enrolled = enroll(alice)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(),
                                      *settings.FIELD_ENCRYPTION_KEYS]  # fmt: skip

    call_command("rotate_encryption_keys")
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]

    assert TotpDevice.objects.get().secret == enrolled.secret
    assert log_in(code=code_of(enrolled.secret)).status_code == 200


def test_recovery_codes_can_be_read_out(alice):
    for code in enroll(alice).recovery_codes:
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}", code)


def test_token_alone_neither_guesses_codes_nor_makes_their_owner_wait(alice):
    enrolled = enroll(alice)
    wrong = {"current_password": "not the password", "code": "000000"}
    for _ in range(6):
        refused(alice.post(RECOVERY_CODES, wrong), 422, "validation_failed")

    right = {"current_password": PASSWORD, "code": code_of(enrolled.secret)}
    assert alice.post(RECOVERY_CODES, right).status_code == 200
