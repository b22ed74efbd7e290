"""Refresh tokens: opaque, used once, told again for a moment, and the end of whoever shares one."""

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import refresh_tokens
from accounts.login import sign_in
from accounts.memberships import add_member
from accounts.models import Membership, RefreshToken, Session, User
from accounts.roles import Role
from accounts.sessions import Device, revoke_sessions
from tenancy import lifecycle
from tenancy.models import AuditEvent
from tests.conftest import ACTOR, PASSWORD
from tests.http import refused

LOG_IN, REFRESH = "/api/v1/auth/login", "/api/v1/auth/refresh"
ORGANIZATION = "/api/v1/organization"


@pytest.fixture
def pair(acme, nobody):
    """What alice got when she signed in."""
    answer = nobody.post(LOG_IN, {"email": "alice@example.com", "password": PASSWORD})
    return answer.json()


def refresh(token, **body):
    client = APIClient(raise_request_exception=False)
    return client.post(REFRESH, {"refresh_token": token, **body})


def with_token(token):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def age(token, **delta):
    """Let a used token have been used longer ago."""
    row = RefreshToken.objects.filter(pk=refresh_tokens.digest_of(token))
    assert row.update(used_at=timezone.now() - timedelta(**delta)) == 1


def test_refresh_gives_a_new_pair_of_the_same_session(pair):
    answer = refresh(pair["refresh_token"])

    body = answer.json()
    assert answer.status_code == 200
    assert body["session_id"] == pair["session_id"]
    assert body["refresh_token"] != pair["refresh_token"]
    assert body["access_token"] != pair["access_token"]
    assert 0 < body["refresh_expires_in"] <= 14 * 24 * 3600
    assert with_token(body["access_token"]).get(ORGANIZATION).status_code == 200


def test_only_the_digest_of_a_token_is_kept(pair):
    digest = hashlib.sha256(pair["refresh_token"].encode()).hexdigest()

    row = RefreshToken.objects.get()
    assert row.pk == digest
    assert pair["refresh_token"] not in str(vars(row))


def test_rows_alone_do_not_make_the_successor(pair):
    successor = refresh(pair["refresh_token"]).json()["refresh_token"]

    for row in RefreshToken.objects.all():
        for made in (row.pk + row.salt, row.salt + row.pk):
            assert refresh_tokens._successor(made, row.salt) != successor
        assert refresh_tokens._successor(row.pk, row.salt) != successor


def test_repeat_within_the_window_gets_the_same_successor(pair):
    first, second = (refresh(pair["refresh_token"]).json() for _ in range(2))

    assert first["refresh_token"] == second["refresh_token"]
    assert RefreshToken.objects.count() == 2


def test_repeat_after_the_window_ends_the_session_for_both(pair):
    successor = refresh(pair["refresh_token"]).json()
    age(pair["refresh_token"], seconds=refresh_tokens.REPEAT_SECONDS + 1)

    refused(refresh(pair["refresh_token"]), 401, "refresh_reused")

    refused(refresh(successor["refresh_token"]), 401, "refresh_reused")
    refused(with_token(successor["access_token"]).get(ORGANIZATION), 401, "token_revoked")
    refused(with_token(pair["access_token"]).get(ORGANIZATION), 401, "token_revoked")


def test_reuse_leaves_a_trace_and_leaves_other_sessions_alone(acme, pair, nobody):
    other = nobody.post(LOG_IN, {"email": "alice@example.com", "password": PASSWORD}).json()
    refresh(pair["refresh_token"])
    age(pair["refresh_token"], hours=1)

    refresh(pair["refresh_token"])
    refresh(pair["refresh_token"])

    events = AuditEvent.objects.filter(action="session.refresh_reused")
    assert [event.details for event in events] == [{"session": pair["session_id"]}]
    assert refresh(other["refresh_token"]).status_code == 200


@pytest.mark.parametrize("seconds", [0, 9])
def test_grandparent_may_be_repeated_within_its_own_window(pair, seconds):
    child = refresh(pair["refresh_token"]).json()["refresh_token"]
    refresh(child)
    age(pair["refresh_token"], seconds=seconds)

    assert refresh(pair["refresh_token"]).json()["refresh_token"] == child


@pytest.mark.parametrize(
    "token",
    [
        "", " ", "x", "rt_", "rt_" + "0" * 64, "rt_" + "z" * 64, "RT_" + "0" * 64,
        "rt_" + "é" * 64, "\x00" * 67, "rt_" + "0" * 900, "' OR 1=1 --",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(pair, token):
    answer = refresh(token)

    assert answer.status_code in (401, 422)
    assert answer.json()["code"] in ("not_authenticated", "validation_failed")


def test_access_token_is_no_refresh_token_and_the_other_way_round(pair):
    refused(refresh(pair["access_token"]), 401, "not_authenticated")
    refused(with_token(pair["refresh_token"]).get(ORGANIZATION), 401, "not_authenticated")


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": 7}, []])
def test_body_without_a_token_is_refused(db, nobody, body):
    assert nobody.post(REFRESH, body).status_code == 422


def test_token_lapses_when_it_is_not_used(pair, time_machine, settings):
    time_machine.move_to(timezone.now() + settings.ACCOUNTS_REFRESH_LIFETIME)

    refused(refresh(pair["refresh_token"]), 401, "token_expired")


def test_session_ends_after_its_lifetime_however_often_it_is_refreshed(
    pair, time_machine, settings
):
    token, end = pair["refresh_token"], timezone.now() + settings.ACCOUNTS_SESSION_LIFETIME
    while (now := timezone.now() + timedelta(days=9)) < end:
        time_machine.move_to(now)
        answer = refresh(token)
        assert answer.json()["refresh_expires_in"] <= (end - now).total_seconds() + 1
        token = answer.json()["refresh_token"]

    time_machine.move_to(end)

    refused(refresh(token), 401, "token_expired")


def end_session(cast):
    revoke_sessions(user=cast.users["alice"])


def deactivate(cast):
    User.objects.filter(pk=cast.users["alice"].pk).update(is_active=False)


def remove(cast):
    Membership.objects.filter(user=cast.users["alice"]).delete()


@pytest.mark.parametrize("end", [end_session, deactivate])
def test_refresh_ends_with_session_and_user(acme, pair, end):
    end(acme)

    refused(refresh(pair["refresh_token"]), 401, "token_revoked")


def test_refresh_of_a_former_member_is_refused(acme, globex, pair):
    remove(acme)
    refused(refresh(pair["refresh_token"]), 403, "permission_denied")

    add_member(acme.users["alice"], globex.organization, Role.VIEWER)
    refused(refresh(pair["refresh_token"]), 401, "token_revoked")


def test_refresh_of_a_deleted_user_is_refused(acme, pair):
    acme.users["alice"].delete()

    refused(refresh(pair["refresh_token"]), 401, "not_authenticated")


def test_refused_refresh_uses_nothing_up(acme, pair):
    refused(refresh(pair["refresh_token"], organization="nowhere"), 404, "not_found")

    assert RefreshToken.objects.get().used_at is None
    assert refresh(pair["refresh_token"]).status_code == 200


def test_naming_another_organization_switches_to_it(acme, globex, pair):
    add_member(acme.users["alice"], globex.organization, Role.VIEWER)

    answer = refresh(pair["refresh_token"], organization="globex").json()

    assert (answer["organization"]["slug"], answer["organization"]["role"]) == ("globex", "viewer")
    read = with_token(answer["access_token"]).get(ORGANIZATION)
    assert read.json()["slug"] == "globex"
    assert Session.objects.get().organization == globex.organization
    # The session is in one organization at a time.
    refused(with_token(pair["access_token"]).get(ORGANIZATION), 401, "token_revoked")
    stays = refresh(answer["refresh_token"]).json()
    assert stays["organization"]["slug"] == "globex"


def test_switch_by_id(acme, globex, pair):
    add_member(acme.users["alice"], globex.organization, Role.EDITOR)

    answer = refresh(pair["refresh_token"], organization=str(globex.id))

    assert answer.json()["organization"]["slug"] == "globex"


def test_organization_of_others_looks_like_none(acme, globex, pair):
    foreign = refresh(pair["refresh_token"], organization="globex").json()
    missing = refresh(pair["refresh_token"], organization="nowhere").json()

    for body in (foreign, missing):
        body.pop("request_id")
    assert foreign == missing


def test_new_token_has_the_new_role(acme, pair):
    Membership.objects.filter(user=acme.users["alice"]).update(role=Role.VIEWER, epoch=2)

    answer = refresh(pair["refresh_token"]).json()

    assert answer["organization"]["role"] == "viewer"
    assert with_token(answer["access_token"]).get(ORGANIZATION).status_code == 200


def test_deleted_organization_ends_the_session(acme, pair):
    lifecycle.delete_organization(acme.id, by=ACTOR)

    refused(refresh(pair["refresh_token"]), 401, "token_revoked")


def test_session_keeps_how_it_was_opened(acme):
    membership = Membership.objects.get(user=acme.users["bob"])
    signed_in = sign_in(acme.users["bob"], membership, Device(), methods="pwd otp")

    refresh(signed_in.refresh.token)

    assert Session.objects.get(pk=signed_in.session.pk).methods == "pwd otp"


def test_refresh_is_blind_to_a_credential_sent_along(pair):
    answer = with_token("of.bad.news").post(REFRESH, {"refresh_token": pair["refresh_token"]})

    assert answer.status_code == 200


def test_switch_is_recorded_where_the_session_leaves_and_where_it_enters(acme, globex, pair):
    add_member(acme.users["alice"], globex.organization, Role.VIEWER)

    refresh(pair["refresh_token"], organization="globex")

    events = AuditEvent.objects.filter(action__in=["session.left", "session.entered"])
    assert {(event.organization, event.action) for event in events} == {
        (acme.organization, "session.left"),
        (globex.organization, "session.entered"),
    }
    assert {event.details["session"] for event in events} == {pair["session_id"]}


def test_switch_that_is_refused_uses_nothing_up(acme, globex, pair):
    refused(refresh(pair["refresh_token"], organization="globex"), 404, "not_found")

    assert RefreshToken.objects.get().used_at is None
    assert Session.objects.get().organization == acme.organization
