"""The routes of API keys: who makes them, what they may be given, what is shown and when."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import api_keys, key_tokens, last_used
from accounts.api_keys import KeyTerms, issue_key, revoke_key
from accounts.key_terms import KEY_SCOPES, scopes_of
from accounts.models import ApiKey, Membership
from accounts.permissions import DeclaredPermission
from accounts.roles import Role
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, pointers, refused, send

KEYS = "/api/v1/organization/api-keys"
ORGANIZATION = "/api/v1/organization"


def program(secret, header="HTTP_AUTHORIZATION"):
    """Return an HTTP client that shows a key."""
    client = APIClient()
    value = f"Bearer {secret}" if header == "HTTP_AUTHORIZATION" else secret
    client.credentials(**{header: value})
    return client


def make(client, role="editor", **fields):
    answer = client.post(KEYS, {"name": "Robot", "role": role} | fields)
    assert answer.status_code == 201, answer.content
    return answer.json()


@pytest.fixture
def adam(acme):
    """An admin of acme."""
    membership = Membership.objects.filter(user=acme.users["bob"])
    membership.update(role=Role.ADMIN)
    return acme.client("bob")


def test_owner_makes_a_key_that_works_in_both_headers(alice):
    made = make(alice)

    for header in ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY"):
        client = program(made["key"], header)
        assert client.post(DOCUMENTS, {"n": 1}).status_code == 201
        assert client.get(DOCUMENTS).status_code == 200
    assert made["key"].startswith(made["prefix"] + "_")


def test_documents_say_which_key_wrote_them(alice, stored):
    made = make(alice)

    program(made["key"]).put(f"{DOCUMENTS}/x", {"n": 1})

    assert stored.find_one({"_id": "x"})["_meta"]["by"] == f"key:{made['id']}"


def test_secret_is_shown_once(alice):
    made = make(alice)
    rotated = alice.post(f"{KEYS}/{made['id']}/rotate").json()

    listed = alice.get(KEYS).json()["data"]
    changed = alice.patch(f"{KEYS}/{made['id']}", {"name": "Android"}).json()

    for answer in (*listed, changed):
        text = json.dumps(answer)
        assert "key" not in answer
        for secret in (made["key"], rotated["key"]):
            assert secret.split("_")[2] not in text
            assert key_tokens.digest_of(secret) not in text


def test_answers_with_a_secret_are_not_stored_by_caches(alice):
    answer = alice.post(KEYS, {"name": "Robot", "role": "viewer"})
    rotated = alice.post(f"{KEYS}/{answer.json()['id']}/rotate", {})

    assert {answer["Cache-Control"], rotated["Cache-Control"]} == {"no-store"}


@pytest.mark.parametrize("role", ["admin", "editor", "viewer"])
def test_key_gets_all_that_its_role_has_by_default(alice, role):
    made = make(alice, role)

    assert made["scopes"] == scopes_of(role)
    assert (made["collections"], made["expires_at"], made["status"]) == (None, None, "live")
    assert not {"keys.manage", "organization.delete", "owners.manage"} & set(made["scopes"])


def test_admin_makes_keys_and_editors_and_viewers_do_not(adam, vera, acme):
    made = make(adam, "admin")

    for method, path in [
        ("GET", KEYS),
        ("POST", KEYS),
        ("PATCH", f"{KEYS}/{made['id']}"),
        ("DELETE", f"{KEYS}/{made['id']}"),
        ("POST", f"{KEYS}/{made['id']}/rotate"),
    ]:
        refused(send(vera, method, path, {}), 403, "permission_denied")
    assert ApiKey.objects.get().revoked_at is None


def test_no_key_manages_keys(alice):
    made = make(alice, "admin")
    client = program(made["key"])

    refused(client.get(KEYS), 403, "permission_denied")
    refused(client.post(KEYS, {"name": "Child", "role": "viewer"}), 403, "permission_denied")
    refused(client.post(f"{KEYS}/{made['id']}/rotate"), 403, "permission_denied")


@pytest.mark.parametrize("role", ["owner", "root", "", "ADMIN", None, 1, ["admin"], {}, "x" * 99])
def test_role_is_one_below_owner(alice, role):
    answer = alice.post(KEYS, {"name": "Robot", "role": role})

    assert pointers(refused(answer, 422, "validation_failed")) == ["/role"]
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "a\x00b"}, "/name"),
        ({"name": 7}, "/name"),
        ({"name": None}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": "documents.read"}, "/scopes"),
        ({"scopes": ["documents.read"] * 51}, "/scopes"),
        ({"scopes": ["documents.read", "keys.manage"]}, "/scopes/1"),
        ({"scopes": ["organization.delete"]}, "/scopes/0"),
        ({"scopes": ["collections.manage"]}, "/scopes/0"),
        ({"scopes": [""]}, "/scopes/0"),
        ({"scopes": [None]}, "/scopes/0"),
        ({"scopes": [["documents.read"]]}, "/scopes/0"),
        ({"scopes": ["x" * 10_000]}, "/scopes/0"),
        ({"collections": []}, "/collections"),
        ({"collections": {}}, "/collections"),
        ({"collections": ["orders", "Orders"]}, "/collections/1"),
        ({"collections": ["../x"]}, "/collections/0"),
        ({"collections": ["a" * 64]}, "/collections/0"),
        ({"collections": [f"c{number}" for number in range(101)]}, "/collections"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "soon"}, "/expires_at"),
        ({"expires_at": 4_000_000_000}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "/expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+23:59"}, "/expires_at"),
        ({"expires_at": ["2999-01-01T00:00:00Z"]}, "/expires_at"),
        ({"expires_in_days": 0}, "/expires_in_days"),
        ({"expires_in_days": 3_651}, "/expires_in_days"),
        ({"expires_in_days": True}, "/expires_in_days"),
        ({"expires_in_days": "1"}, "/expires_in_days"),
        ({"expires_in_days": 1, "expires_at": "2999-01-01T00:00:00Z"}, "/expires_in_days"),
        ({"id": "00000000-0000-4000-8000-000000000000"}, "/id"),
        ({"organization": "globex"}, "/organization"),
    ],
)
def test_hostile_field_is_refused_with_a_pointer(alice, fields, pointer):
    answer = alice.post(KEYS, {"name": "Robot", "role": "editor"} | fields)

    assert pointers(refused(answer, 422, "validation_failed")) == [pointer]
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"null", b"{", b"7"])
def test_hostile_body_is_refused(alice, body):
    assert send(alice, "POST", KEYS, body).status_code in {400, 422}
    made = make(alice)
    assert send(alice, "PATCH", f"{KEYS}/{made['id']}", body).status_code in {400, 422}


def test_name_may_be_of_any_script(alice):
    assert make(alice, name="É" * 100)["name"] == "É" * 100
    assert make(alice, name="会計 🤖")["name"] == "会計 🤖"


def test_expiry_is_given_as_a_moment_or_in_days(alice):
    moment = (timezone.now() + timedelta(days=3)).replace(microsecond=0)

    assert make(alice, expires_at=moment.isoformat())["expires_at"] == moment.isoformat()
    in_days = ApiKey.objects.get(pk=make(alice, expires_in_days=2)["id"]).expires_at
    assert timedelta(0) <= timezone.now() + timedelta(days=2) - in_days < timedelta(minutes=1)


def test_list_is_paged_and_holds_the_ended_ones(alice, charlie):
    made = [make(alice, name=f"Robot {number}") for number in range(3)]
    alice.delete(f"{KEYS}/{made[0]['id']}")
    ApiKey.objects.filter(pk=made[1]["id"]).update(expires_at=timezone.now())

    first = alice.get(KEYS, {"limit": 2}).json()
    second = alice.get(KEYS, {"limit": 2, "cursor": first["page"]["next"]}).json()

    names = [key["name"] for key in first["data"] + second["data"]]
    assert names == ["Robot 2", "Robot 1", "Robot 0"]
    states = [key["status"] for key in first["data"] + second["data"]]
    assert states == ["live", "expired", "revoked"]
    assert second["page"]["next"] is None
    assert charlie.get(KEYS).json()["data"] == []
    refused(charlie.get(KEYS, {"cursor": first["page"]["next"]}), 400, "cursor_invalid")


def test_outsider_finds_no_key_of_acme(alice, charlie):
    made = make(alice)

    for method, path in [
        ("PATCH", f"{KEYS}/{made['id']}"),
        ("DELETE", f"{KEYS}/{made['id']}"),
        ("POST", f"{KEYS}/{made['id']}/rotate"),
    ]:
        body = {"name": "Mine"} if method == "PATCH" else {}
        refused(send(charlie, method, path, body), 404, "not_found")
    assert program(made["key"]).get(ORGANIZATION).status_code == 200


@pytest.mark.parametrize("key_id", ["x", "0" * 500, "00000000-0000-4000-8000-000000000000", "%00"])
def test_unknown_id_is_not_found(alice, key_id):
    refused(send(alice, "PATCH", f"{KEYS}/{key_id}", {"name": "Robot"}), 404, "not_found")
    refused(send(alice, "DELETE", f"{KEYS}/{key_id}"), 404, "not_found")
    refused(send(alice, "POST", f"{KEYS}/{key_id}/rotate", {}), 404, "not_found")


def test_revoked_key_is_refused_at_once_and_revoking_is_safe_to_repeat(alice):
    made = make(alice)
    client = program(made["key"])
    assert client.get(ORGANIZATION).status_code == 200

    for _ in range(2):
        assert alice.delete(f"{KEYS}/{made['id']}").status_code == 204

    refused(client.get(ORGANIZATION), 401, "token_revoked")
    refused(alice.patch(f"{KEYS}/{made['id']}", {"name": "Zombie"}), 404, "not_found")
    refused(alice.post(f"{KEYS}/{made['id']}/rotate", {}), 404, "not_found")


def test_key_that_is_revoked_during_a_request_is_no_error_of_ours(alice, acme, monkeypatch):
    made = make(alice)
    allow = DeclaredPermission.has_permission

    def allow_and_revoke(*asked):
        revoke_key(acme.id, made["id"], by=ACTOR)
        return allow(*asked)

    monkeypatch.setattr(DeclaredPermission, "has_permission", allow_and_revoke)
    client = program(made["key"])

    assert client.get(ORGANIZATION).status_code == 200  # it began before
    refused(client.get(ORGANIZATION), 401, "token_revoked")


def test_expired_key_is_401_token_expired_and_cannot_be_prolonged(alice):
    made = make(alice)
    ApiKey.objects.filter(pk=made["id"]).update(expires_at=timezone.now())
    api_keys.forget_keys()

    answer = program(made["key"]).get(ORGANIZATION)

    refused(answer, 401, "token_expired")
    assert answer["WWW-Authenticate"].startswith("Bearer ")
    later = {"expires_at": "2999-01-01T00:00:00Z"}
    refused(alice.patch(f"{KEYS}/{made['id']}", later), 404, "not_found")


def test_change_narrows_and_widens_at_once(alice):
    made = make(alice)
    client = program(made["key"])
    assert client.post(DOCUMENTS, {"n": 1}).status_code == 201

    narrowed = alice.patch(f"{KEYS}/{made['id']}", {"scopes": ["documents.read"]})
    assert narrowed.json()["scopes"] == ["documents.read"]
    refused(client.post(DOCUMENTS, {"n": 2}), 403, "permission_denied")
    alice.patch(f"{KEYS}/{made['id']}", {"collections": ["orders"]})
    refused(client.get(DOCUMENTS), 403, "permission_denied")

    wide = {"scopes": scopes_of("editor"), "collections": None, "name": "Android"}
    assert alice.patch(f"{KEYS}/{made['id']}", wide).json()["name"] == "Android"
    assert client.post(DOCUMENTS, {"n": 2}).status_code == 201


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({}, ""),
        ({"scopes": ["collections.manage"]}, "/scopes/0"),
        ({"scopes": None}, "/scopes"),
        ({"scopes": []}, "/scopes"),
        ({"role": "admin"}, "/role"),
        ({"expires_in_days": 7}, "/expires_in_days"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": ""}, "/name"),
        ({"digest": "0" * 64}, "/digest"),
    ],
)
def test_change_keeps_to_the_rules(alice, changes, pointer):
    made = make(alice)

    answer = alice.patch(f"{KEYS}/{made['id']}", changes)

    assert pointers(refused(answer, 422, "validation_failed")) == [pointer]
    assert alice.get(KEYS).json()["data"][0]["scopes"] == made["scopes"]


def test_rotation_holds_the_old_secret_for_a_day_by_default(alice):
    made = make(alice)

    rotated = alice.post(f"{KEYS}/{made['id']}/rotate").json()

    until = ApiKey.objects.get().previous_until
    assert timedelta(0) <= timezone.now() + timedelta(days=1) - until < timedelta(minutes=1)
    assert rotated["previous_until"] == until.isoformat()
    for secret in (made["key"], rotated["key"]):
        assert program(secret).get(ORGANIZATION).status_code == 200


def test_rotation_during_an_overlap_is_409_with_the_remedy(alice):
    made = make(alice)
    alice.post(f"{KEYS}/{made['id']}/rotate")

    problem = refused(alice.post(f"{KEYS}/{made['id']}/rotate", {}), 409, "revision_conflict")

    assert "overlap_seconds" in problem["hint"]
    assert alice.post(f"{KEYS}/{made['id']}/rotate", {"overlap_seconds": 0}).status_code == 200
    refused(program(made["key"]).get(ORGANIZATION), 401, "not_authenticated")


@pytest.mark.parametrize("seconds", [-1, 604_801, 1.5, "60", True, None, 2**62])
def test_overlap_is_at_most_a_week(alice, seconds):
    made = make(alice)

    answer = alice.post(f"{KEYS}/{made['id']}/rotate", {"overlap_seconds": seconds})

    assert pointers(refused(answer, 422, "validation_failed")) == ["/overlap_seconds"]
    assert program(made["key"]).get(ORGANIZATION).status_code == 200


def test_hundredth_and_first_key_is_refused(alice, acme, monkeypatch):
    monkeypatch.setattr(api_keys, "LIVE_MAX_KEYS", 2)
    for _ in range(2):
        make(alice)

    problem = refused(
        alice.post(KEYS, {"name": "More", "role": "viewer"}), 403, "plan_limit_reached"
    )

    assert (problem["limit"], problem["used"], problem["name"]) == (2, 2, "api_keys")


@pytest.mark.parametrize(
    "value",
    [
        *("tk_", "tk_x", "tk_" + "0" * 106, "tk_" + "f" * 100_000, "tk_é", "tk_\x00"),
        *("tk_0_1_2", "TK_x"),
    ],
)
def test_what_is_no_key_is_401(acme, value):
    client = APIClient()

    for name, shown in (("HTTP_AUTHORIZATION", f"Bearer {value}"), ("HTTP_X_API_KEY", value)):
        client.credentials(**{name: shown})
        refused(client.get(ORGANIZATION), 401, "not_authenticated")


def test_two_credentials_at_once_are_401(alice, acme):
    secret = make(alice)["key"]
    token = alice._credentials["HTTP_AUTHORIZATION"]

    for first in (f"Bearer {secret}", token, "Basic x"):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=first, HTTP_X_API_KEY=secret)
        refused(client.get(ORGANIZATION), 401, "not_authenticated")


def test_token_is_no_key(alice):
    client = APIClient()
    token = alice._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    client.credentials(HTTP_X_API_KEY=token)

    refused(client.get(ORGANIZATION), 401, "not_authenticated")


def test_key_of_one_organization_sees_nothing_of_another(alice, globex, acme):
    alice.put(f"{DOCUMENTS}/secret", {"word": "canary"})
    issued = issue_key(globex.id, KeyTerms("Robot", "admin"), by=ACTOR)
    client = program(issued.secret)

    refused(client.get(f"{DOCUMENTS}/secret"), 404, "not_found")
    assert client.get(ORGANIZATION).json()["name"] == "Globex"


def test_last_use_is_listed_once_it_is_written(alice):
    made = make(alice)
    assert made["last_used_at"] is None
    program(made["key"]).get(ORGANIZATION)

    last_used.flush()

    assert alice.get(KEYS).json()["data"][0]["last_used_at"] is not None


def test_every_scope_is_named_in_the_contract(document):
    schema = document["paths"][KEYS]["post"]["requestBody"]["content"]["application/json"]

    assert set(schema["schema"]["properties"]["scopes"]["items"]["enum"]) == KEY_SCOPES
    assert document["components"]["securitySchemes"]["apiKey"]["name"] == "X-API-Key"


@pytest.mark.parametrize(
    ("path", "method", "keys_will_do"),
    [
        (DOCUMENTS.replace("main", "{collection}"), "get", True),
        (KEYS, "post", True),
        ("/org/update", "put", True),
        ("/api/v1/auth/sessions", "get", False),
        ("/api/v1/auth/logout", "post", False),
        ("/api/v1/organizations", "post", False),
    ],
)
def test_contract_says_where_a_key_will_do(document, path, method, keys_will_do):
    operation = document["paths"][path][method]

    assert operation["security"][0] == {"bearer": []}
    assert ({"apiKey": []} in operation["security"]) is keys_will_do
