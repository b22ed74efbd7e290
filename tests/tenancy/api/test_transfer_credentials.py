"""An export or an import goes on no longer than whoever began it may do it."""

import io
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import tokens
from accounts.api_keys import (
    KeyTerms,
    change_key,
    forget_keys,
    issue_key,
    revoke_key,
    rotate_key,
)
from accounts.locking import lock_user
from accounts.memberships import add_member
from accounts.models import ApiKey, Membership
from accounts.principals import Principal
from accounts.roles import Role
from tenancy import caching
from tenancy.api import transfer
from tests.conftest import ACTOR
from tests.http import refused, send
from tests.tenancy.api.test_transfer import EXPORT, NDJSON, lines, parsed, put_in, told

MEMBERS = "/api/v1/organization/members"
COUNT = 3_000
WHOLE = lines(*({"_id": number, "text": "x" * 400} for number in range(COUNT)))

pytestmark = pytest.mark.needs_mongod


class Owner(Principal):
    """Somebody who may everything."""

    actor = ACTOR


class Body(io.BytesIO):
    """Something happens when half of it has come."""

    def __init__(self, act):
        super().__init__(WHOLE)
        self._acts = [act]

    def read(self, size=-1):
        if self._acts and self.tell() > len(WHOLE) // 2:
            self._acts.pop()()
        return super().read(size)


class Robot:
    """A program with an API key."""

    def __init__(self, cast):
        self.organization_id = cast.id
        issued = issue_key(cast.id, KeyTerms("Robot", "editor"), by=ACTOR)
        self.key_id = issued.row.pk
        self.client = self.showing(issued.secret)

    @property
    def row(self):
        return ApiKey.objects.filter(pk=self.key_id)

    def showing(self, secret):
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=secret)
        return client

    def revoke(self):
        revoke_key(self.organization_id, self.key_id, by=ACTOR)

    def rotate(self):
        owner = Owner(self.organization_id, "owner")
        issued = rotate_key(owner, self.key_id, overlap_seconds=0)
        self.client = self.showing(issued.secret)

    def narrow(self, **terms):
        change_key(Owner(self.organization_id, "owner"), self.key_id, terms)

    def expire(self):
        self.row.update(expires_at=timezone.now() - timedelta(seconds=1))
        forget_keys()


@pytest.fixture
def robot(acme):
    return Robot(acme)


@pytest.fixture
def clock(monkeypatch):
    """What caches take for the time: it stands still until it is told."""
    made = SimpleNamespace(now=1_000_000.0)
    monkeypatch.setattr(caching, "seconds", lambda: made.now)
    return made


@pytest.fixture
def sending(monkeypatch):
    """Return what sends an import of which half comes, then something happens, then the rest."""

    def send_whole(client, act=lambda: None, query="", **headers):
        body = Body(act)
        monkeypatch.setattr(transfer, "_reader", lambda request: body.read)
        return put_in(client, b"?", query, **headers)

    return send_whole


def member_of(cast, who):
    return Membership.objects.get(user=cast.users[who], organization=cast.organization)


def demote(cast, bob):
    path = f"{MEMBERS}/{member_of(cast, 'bob').pk}"
    assert send(cast.client("alice"), "PATCH", path, {"role": "viewer"}).status_code == 200


def remove(cast, bob):
    path = f"{MEMBERS}/{member_of(cast, 'bob').pk}"
    assert cast.client("alice").delete(path).status_code == 204


def lock(cast, bob):
    assert lock_user(cast.users["bob"], by=ACTOR)


def log_out(cast, bob):
    assert bob.post("/api/v1/auth/logout").status_code == 204


def require_two_factors(cast, bob):
    body = {"two_factor_required": True}
    answer = send(cast.client("alice"), "PATCH", "/api/v1/organization", body)
    assert answer.status_code == 200


PEOPLE = [
    (demote, (401, "token_revoked")),
    (remove, (401, "token_revoked")),
    (lock, (401, "token_revoked")),
    (log_out, (401, "token_revoked")),
    (require_two_factors, (403, "two_factor_enrollment_required")),
]
KEYS = [
    (Robot.revoke, (401, "token_revoked")),
    (Robot.rotate, (401, "token_revoked")),
    (Robot.expire, (401, "token_expired")),
    (lambda robot: robot.narrow(collections=["other"]), (403, "permission_denied")),
]


def broken_off(answer, act):
    """Have something happen behind the first lines of an export; return why it ended."""
    stream = iter(answer.streaming_content)
    first = next(stream)
    act()
    *documents, last = parsed(first + b"".join(stream))
    assert len(documents) < COUNT
    return last["_export"]["error"]["code"]


@pytest.mark.parametrize(("end", "refusal"), PEOPLE)
def test_an_export_ends_with_what_its_user_may(acme, alice, bob, sending, end, refusal):
    sending(alice)

    assert broken_off(bob.get(EXPORT, {"footer": "1"}), lambda: end(acme, bob)) == refusal[1]


@pytest.mark.parametrize(("end", "refusal"), KEYS)
def test_an_export_ends_with_what_its_key_may(alice, robot, sending, end, refusal):
    sending(alice)

    assert broken_off(robot.client.get(EXPORT, {"footer": "1"}), lambda: end(robot)) == refusal[1]


@pytest.mark.parametrize(("end", "refusal"), PEOPLE)
def test_an_import_ends_with_what_its_user_may(acme, bob, stored, sending, end, refusal):
    problem = refused(sending(bob, lambda: end(acme, bob)), *refusal)

    assert 0 < problem["import"]["inserted"] < COUNT
    assert problem["import"]["complete"] is False
    assert stored.count_documents({}) == problem["import"]["inserted"]


@pytest.mark.parametrize(
    ("end", "refusal"),
    [*KEYS, (lambda robot: robot.narrow(scopes=["documents.read"]), (403, "permission_denied"))],
)
def test_an_import_ends_with_what_its_key_may(robot, stored, sending, end, refusal):
    answer = sending(robot.client, lambda: end(robot))
    problem = refused(answer, *refusal)

    assert ("WWW-Authenticate" in answer) == (refusal[0] == 401)
    assert 0 < problem["import"]["inserted"] < COUNT
    assert stored.count_documents({}) == problem["import"]["inserted"]


def test_what_a_key_loses_beside_ends_nothing(alice, robot, sending):
    sending(alice)
    stream = iter(robot.client.get(EXPORT, {"footer": "1"}).streaming_content)
    first = next(stream)

    robot.narrow(scopes=["documents.read"], collections=["main", "other"])

    assert parsed(first + b"".join(stream))[-1]["_export"]["count"] == COUNT


def test_a_key_that_ends_before_the_first_line_has_come_makes_no_collection(
    alice, robot, monkeypatch
):
    class Body(io.BytesIO):
        def read(self, size=-1):
            robot.revoke()
            return super().read(size)

    body = Body(WHOLE)
    monkeypatch.setattr(transfer, "_reader", lambda request: body.read)

    new = "/api/v1/collections/new"
    refused(send(robot.client, "POST", f"{new}/import", b"?", NDJSON), 401, "token_revoked")

    refused(alice.get(new), 404, "not_found")


def test_a_dry_run_ends_as_well(robot, sending):
    problem = refused(sending(robot.client, robot.revoke, "?dry_run=1"), 401, "token_revoked")

    assert problem["import"]["dry_run"] is True


def test_signed_in_again_the_same_user_goes_on_under_the_same_key(acme, bob, stored, sending):
    key = {"Idempotency_Key": "again"}
    refused(sending(bob, lambda: log_out(acme, bob), **key), 401, "token_revoked")

    report, _ = told(sending(acme.client("bob"), **key))

    assert report["inserted"] == stored.count_documents({}) == COUNT


def test_removed_and_invited_again_the_same_user_goes_on(acme, bob, stored, sending):
    key = {"Idempotency_Key": "back"}
    refused(sending(bob, lambda: remove(acme, bob), **key), 401, "token_revoked")
    refused(sending(bob, **key), 401, "token_revoked")

    add_member(acme.users["bob"], acme.organization, Role.EDITOR)

    assert told(sending(acme.client("bob"), **key))[0]["inserted"] == COUNT
    assert stored.count_documents({}) == COUNT


def test_the_new_secret_of_a_key_goes_on_and_another_key_does_not(acme, robot, stored, sending):
    key = {"Idempotency_Key": "rotated"}
    refused(sending(robot.client, robot.rotate, **key), 401, "token_revoked")

    stopped = refused(sending(Robot(acme).client, **key), 422, "import_stopped")
    report, _ = told(sending(robot.client, **key))

    assert stopped["import"]["inserted"] == 0
    assert report["inserted"] == stored.count_documents({}) == COUNT


def test_what_ended_elsewhere_ends_an_export_once_the_cache_is_old(alice, robot, clock, sending):
    sending(alice)
    stream = iter(robot.client.get(EXPORT).streaming_content)
    told_first = next(stream)
    robot.row.update(revoked_at=timezone.now())  # no cache hears of it

    while_young = next(stream)
    clock.now += settings.ACCOUNTS_ROW_TTL
    last = b"".join(stream)

    assert b"_export" not in told_first + while_young
    assert [each["_export"]["error"]["code"] for each in parsed(last)] == ["token_revoked"]


def test_what_ended_elsewhere_ends_an_import_once_the_cache_is_old(robot, clock, sending):
    def end():
        robot.row.update(revoked_at=timezone.now())

    def end_and_wait():
        end()
        clock.now += settings.ACCOUNTS_ROW_TTL

    assert told(sending(robot.client, end))[0]["inserted"] == COUNT
    robot.row.update(revoked_at=None)
    refused(sending(robot.client, end_and_wait, "?mode=upsert"), 401, "token_revoked")


@pytest.mark.usefixtures("clock")
def test_while_the_cache_is_young_nobody_asks_the_catalog(alice, robot, sending):
    sending(alice)
    robot.client.get("/api/v1/organization")

    with CaptureQueriesContext(connection) as asked:
        told(sending(robot.client, query="?mode=upsert"))
        answer = robot.client.get(EXPORT)
        assert len(parsed(b"".join(answer.streaming_content))) == COUNT

    assert [each["sql"] for each in asked if "apikey" in each["sql"]] == []


def test_a_token_that_is_too_old_meanwhile_ends_nothing(bob, monkeypatch, sending):
    def pass_an_hour():
        late = SimpleNamespace(time=lambda: time.time() + 3_600)
        monkeypatch.setattr(tokens, "time", late)

    report, _ = told(sending(bob, pass_an_hour))

    assert report["inserted"] == COUNT
    refused(bob.get(EXPORT), 401, "token_expired")


def test_a_token_that_is_too_old_meanwhile_ends_no_export(bob, monkeypatch, sending):
    sending(bob)
    stream = iter(bob.get(EXPORT, {"footer": "1"}).streaming_content)
    first = next(stream)

    monkeypatch.setattr(tokens, "time", SimpleNamespace(time=lambda: time.time() + 3_600))

    assert parsed(first + b"".join(stream))[-1]["_export"]["count"] == COUNT
