"""Where one is signed in, and the end of it: for oneself, and for nobody else."""

from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import Membership, Session
from accounts.principals import forget_members
from tenancy.models import AuditEvent
from tests.conftest import PASSWORD
from tests.http import refused

LOG_IN = "/api/v1/auth/login"
LOG_OUT, LOG_OUT_ALL = "/api/v1/auth/logout", "/api/v1/auth/logout-all"
SESSIONS = "/api/v1/auth/sessions"
ORGANIZATION = "/api/v1/organization"


def sign_in(who, agent="curl/8", address="192.0.2.7"):
    """Return a client that is signed in, and what it was answered."""
    client = APIClient()
    answer = client.post(
        LOG_IN, {"email": f"{who}@example.com", "password": PASSWORD},
        headers={"User-Agent": agent}, REMOTE_ADDR=address,
    ).json()  # fmt: skip
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer['access_token']}")
    return client, answer


def test_list_shows_every_open_session_the_newest_first(acme):
    _, phone = sign_in("alice", agent="phone")
    client, laptop = sign_in("alice", agent="laptop", address="2001:db8::7")
    sign_in("bob")

    rows = client.get(SESSIONS).json()["data"]

    assert [row["id"] for row in rows] == [laptop["session_id"], phone["session_id"]]
    assert [row["current"] for row in rows] == [True, False]
    assert [row["device"] for row in rows] == ["laptop", "phone"]
    assert [row["address"] for row in rows] == ["2001:db8::7", "192.0.2.7"]
    assert rows[0]["methods"] == ["pwd"]
    assert rows[0]["organization"] == {"id": str(acme.id), "slug": "acme", "name": "Acme"}


def test_logout_ends_this_session_and_no_other(acme):
    client, answer = sign_in("alice")
    other, _ = sign_in("alice")

    assert client.post(LOG_OUT).status_code == 204

    refused(client.get(ORGANIZATION), 401, "token_revoked")
    again = client.post("/api/v1/auth/refresh", {"refresh_token": answer["refresh_token"]})
    refused(again, 401, "token_revoked")
    assert other.get(ORGANIZATION).status_code == 200


@pytest.mark.parametrize("route", [LOG_OUT, LOG_OUT_ALL])
def test_logout_is_safe_to_repeat(acme, route):
    client, _ = sign_in("alice")

    assert [client.post(route).status_code for _ in range(3)] == [204, 204, 204]
    assert AuditEvent.objects.filter(action="session.ended").count() == 1


def test_an_ended_session_cannot_end_the_others_and_hears_of_it(acme):
    ended, _ = sign_in("alice")
    other, _ = sign_in("alice")
    ended.post(LOG_OUT)

    refused(ended.post(LOG_OUT_ALL), 401, "token_revoked")
    assert ended.post(LOG_OUT).status_code == 204
    assert other.get(ORGANIZATION).status_code == 200

    other.post(LOG_OUT_ALL)
    assert [each.post(LOG_OUT_ALL).status_code for each in (ended, other)] == [204, 204]


def test_a_token_whose_session_goes_on_does_not_say_that_it_has_ended(acme):
    client, answer = sign_in("bob")
    Membership.objects.filter(user=acme.users["bob"]).update(epoch=7)
    forget_members()

    told = refused(client.get(ORGANIZATION), 401, "token_revoked")["detail"]

    assert told == "This token has ended. Refresh if its session goes on, or sign in again."
    again = client.post("/api/v1/auth/refresh", {"refresh_token": answer["refresh_token"]})
    assert again.status_code == 200


@pytest.mark.parametrize("route", [LOG_OUT, LOG_OUT_ALL])
def test_logout_without_a_token_is_refused(db, nobody, route):
    refused(nobody.post(route), 401, "not_authenticated")
    nobody.credentials(HTTP_AUTHORIZATION="Bearer a.b.c")
    refused(nobody.post(route), 401, "not_authenticated")


def test_logout_all_ends_every_session_of_the_user_alone(acme):
    client, _ = sign_in("alice")
    other, _ = sign_in("alice")
    bob, _ = sign_in("bob")

    assert client.post(LOG_OUT_ALL).status_code == 204

    for ended in (client, other):
        refused(ended.get(ORGANIZATION), 401, "token_revoked")
    assert bob.get(ORGANIZATION).status_code == 200


def test_one_session_can_be_ended_from_another(acme):
    client, _ = sign_in("alice")
    lost, answer = sign_in("alice", agent="lost phone")

    assert client.delete(f"{SESSIONS}/{answer['session_id']}").status_code == 204

    refused(lost.get(ORGANIZATION), 401, "token_revoked")
    assert len(client.get(SESSIONS).json()["data"]) == 1
    refused(client.delete(f"{SESSIONS}/{answer['session_id']}"), 404, "not_found")


def test_session_of_another_looks_like_none(acme):
    client, _ = sign_in("alice")
    _, bob = sign_in("bob")

    foreign = client.delete(f"{SESSIONS}/{bob['session_id']}")
    missing = client.delete(f"{SESSIONS}/{uuid4()}")
    garbled = client.delete(f"{SESSIONS}/%00x")

    bodies = [answer.json() for answer in (foreign, missing, garbled)]
    for body in bodies:
        body.pop("request_id")
        body.pop("instance")
    assert bodies[0] == bodies[1] == bodies[2]
    assert not Session.objects.exclude(revoked_at=None).exists()


def test_end_of_sessions_is_recorded(acme):
    client, _ = sign_in("alice")

    client.post(LOG_OUT)

    event = AuditEvent.objects.get(action="session.ended")
    assert (event.actor, event.details) == (f"user:{acme.users['alice'].pk}", {"sessions": 1})
    assert event.address == "127.0.0.1"
    assert event.request_id


def test_long_agents_are_cut(acme):
    client, _ = sign_in("alice", agent="x" * 5_000)

    assert client.get(SESSIONS).json()["data"][0]["device"] == "x" * 200


def test_logout_ends_the_session_though_a_change_of_role_has_ended_the_token(acme):
    client, answer = sign_in("bob")
    Membership.objects.filter(user=acme.users["bob"]).update(epoch=2)
    forget_members()
    refused(client.get(ORGANIZATION), 401, "token_revoked")

    assert client.post(LOG_OUT).status_code == 204

    again = client.post("/api/v1/auth/refresh", {"refresh_token": answer["refresh_token"]})
    refused(again, 401, "token_revoked")
