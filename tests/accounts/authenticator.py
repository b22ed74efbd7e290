"""An authenticator app and its owner, as the tests of two factors need them."""

import base64
import time
from dataclasses import dataclass

import time_machine
from django.utils import timezone
from django_otp.oath import hotp
from rest_framework.test import APIClient

from tests.conftest import PASSWORD

TWO_FACTOR = "/api/v1/auth/two-factor"
TOTP = f"{TWO_FACTOR}/totp"
CONFIRM = f"{TOTP}/confirm"
RECOVERY_CODES = f"{TWO_FACTOR}/recovery-codes"
VERIFY = f"{TWO_FACTOR}/verify"
LOGIN = "/api/v1/auth/login"
STEP_SECONDS = 30


def code_of(secret, steps=0):
    """Return the code that an app shows now, or so many steps of 30 s later."""
    return f"{hotp(base64.b32decode(secret), int(time.time()) // STEP_SECONDS + steps):06}"


def standing_still():
    """Stop the clock of this process, for what must happen within a moment."""
    return time_machine.travel(timezone.now(), tick=False)


def wrong_code_of(secret):
    """Return six digits that no step about now has."""
    near = {code_of(secret, steps) for steps in range(-3, 4)}
    return next(text for text in ("000000", "111111", "222222", *map(str, range(300000, 300009)))
                if text not in near)  # fmt: skip


@dataclass
class Enrolled:
    """A member with an authenticator, in the session that set it up."""

    client: APIClient
    secret: str
    recovery_codes: list[str]


def offer(client):
    """Begin to set an authenticator up; return what the app would scan."""
    answer = client.post(TOTP, {"current_password": PASSWORD})
    assert answer.status_code == 201, answer.content
    return answer.json()


def enroll(client, steps=-1):
    """Set an authenticator up, with the code of the step before: the newer ones are unused.

    The time stands still meanwhile: at the end of a step that code would be too old on arrival.
    """
    secret = offer(client)["secret"]
    with standing_still():
        answer = client.post(CONFIRM, {"code": code_of(secret, steps)})
    assert answer.status_code == 200, answer.content
    return Enrolled(client, secret, answer.json()["recovery_codes"])


def log_in(who="alice", client=None, **changes):
    """Sign in by password, with whatever else is given."""
    body = {"email": f"{who}@example.com", "password": PASSWORD} | changes
    return (client or APIClient()).post(LOGIN, body)


def signed_in(answer):
    """Return a client with the access token of an answer."""
    assert answer.status_code == 200, answer.content
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access_token']}")
    return client
