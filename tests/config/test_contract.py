"""The OpenAPI document is true: one real answer of each GET, and of what makes things."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core import mail
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from tenancy.api.schema_hooks import operations_of
from tests.accounts.test_plan_limits import limit
from tests.accounts.test_signing import pem
from tests.conftest import PASSWORD
from tests.test_isolation import CALLS, routes

ORGANIZATION = "/api/v1/organization"
# They answer with pages, or with the document itself.
PAGES = {"docs", "openapi"}
READ = [each for each in routes() if each.action("get") and each.name not in PAGES]


def described(document, template, method, answer):
    """Return what the document says of an answer."""
    responses = document["paths"][template][method]["responses"]
    assert str(answer.status_code) in responses, (template, method, answer.content)
    return responses[str(answer.status_code)]


def flaws(document, template, method, answer):
    """Return how an answer differs from what the document says of it."""
    said = described(document, template, method, answer)
    media_type = answer["Content-Type"].partition(";")[0]
    if media_type not in said["content"]:
        return [f"{media_type} is not among {list(said['content'])}"]
    found = []
    if media_type.endswith(("/json", "+json")):
        schema = said["content"][media_type]["schema"] | {"components": document["components"]}
        body = answer.json()
        found = [error.message for error in Draft202012Validator(schema).iter_errors(body)]
        found += undescribed(document, schema, body)
    return found + header_flaws(document, said, answer)


def undescribed(document, schema, body, where=""):
    """Return the fields of a body that its schema does not name."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(body, list):
        items = schema.get("items", {})
        return [flaw for each in body for flaw in undescribed(document, items, each, where)]
    known = schema.get("properties")
    if not isinstance(body, dict) or known is None or schema.get("additionalProperties"):
        return []
    found = [f"{where}/{name} is not described" for name in body if name not in known]
    for name in set(body) & set(known):
        found += undescribed(document, known[name], body[name], f"{where}/{name}")
    return found


def header_flaws(document, said, answer):
    """Return which required headers are missing, and which of the product's are not described."""
    known = document["components"]["headers"]
    named = set(said["headers"])
    required = {name for name in named if known[name].get("required")}
    sent = {name for name in known if name in answer}
    missing = [f"no {name}" for name in required - sent]
    return missing + [f"{name} is not described" for name in sent - named]


@pytest.fixture
def stage(signing_keys, alice, settings):
    """Acme with one of everything: returns the values of the variables in paths."""
    settings.METRICS_TOKEN = "m" * 32
    return make_everything(alice)


@pytest.fixture
def signing_keys(settings):
    settings.JWT_PRIVATE_KEY = pem(Ed25519PrivateKey.generate())


# What makes things: the route, the body, and what its answer's id is called in paths.
MADE = [
    (f"{ORGANIZATION}/invitations", {"email": "guest@example.com", "role": "viewer"},
     "invitation_id"),
    (f"{ORGANIZATION}/api-keys", {"name": "Import", "role": "viewer"}, "key_id"),
    ("/api/v1/organizations", {"name": "Second"}, ""),
    ("/api/v1/auth/two-factor/totp", {"current_password": PASSWORD}, ""),
    ("/api/v1/collections", {"name": "orders"}, ""),
    ("/api/v1/collections/{collection}/documents", {"_id": "secret", "n": 1}, ""),
    ("/api/v1/collections/{collection}/indexes", {"keys": [["word", 1]]}, ""),
]  # fmt: skip
NAMED = {"collection": "orders", "document_id": "secret", "name": "word_1"}


def make_everything(client, check=lambda *_: None):
    ids = dict(NAMED)
    for template, body, variable in MADE:
        answer = client.post(template.format(**ids), body, format="json")
        assert answer.status_code == 201, answer.content
        check(template, answer)
        if variable:
            ids[variable] = answer.json()["id"]
    ids["token"] = re.search(r"inv_[\w-]+", mail.outbox[-1].body)[0]
    ids["operation_id"] = client.get("/api/v1/operations").json()["data"][0]["id"]
    return ids


def test_every_get_answers_what_the_document_says(document, stage, alice):
    monitor = APIClient()
    monitor.credentials(HTTP_AUTHORIZATION=f"Bearer {'m' * 32}")
    found = {}
    for route in READ:
        client = monitor if route.name == "metrics" else alice
        question = "?organization_name=Acme" * (route.name == "legacy-get")
        answer = client.get(route.template.format(**stage) + question)
        assert answer.status_code == 200, (route.name, answer.content)
        if wrong := flaws(document, route.template, "get", answer):
            found[route.name] = wrong

    assert len(READ) >= 25
    assert found == {}


def test_what_is_not_accepted_is_refused_as_the_document_says(document, stage, alice):
    assert [
        path for path, _, each in operations_of(document) if "406" not in each["responses"]
    ] == []
    for route in READ:
        url = route.template.format(**stage)
        answer = alice.get(url, headers={"Accept": "image/png"})
        assert answer.status_code == 406, route.name
        assert flaws(document, route.template, "get", answer) == [], route.name


def test_what_makes_things_answers_what_the_document_says_and_where_they_are(document, alice):
    found = {}

    def check(template, answer):
        if wrong := flaws(document, template, "post", answer):
            found[template] = wrong

    make_everything(alice, check)

    assert found == {}


def sign_in_by(client, path, body):
    answer = client.post(path, body, format="json")
    assert answer.status_code in {200, 201}, answer.content
    return answer


def test_signing_up_and_in_answer_what_the_document_says(document, mongo, nobody):
    person = {"email": "dora@example.com", "password": PASSWORD}
    new = person | {"organization_name": "Umbrella"}
    signed_up = sign_in_by(nobody, "/api/v1/auth/signup", new)
    token = {"refresh_token": signed_up.json()["refresh_token"]}
    other = {"email": "eve@example.com", "password": PASSWORD, "organization_name": "Other"}
    answers = {
        "/api/v1/auth/signup": signed_up,
        "/api/v1/auth/login": sign_in_by(nobody, "/api/v1/auth/login", person),
        "/api/v1/auth/refresh": sign_in_by(nobody, "/api/v1/auth/refresh", token),
        "/admin/login": sign_in_by(nobody, "/admin/login", person),
        "/org/create": sign_in_by(nobody, "/org/create", other),
    }

    found = {path: flaws(document, path, "post", answer) for path, answer in answers.items()}

    assert {path: wrong for path, wrong in found.items() if wrong} == {}


REFUSED = [
    ("post", "/api/v1/auth/login", {"email": "x@example.com", "password": "x", "organization": "x"},
     401),
    ("get", "/api/v1/me", None, 401),
    ("get", "/org/get", None, 422),
    ("post", "/api/v1/auth/signup", {}, 422),
    ("get", "/api/v1/errors?x=1", None, 400),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_refusals_are_what_the_document_says(document, nobody, method, path, body, status):
    answer = getattr(nobody, method)(path, body)

    assert answer.status_code == status
    assert flaws(document, path.partition("?")[0], method, answer) == []


def test_what_a_plan_limits_is_what_the_document_says(document, alice, acme, settings):
    settings.RATE_LIMITS = True
    limit(acme, requests_per_minute=1)
    asked = f"{ORGANIZATION}/usage"

    answers = [alice.get(asked), alice.get(asked)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert [flaws(document, asked, "get", answer) for answer in answers] == [[], []]


def test_repeat_with_a_key_is_what_the_document_says(document, alice):
    path, key = f"{ORGANIZATION}/api-keys", {"Idempotency-Key": "k"}

    for _ in range(2):
        answer = alice.post(path, {"name": "Import", "role": "viewer"}, headers=key)

    assert answer["Idempotent-Replayed"] == "true"
    assert flaws(document, path, "post", answer) == []
    assert answer["Location"] == f"{path}/{answer.json()['id']}"


# --- Nobody on the way keeps secrets ------------------------------------------------------------

PRIVATE = ("/api/v1/auth/", "/api/v1/me", "/api/v1/invitations/", "/admin/login")
KEPT_BY_NOBODY = [(route, method) for route, method in CALLS if route.path.startswith(PRIVATE)]


@pytest.mark.parametrize("who", ["alice", "nobody"])
def test_what_holds_tokens_is_not_stored(acme, who):
    stored = []
    for route, method in KEPT_BY_NOBODY:
        client = acme.client("alice") if who == "alice" else APIClient()
        answer = getattr(client, method)(route.path)
        if "no-store" not in answer.headers.get("Cache-Control", ""):
            stored.append((route.name, method))

    assert len(KEPT_BY_NOBODY) >= 23
    assert stored == []


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/admin/login"])
def test_tokens_themselves_are_not_stored(acme, nobody, path):
    answer = sign_in_by(nobody, path, {"email": "alice@example.com", "password": PASSWORD})

    assert answer["Cache-Control"] == "no-store"
