"""Every route, as the URL table has it, against every outsider.

What each role and key may do is `test_permission_matrix`.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from accounts.roles import PERMISSIONS, PUBLIC, SIGNED_IN
from tests.places import Stored

CANARY = "canary-of-acme"
# Routes outside of DRF that anybody may read: they hold nothing of any organization.
OPEN_ROUTES = {"home", "health", "livez", "readyz", "openapi", "docs"}
SAMPLE = {
    "invitation_id": "00000000-0000-4000-8000-000000000000",
    "token": "inv_0000000000000000000000000000000000000000000",
    "collection": "main",
    "document_id": "secret",
    "member_id": "00000000-0000-4000-8000-000000000000",
    "name": "word_1",
    "operation_id": "00000000-0000-4000-8000-000000000000",
    "key_id": "00000000-0000-4000-8000-000000000000",
    "session_id": "00000000-0000-4000-8000-000000000000",
}
METHODS = ("get", "post", "put", "patch", "delete")
JSON_BODY = {"name": "Stolen", "confirm": "acme", "organization_name": "Acme", "purge": True}


@dataclass(frozen=True)
class Route:
    """One route of the URL table."""

    name: str
    pattern: str
    view: Any

    @property
    def path(self) -> str:
        """Return the path with sample values in the place of its variables."""
        return self.template.format(**SAMPLE)

    @property
    def template(self) -> str:
        """Return the path with its variables as `{name}`, however the pattern writes them."""
        groups = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", self.pattern)
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", groups).strip("^$")

    def action(self, method: str) -> str | None:
        return getattr(self.view, "actions", {}).get(method)

    def required(self, method: str) -> str | None:
        """Return what the view declares for a method."""
        declared = getattr(getattr(self.view, "cls", None), "required", {})
        return declared.get(self.action(method))


def routes(patterns: Any = None, prefix: str = "") -> list[Route]:
    """Return every route of the product, the admin site's own left to their own test."""
    found = []
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(entry, URLPattern):
            found.append(Route(entry.name or "", prefix + str(entry.pattern), entry.callback))
        elif isinstance(entry, URLResolver) and entry.namespace != "admin":
            found += routes(entry.url_patterns, prefix + str(entry.pattern))
    return found


API_ROUTES = [route for route in routes() if route.name not in OPEN_ROUTES]
CALLS = [(route, method) for route in API_ROUTES for method in METHODS if route.action(method)]
PROTECTED = [(route, method) for route, method in CALLS if route.required(method) != PUBLIC]


def label(value: Any) -> str:
    return value.name if isinstance(value, Route) else str(value)


@pytest.fixture
def secret(stored: Stored) -> str:
    """A document of acme with a canary in it."""
    stored.insert_one({"_id": "secret", "word": CANARY})
    return CANARY


def send(client: APIClient, route: Route, method: str) -> Any:
    body = {} if method == "get" else {"data": JSON_BODY, "format": "json"}
    return getattr(client, method)(route.path, **body)


def test_table_of_routes_is_not_empty():
    assert len(API_ROUTES) >= 10
    assert len(PROTECTED) >= 12


@pytest.mark.parametrize(("route", "method"), CALLS, ids=label)
def test_every_action_declares_what_it_requires(route, method):
    assert route.required(method) in {PUBLIC, SIGNED_IN, *PERMISSIONS}


@pytest.mark.parametrize("header", ["", "Bearer a.b.c"], ids=["nobody", "bad token"])
def test_without_a_good_credential_every_protected_route_is_refused(header, nobody, secret):
    """One stage for all routes: what is refused changes nothing."""
    nobody.credentials(**({"HTTP_AUTHORIZATION": header} if header else {}))

    answers = {call: send(nobody, *call) for call in PROTECTED}

    assert not {
        (route.name, method): answer.content
        for (route, method), answer in answers.items()
        if (answer.status_code, answer.json()["code"]) != (401, "not_authenticated")
        or CANARY in answer.content.decode()
    }


@pytest.mark.everywhere
def test_reading_as_an_outsider_shows_nothing_of_acme(acme, globex, secret):
    shown = {}
    for route in API_ROUTES:
        question = "?organization_name=Acme" * route.name.startswith("legacy-g")
        answer = globex.client("charlie").get(route.path + question)
        body = b"".join(answer).decode()  # of a streamed answer, too
        allowed = {str(acme.id)} if route.name == "legacy-get" else set()
        words = {CANARY, "alice@example.com", str(acme.id)} - allowed
        if found := [word for word in words if word in body]:
            shown[route.name] = found

    assert shown == {}


@pytest.mark.everywhere
def test_acting_as_an_outsider_changes_nothing(acme, globex, secret, stored):
    for route, method in PROTECTED:
        charlie = globex.client("charlie")  # anew: one of the routes signs out
        answer = send(charlie, route, method)

        acme.organization.refresh_from_db()
        state = (acme.organization.name, acme.organization.status, stored.find())
        expected = ("Acme", "active", [{"_id": "secret", "word": CANARY}])
        assert state == expected, (route.name, method, answer.status_code)


@pytest.mark.everywhere
def test_document_of_another_looks_like_one_that_does_not_exist(charlie, secret):
    foreign = charlie.get("/api/v1/collections/main/documents/secret").json()
    missing = charlie.get("/api/v1/collections/main/documents/nothing").json()

    for body in (foreign, missing):
        body.pop("request_id")
        body.pop("instance")
    assert foreign == missing


@pytest.mark.django_db
def test_admin_site_sends_outsiders_to_its_login(client):
    for path in ("/admin/", "/admin/tenancy/organization/", "/admin/accounts/user/"):
        answer = client.get(path)

        assert (answer.status_code, "/admin/login/" in answer["Location"]) == (302, True)


@pytest.mark.django_db
def test_member_of_an_organization_is_no_operator(client, acme):
    client.force_login(acme.users["alice"])

    assert client.get("/admin/tenancy/organization/").status_code == 302
