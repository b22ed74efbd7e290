"""A request with an Idempotency-Key is done once, and answered as it was the first time."""

import json
import uuid
from datetime import timedelta
from importlib import import_module

import pytest
import time_machine
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.api_keys import forget_keys, get_key_holder
from accounts.models import ApiKey, Invitation, Session, TotpDevice, User
from accounts.refreshing import refresh
from tenancy import lifecycle
from tenancy.exceptions import ClusterUnavailable, NameTaken, TenantBusy
from tenancy.idempotency import KEPT_FOR
from tenancy.models import AuditEvent, IdempotencyRecord, Operation, Organization
from tests.conftest import ACTOR, PASSWORD
from tests.http import refused, send

SIGNUP, LEGACY = "/api/v1/auth/signup", "/org/create"
ORGANIZATIONS = "/api/v1/organizations"
INVITATIONS, KEYS = "/api/v1/organization/invitations", "/api/v1/organization/api-keys"
INITECH = {"organization_name": "Initech", "email": "peter@example.com", "password": PASSWORD}
BODIES = {
    SIGNUP: INITECH,
    LEGACY: INITECH,
    ORGANIZATIONS: {"name": "Hooli"},
    INVITATIONS: {"email": "carol@example.com", "role": "viewer"},
    KEYS: {"name": "Nightly", "role": "viewer"},
}
# Made anew for every answer, whatever it says.
PER_ANSWER = {"X-Request-Id", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy"}

pytestmark = pytest.mark.usefixtures("mongo")


@pytest.fixture
def ask(acme, alice):
    def send_with_key(path, body=None, *, client=alice, key="key-1", **headers):
        sent = BODIES[path] if body is None else body
        named = {"Idempotency_Key": key} if key is not None else {}
        return send(client, "POST", path, sent, **named, **headers)

    return send_with_key


def lasting(answer):
    return {name: value for name, value in answer.headers.items() if name not in PER_ANSWER}


@pytest.mark.parametrize("path", BODIES)
def test_a_repeat_gets_the_first_answer_to_the_byte(ask, path):
    first, again = ask(path), ask(path)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert lasting(again) == lasting(first)
    assert "Idempotent-Replayed" not in first.headers
    assert again["Idempotent-Replayed"] == "true"


def test_a_repeat_makes_nothing(ask):
    for path in (SIGNUP, ORGANIZATIONS, INVITATIONS, KEYS):
        for _ in range(2):
            assert ask(path, key=f"key of {path}").status_code == 201

    names = Organization.objects.order_by("name").values_list("name", flat=True)
    assert list(names) == ["Acme", "Hooli", "Initech"]
    assert User.objects.filter(email=INITECH["email"]).count() == 1
    assert (Invitation.objects.count(), ApiKey.objects.count()) == (1, 1)


@pytest.mark.parametrize("path", BODIES)
def test_what_is_made_has_the_id_of_the_record(ask, path):
    answer = ask(path).json()

    made = answer["organization"]["id"] if path in {SIGNUP, LEGACY} else answer["id"]
    assert made == str(IdempotencyRecord.objects.get().resource)


@pytest.mark.parametrize("path", BODIES)
def test_nothing_of_it_is_kept_in_clear(ask, path):
    answer = ask(path)

    row = str(vars(IdempotencyRecord.objects.get()))
    told = [answer.json().get(name) for name in ("key", "refresh_token", "access_token")]
    for word in ("example.com", PASSWORD, "Initech", "access_token", *filter(None, told)):
        assert word not in row, answer.content


def test_tokens_of_a_replay_are_those_of_the_first_answer(ask):
    first, again = ask(SIGNUP).json(), ask(SIGNUP).json()

    assert again["refresh_token"] == first["refresh_token"]
    assert refresh(again["refresh_token"]).membership.user.email == INITECH["email"]


def test_spelling_of_the_body_does_not_matter(ask):
    first = ask(ORGANIZATIONS, b'{"name": "Hooli", "region": ""}')
    again = ask(ORGANIZATIONS, b'{ "region":"", "name":"\\u0048ooli" }')

    assert first.status_code == 201, first.content
    assert again.content == first.content


def test_a_form_may_be_repeated(nobody):
    def create():
        return nobody.post(LEGACY, INITECH, format="multipart", headers={"Idempotency-Key": "k"})

    first, again = create(), create()

    assert (first.status_code, again.content) == (201, first.content)
    assert again["Deprecation"] == first["Deprecation"]


def test_another_body_under_the_same_key_is_refused(ask):
    ask(SIGNUP)

    refused(ask(SIGNUP, INITECH | {"organization_name": "Hooli"}), 422, "idempotency_key_reused")
    refused(ask(SIGNUP, INITECH | {"password": f"{PASSWORD}!"}), 422, "idempotency_key_reused")


def test_another_path_under_the_same_key_is_refused(ask):
    ask(SIGNUP)
    ask(KEYS)

    refused(ask(LEGACY), 422, "idempotency_key_reused")
    refused(ask(ORGANIZATIONS), 422, "idempotency_key_reused")


def test_the_same_key_of_another_is_another_key(ask, charlie, nobody):
    mine, theirs = ask(ORGANIZATIONS), ask(ORGANIZATIONS, {"name": "Umbrella"}, client=charlie)

    assert (mine.status_code, theirs.status_code) == (201, 201)
    others = INITECH | {"email": "milton@example.com", "organization_name": "Stapler"}
    assert ask(SIGNUP, client=nobody).status_code == 201
    assert ask(SIGNUP, others, client=nobody).status_code == 201
    refused(ask(ORGANIZATIONS, client=nobody), 401, "not_authenticated")


def test_an_api_key_has_keys_of_its_own(ask):
    made = ask(KEYS, {"name": "Inviter", "role": "admin"}, key="0").json()
    program = APIClient(headers={"X-API-Key": made["key"]})

    mine, its = ask(INVITATIONS), ask(INVITATIONS, client=program)

    assert mine.status_code == 201, mine.content
    assert its.status_code != 422
    assert "Idempotent-Replayed" not in its.headers


def test_after_a_day_the_key_is_a_new_one(ask, nobody):
    ask(SIGNUP, client=nobody)

    with time_machine.travel(timezone.now() + KEPT_FOR + timedelta(seconds=1), tick=True):
        again = ask(SIGNUP, client=nobody)

    refused(again, 409, "name_taken")


def test_a_refusal_is_an_answer_as_well(ask, acme):
    first = ask(SIGNUP, INITECH | {"organization_name": "ACME"})
    Organization.objects.filter(pk=acme.id).update(slug="moved-away")

    again = ask(SIGNUP, INITECH | {"organization_name": "ACME"})

    assert (first.status_code, first.json()["code"]) == (409, "name_taken")
    assert again.content == first.content
    assert again["Content-Type"] == "application/problem+json"
    assert again["Idempotent-Replayed"] == "true"


def test_an_outage_is_no_answer_and_the_repeat_makes_what_was_meant(ask, monkeypatch):
    def fail(*_, **__):
        raise ClusterUnavailable

    with monkeypatch.context() as patch:
        patch.setattr("tenancy.lifecycle.creation.provisioning.create_collection", fail)
        refused(ask(SIGNUP), 503, "cluster_unavailable")
    meant = IdempotencyRecord.objects.get()

    again = ask(SIGNUP)

    assert again.status_code == 201, again.content
    assert again.json()["organization"]["id"] == str(meant.resource)
    assert "Idempotent-Replayed" not in again.headers


def test_a_crash_between_the_act_and_its_answer_makes_nothing_twice(ask, monkeypatch):
    for path in (SIGNUP, ORGANIZATIONS, INVITATIONS, KEYS):
        first = ask(path, key=path).json()
        IdempotencyRecord.objects.filter(key=path).update(status=None, answer_encrypted="")

        again = ask(path, key=path)

        assert again.status_code == 201, again.content
        made = [each.get("organization", each)["id"] for each in (first, again.json())]
        assert made[0] == made[1]
    assert Organization.objects.count() == 3


class Died(BaseException):
    """The process ends here, as far as the code around it can tell."""


def die(*_, **__):
    raise Died


def test_a_creation_that_was_cut_off_is_finished_by_the_repeat(ask, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tenancy.lifecycle.creation.run_inline", die)
        with pytest.raises(Died):
            ask(SIGNUP)
    begun = Operation.objects.get(organization__slug="initech")
    assert begun.organization.status == "provisioning"

    refused(ask(SIGNUP), 503, "tenant_busy")  # its runner may be alive
    Operation.objects.filter(pk=begun.pk).update(lease_until=timezone.now())
    again = ask(SIGNUP)

    assert again.status_code == 201, again.content
    assert again.json()["organization"]["id"] == str(begun.organization_id)
    begun.organization.refresh_from_db()
    assert begun.organization.status == "active"
    assert Operation.objects.filter(organization__slug="initech").count() == 1


def test_an_attempt_that_was_slow_to_begin_is_not_told_that_its_own_name_is_taken(
    acme, monkeypatch
):
    monkeypatch.setattr("tenancy.lifecycle.creation._finish_creation", lambda key: None)

    with pytest.raises(TenantBusy):
        lifecycle.create_organization("Acme", by=ACTOR, organization_id=acme.id)
    with pytest.raises(NameTaken):
        lifecycle.create_organization("Acme", by=ACTOR, organization_id=uuid.uuid4())


def test_who_left_since_is_not_signed_in_by_a_repeat(ask):
    ask(SIGNUP)
    IdempotencyRecord.objects.update(status=None, answer_encrypted="")
    User.objects.filter(email=INITECH["email"]).update(is_active=False)

    refused(ask(SIGNUP), 409, "already_exists")


@pytest.mark.parametrize("change", ["password", "second factor"])
def test_an_account_that_was_changed_since_is_not_signed_in_to_by_a_repeat(ask, change):
    ask(SIGNUP)
    IdempotencyRecord.objects.update(status=None, answer_encrypted="")
    user = User.objects.get(email=INITECH["email"])
    if change == "password":
        User.objects.filter(pk=user.pk).update(password=make_password("another pass-phrase 3"))
    else:
        TotpDevice.objects.create(user=user, confirmed=True)

    refused(ask(SIGNUP), 409, "already_exists")
    assert Session.objects.filter(user=user).count() == 1


def stall_at(monkeypatch, point, repeat):
    """Have the next attempt stall at a point, its lease lapse, and its repeat be answered there.

    Return what is to be: that answer, and the state after it.
    """
    module, _, name = point.rpartition(".")
    real, seen = getattr(import_module(module), name), []

    def stall(*args, **options):
        monkeypatch.setattr(point, real)
        IdempotencyRecord.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        seen.extend([repeat(), state()])
        return real(*args, **options)

    monkeypatch.setattr(point, stall)
    return seen


# Before the change, and between it and its answer.
STALLS = {
    KEYS: ["accounts.api.api_keys.create_key", "accounts.api.api_keys.represent_key"],
    INVITATIONS: [
        "accounts.api.invitations.invite", "accounts.api.invitations.represent_invitation",
    ],
    SIGNUP: ["accounts.signup.found", "accounts.signup._find_unchanged"],
    LEGACY: ["accounts.signup.found", "accounts.api.legacy.represent"],
    ORGANIZATIONS: ["accounts.api.organizations.found_organization"],
}  # fmt: skip


def state():
    """Return all that a late attempt could change."""
    models = (ApiKey, Invitation, Session, User, Organization, AuditEvent, IdempotencyRecord)
    return {model: list(model.objects.order_by("pk").values()) for model in models}


@pytest.mark.parametrize(
    ("path", "point"), [(path, point) for path, points in STALLS.items() for point in points]
)
def test_an_attempt_that_was_overtaken_changes_nothing_and_answers_nothing(
    ask, monkeypatch, path, point
):
    seen = stall_at(monkeypatch, point, lambda: ask(path))

    late = ask(path)

    answer, after = seen
    refused(late, 409, "idempotency_in_progress")
    assert answer.status_code == 201, answer.content
    assert state() == after
    assert ask(path).content == answer.content


def test_the_secret_that_the_repeat_was_given_stays_good(ask, monkeypatch):
    seen = stall_at(monkeypatch, "accounts.api.api_keys.create_key", lambda: ask(KEYS))

    refused(ask(KEYS), 409, "idempotency_in_progress")

    forget_keys()
    secret = seen[0].json()["key"]
    assert get_key_holder(secret).role == "viewer"
    assert ask(KEYS).json()["key"] == secret


@pytest.mark.parametrize("key", ["", "x" * 256, "käse", "a\tb", "a\x7f"])
@pytest.mark.parametrize("path", [SIGNUP, KEYS])
def test_a_key_that_is_none_is_refused(ask, path, key):
    refused(ask(path, key=key), 400, "invalid_parameter")
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.parametrize("key", ["x", "~" * 255, " !", "0b0e7f0e-5f64-4a3a-8a53-6f1a5d3f7c11"])
def test_any_printable_ascii_is_a_key(ask, key):
    assert ask(KEYS, key=key).status_code == 201


def test_without_a_key_nothing_is_kept(ask):
    assert ask(KEYS, key=None).status_code == 201
    assert ask(KEYS, key=None).status_code == 201
    assert not IdempotencyRecord.objects.exists()


def test_a_route_that_takes_none_ignores_it(ask, alice):
    login = {"email": "alice@example.com", "password": PASSWORD}
    for _ in range(2):
        answer = send(alice, "POST", "/api/v1/auth/login", login, Idempotency_Key="k")
        assert answer.status_code == 200
        assert "Idempotent-Replayed" not in answer.headers

    assert not IdempotencyRecord.objects.exists()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'"x"', b"{", b'{"email": 5}', b'{"email": ["a@b.example"]}', b"{}"],
)
def test_a_body_that_is_none_is_refused_as_without_a_key(ask, body):
    for path in (SIGNUP, KEYS):
        with_key, without = ask(path, body), ask(path, body, key=None)

        assert 400 <= with_key.status_code < 500
        codes = [json.loads(answer.content)["code"] for answer in (with_key, without)]
        assert codes[0] == codes[1]


def test_a_revoked_credential_gets_no_replay(ask, acme, alice):
    ask(KEYS)
    send(alice, "POST", "/api/v1/auth/logout")

    refused(ask(KEYS), 401, "token_revoked")
