"""A repeated sign-up hands out no session that has outlived the password or gained a factor."""

import pytest
from rest_framework.test import APIClient

from accounts.locking import lock_user
from accounts.models import User
from tests.conftest import ACTOR, PASSWORD

SIGN_UP, REFRESH = "/api/v1/auth/signup", "/api/v1/auth/refresh"
BODY = {"organization_name": "Umbrella", "email": "ada@example.com", "password": PASSWORD}
NEW_PASSWORD = "another horse 8 staples"


def sign_up():
    return APIClient().post(SIGN_UP, BODY, headers={"Idempotency-Key": "k-1"})


@pytest.fixture
def signed_up(mongo):
    answer = sign_up()
    assert answer.status_code == 201
    return answer.json()


def client_of(answer):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer['access_token']}")
    return client


def change_password(answer):
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert client_of(answer).post("/api/v1/auth/password/change", body).status_code == 204


def change_the_old_way(answer):
    changed = client_of(answer).put("/org/update", {"password": NEW_PASSWORD})
    assert changed.status_code == 200


def log_out_everywhere(answer):
    assert client_of(answer).post("/api/v1/auth/logout-all").status_code == 204


def lock(answer):
    lock_user(User.objects.get(email="ada@example.com"), by=ACTOR)


def test_repeat_is_answered_as_before(signed_up):
    again = sign_up()

    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert again.json() == signed_up


@pytest.mark.parametrize(
    "end", [change_password, change_the_old_way, log_out_everywhere, lock],
    ids=lambda end: end.__name__,
)  # fmt: skip
def test_no_token_is_told_again_once_the_account_was_secured(signed_up, end):
    end(signed_up)

    again = sign_up()

    assert "Idempotent-Replayed" not in again
    assert again.status_code in (401, 409)
    assert signed_up["refresh_token"] not in again.content.decode()
