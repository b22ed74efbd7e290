"""Every route x method x whoever asks, generated from the URL table, against the table of roles.

A request that is allowed is sent with a parameter that no route has: that it is answered at all,
with whatever refusal, shows that permission was granted, and it changes nothing.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.viewsets import ViewSet

from accounts.api_keys import KeyTerms, issue_key
from accounts.key_terms import KEY_ROLES, KEY_SCOPES, scopes_of
from accounts.models import ApiKey, Invitation, Membership, Session
from accounts.roles import PERMISSIONS, PUBLIC, SIGNED_IN, Role
from tenancy.models import Operation
from tests.conftest import ACTOR, make_cast
from tests.test_isolation import CALLS, SAMPLE, Route

pytestmark = pytest.mark.usefixtures("quick")

EVERYBODY = {"owner", "admin", "editor", "viewer"}
ADMINS = {"owner", "admin"}
# The contract: who may do what. Spelled out, so that a change of the code's table is a change here.
TABLE = {
    "documents.read": EVERYBODY,
    "documents.write": {"owner", "admin", "editor"},
    "collections.manage": ADMINS,
    "operations.read": ADMINS,
    "organization.read": EVERYBODY,
    "organization.update": ADMINS,
    "policy.manage": ADMINS,
    "organization.delete": {"owner"},
    "members.read": EVERYBODY,
    "members.manage": ADMINS,
    "owners.manage": {"owner"},
    "ownership.transfer": {"owner"},
    "keys.manage": ADMINS,
    "audit.read": ADMINS,
}
# What no key may have, whatever its role: people do it.
NOT_FOR_KEYS = {
    "keys.manage", "organization.delete", "owners.manage", "ownership.transfer", "policy.manage",
}  # fmt: skip
# What every call needs. The first may be called by anybody, the second by every user.
REQUIRED: dict[str, set[str]] = {
    PUBLIC: {
        "get jwks", "get errors", "get legacy-get", "get invited", "get metrics",
        "post signup", "post signup-confirm", "post login", "post refresh", "post second-factor",
        "post logout", "post logout-all", "post password-forgot", "post password-reset",
        "post accept-invitation", "post legacy-create", "post legacy-login",
    },
    SIGNED_IN: {
        "get me", "patch me", "delete me", "get my-organizations", "post organizations",
        "post confirm-email",
        "post leave", "get sessions", "delete session", "post password-change", "get two-factor",
        "post authenticator", "delete authenticator", "post confirm-authenticator",
        "post recovery-codes",
    },
    "documents.read": {
        "get collection", "get collections", "get document", "get documents", "get indexes",
        "post query", "post count", "post distinct", "post aggregate", "post explain",
        "get export", "get schema",
    },
    "documents.write": {
        "post collections", "post documents", "put document", "patch document", "delete document",
        "post bulk", "post update-many", "post delete-many", "post import",
    },
    "collections.manage": {
        "delete collection", "post indexes", "delete index", "put schema", "post check-schema",
    },
    "operations.read": {"get operation", "get operations"},
    "organization.read": {"get organization", "get permissions", "get usage"},
    "organization.update": {"patch organization", "put legacy-update"},
    "organization.delete": {"delete organization", "delete legacy-delete", "post restore"},
    "members.read": {"get members"},
    "members.manage": {
        "patch member", "delete member", "get invitations", "post invitations",
        "delete invitation", "post resend-invitation",
    },
    "ownership.transfer": {"post transfer"},
    "keys.manage": {
        "get api-keys", "post api-keys", "patch api-key", "delete api-key", "post rotate-api-key",
    },
    "audit.read": {"get audit-log"},
}  # fmt: skip
# It needs no body and looks at no parameter: when it is allowed, it is the last.
LAST = "delete legacy-delete"
UNKNOWN = "?no-such-parameter=1"
Call = tuple[Route, str]


def named(call: Call) -> str:
    route, method = call
    return f"{method} {route.name}"


PROTECTED: list[Call] = sorted(
    (call for call in CALLS if call[0].required(call[1]) != PUBLIC),
    key=lambda call: named(call) == LAST,
)


@dataclass(frozen=True)
class Asker:
    """Whoever asks: a role, or a key with its scopes."""

    role: str
    scopes: frozenset[str] | None = None

    def __str__(self) -> str:
        if self.scopes is None:
            return self.role
        return f"key-{self.role}-{'+'.join(sorted(self.scopes))}"

    def may(self, needed: str | None) -> bool:
        """Return what the contract says."""
        if needed == SIGNED_IN:
            return self.scopes is None
        in_scope = self.scopes is None or needed in self.scopes
        return in_scope and self.role in TABLE[str(needed)]

    def client(self, cast: Any) -> APIClient:
        """Return an HTTP client of this one."""
        if self.scopes is None:
            return cast.client(f"{self.role}-of-acme")
        terms = KeyTerms("matrix", self.role, sorted(self.scopes))
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=issue_key(cast.id, terms, by=ACTOR).secret)
        return client


PEOPLE = [Asker(role) for role in Role.values]
NARROW_KEYS = [Asker("admin", frozenset({scope})) for scope in sorted(KEY_SCOPES)]
WIDE_KEYS = [Asker(role, frozenset(scopes_of(role))) for role in KEY_ROLES]


def ask(client: APIClient, call: Call) -> Any:
    route, method = call
    return getattr(client, method)(route.path + UNKNOWN)


def verdict(answer: Any) -> str:
    """Return how an answer judges whoever asked."""
    if answer.status_code >= 500:
        return f"broken: {answer.status_code}"
    if answer.status_code not in {401, 403}:
        return "allowed"
    return str(answer.json()["code"])


def verdicts(client: APIClient) -> dict[str, str]:
    """Ask for everything that is not public; return the verdicts by call."""
    return {named(call): verdict(ask(client, call)) for call in PROTECTED}


@pytest.fixture
def cast(mongo):
    return make_cast("Acme", {f"{role}-of-acme": Role(role) for role in Role.values})


# --- the tables ---------------------------------------------------------------------------------


def test_table_of_roles_is_the_contract():
    assert {name: set(map(str, roles)) for name, roles in PERMISSIONS.items()} == TABLE


def test_keys_have_every_permission_but_those_of_people():
    assert set(TABLE) - NOT_FOR_KEYS == KEY_SCOPES


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_every_call_declares_a_permission_that_exists(call):
    route, method = call

    assert route.required(method) in {PUBLIC, SIGNED_IN, *TABLE}


@pytest.mark.parametrize("needed", sorted({PUBLIC, SIGNED_IN, *TABLE}))
def test_calls_need_what_the_contract_says(needed):
    declared = {named(call) for call in CALLS if call[0].required(call[1]) == needed}

    assert declared == REQUIRED.get(needed, set())


def test_every_permission_is_needed_somewhere():
    """But those that are judged by what the body asks: an owner's role, another policy."""
    needed = {route.required(method) for route, method in CALLS}

    assert set(TABLE) - needed == {"owners.manage", "policy.manage"}


# --- the matrix ---------------------------------------------------------------------------------


@pytest.mark.parametrize("asker", [*PEOPLE, *NARROW_KEYS, *WIDE_KEYS], ids=str)
def test_whoever_asks_may_what_the_contract_says_and_no_more(cast, asker):
    expected = {
        named(call): "allowed" if asker.may(call[0].required(call[1])) else "permission_denied"
        for call in PROTECTED
    }

    found = verdicts(asker.client(cast))

    assert len(found) == len(PROTECTED) >= 40
    assert {name: each for name, each in found.items() if each != expected[name]} == {}


def test_without_a_credential_nothing_is_allowed(cast, nobody):
    assert set(verdicts(nobody).values()) == {"not_authenticated"}


@pytest.mark.parametrize(
    "header",
    [{"HTTP_AUTHORIZATION": "Bearer a.b.c"}, {"HTTP_AUTHORIZATION": "Basic eA=="},
     {"HTTP_X_API_KEY": "tk_x_y_z"}, {"HTTP_X_API_KEY": ""}],
)  # fmt: skip
def test_with_a_bad_credential_nothing_is_allowed(cast, nobody, header):
    nobody.credentials(**header)

    assert set(verdicts(nobody).values()) == {"not_authenticated"}


def test_who_was_removed_is_let_in_nowhere(cast):
    client = cast.client("admin-of-acme")
    Membership.objects.filter(user=cast.users["admin-of-acme"]).delete()

    assert set(verdicts(client).values()) == {"token_revoked"}


def test_what_declares_nothing_is_nobodys(cast):
    class Undeclared(ViewSet):
        def list(self, request: Any) -> Any:
            raise AssertionError("this was served")

    granted = cast.client("owner-of-acme")
    request = APIRequestFactory().get("/", **granted._credentials)
    answer = Undeclared.as_view({"get": "list"})(request)

    assert (answer.status_code, answer.data["code"]) == (403, "permission_denied")


# --- outsiders ----------------------------------------------------------------------------------


def rows_of(cast: Any) -> dict[str, str]:
    """Return ids of what acme has, by the name of the variable in the paths."""
    organization, owner = cast.organization, cast.users["owner-of-acme"]
    moment = organization.created_at
    key = issue_key(cast.id, KeyTerms("theirs", "viewer"), by=ACTOR).row
    invitation = Invitation.objects.create(
        organization=organization, email="guest@example.com", role=Role.VIEWER, digest="d",
        sent_at=moment, expires_at=moment.replace(year=moment.year + 1), invited_by=owner,
    )  # fmt: skip
    cast.client("owner-of-acme")
    return {
        "key_id": str(key.pk),
        "invitation_id": str(invitation.pk),
        "member_id": str(Membership.objects.get(user=cast.users["viewer-of-acme"]).pk),
        "operation_id": str(Operation.objects.filter(organization=organization).first().pk),
        "session_id": str(Session.objects.get(user=owner).pk),
    }


BODIES = {"patch member": {"role": "admin"}, "patch api-key": {"name": "stolen"}}
# Names inside the organization of whoever asks: no id of another's could be meant.
OWN_NAMES = {"collection", "document_id", "name", "token"}
BY_ID = [
    call for call in PROTECTED if any(f"{{{name}}}" in call[0].template for name in SAMPLE)
    and not any(f"{{{name}}}" in call[0].template for name in OWN_NAMES)
]  # fmt: skip


def state_of(cast: Any) -> list[Any]:
    models = (ApiKey, Invitation, Membership, Session)
    return [list(model.objects.filter(organization=cast.id).values()) for model in models]


@pytest.mark.parametrize("call", BY_ID, ids=named)
def test_rows_of_another_organization_are_not_found(cast, charlie, call):
    route, method = call
    ids = rows_of(cast)
    before = state_of(cast)
    path = route.template.format(**ids)

    body = {} if method == "get" else {"data": BODIES.get(named(call), {}), "format": "json"}
    answer = getattr(charlie, method)(path, **body)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert state_of(cast) == before


def test_every_route_with_an_id_is_among_them():
    assert {named(call) for call in BY_ID} >= {
        "patch member", "delete member", "delete session", "get operation",
        "delete invitation", "post resend-invitation", "delete api-key", "post rotate-api-key",
    }  # fmt: skip
