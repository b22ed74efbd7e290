"""Some things are for people, or for all: two factors as a policy, the audit log; not for keys."""

import pytest
from rest_framework.test import APIClient

from accounts.api_keys import KeyTerms, forget_keys, issue_key
from accounts.key_terms import scopes_of
from accounts.models import ApiKey
from accounts.principals import forget_members
from tenancy.models import Organization
from tests.accounts.authenticator import enroll
from tests.conftest import ACTOR
from tests.http import pointers, refused

pytestmark = pytest.mark.usefixtures("quick")

ORGANIZATION = "/api/v1/organization"
KEYS = f"{ORGANIZATION}/api-keys"
AUDIT = f"{ORGANIZATION}/audit-log"
COLLECTIONS = "/api/v1/collections"
SOME = sorted(set(scopes_of("admin")) - {"audit.read"})


def program(cast, scopes=None, collections=None):
    """Return an HTTP client that shows a new key of the role admin."""
    issued = issue_key(cast.id, KeyTerms("Robot", "admin", scopes, collections), by=ACTOR)
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=issued.secret)
    return client


def requires_two(cast):
    return Organization.objects.get(pk=cast.id).two_factor_required


# --- the policy of two factors ------------------------------------------------------------------


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_no_key_decides_over_two_factors(acme, before, wanted):
    Organization.objects.filter(pk=acme.id).update(two_factor_required=before)

    answer = program(acme).patch(ORGANIZATION, {"two_factor_required": wanted, "name": "Other"})

    refused(answer, 403, "permission_denied")
    assert requires_two(acme) == before
    assert Organization.objects.get(pk=acme.id).name == "Acme"


def test_key_changes_all_else_of_the_organization(acme):
    answer = program(acme).patch(ORGANIZATION, {"settings": {"colour": "red"}})

    assert (answer.status_code, answer.json()["settings"]) == (200, {"colour": "red"})


def test_owner_asks_for_two_factors_and_takes_it_back_with_them(acme, alice):
    assert alice.patch(ORGANIZATION, {"two_factor_required": True}).status_code == 200
    answer = alice.patch(ORGANIZATION, {"two_factor_required": False})
    refused(answer, 403, "two_factor_enrollment_required")
    assert requires_two(acme)

    enroll(alice)

    assert alice.patch(ORGANIZATION, {"two_factor_required": False}).status_code == 200
    assert not requires_two(acme)


def test_policy_of_a_moment_ago_is_not_taken_back_by_one_factor(acme, alice):
    assert alice.get(ORGANIZATION).status_code == 200
    Organization.objects.filter(pk=acme.id).update(two_factor_required=True)  # elsewhere

    answer = alice.patch(ORGANIZATION, {"two_factor_required": False})

    refused(answer, 403, "two_factor_enrollment_required")
    assert requires_two(acme)


def test_keys_are_not_asked_for_a_code(acme):
    Organization.objects.filter(pk=acme.id).update(two_factor_required=True)
    forget_members()

    assert program(acme).get(ORGANIZATION).status_code == 200


# --- what tells of every collection -------------------------------------------------------------


def test_key_of_some_collections_gets_no_audit_log(alice):
    body = {"name": "x", "role": "admin", "collections": ["only"]}

    problem = refused(
        alice.post(KEYS, body | {"scopes": ["members.read", "audit.read"]}),
        422, "validation_failed",
    )  # fmt: skip
    made = alice.post(KEYS, body)

    assert pointers(problem) == ["/scopes/1"]
    assert made.json()["scopes"] == SOME


@pytest.mark.parametrize(
    ("before", "changes", "pointer"),
    [
        ((["audit.read"], None), {"collections": ["only"]}, "/collections"),
        ((["members.read"], ["only"]), {"scopes": ["members.read", "audit.read"]}, "/scopes/1"),
        (
            (["members.read"], None),
            {"scopes": ["audit.read"], "collections": ["only"]}, "/scopes/0",
        ),
    ],
)  # fmt: skip
def test_key_is_not_changed_into_one(acme, alice, before, changes, pointer):
    row = issue_key(acme.id, KeyTerms("x", "admin", *before), by=ACTOR).row

    problem = refused(alice.patch(f"{KEYS}/{row.pk}", changes), 422, "validation_failed")

    assert pointers(problem) == [pointer]
    row.refresh_from_db()
    assert (row.scopes, row.collections) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"collections": ["only"], "scopes": ["members.read"]},
        {"scopes": ["members.read"]}, {"collections": None}, {"name": "y"},
    ],
)  # fmt: skip
def test_key_that_tells_of_all_is_changed_in_all_other_ways(acme, alice, changes):
    row = issue_key(acme.id, KeyTerms("x", "admin", ["audit.read"]), by=ACTOR).row

    assert alice.patch(f"{KEYS}/{row.pk}", changes).status_code == 200


def test_key_of_before_is_refused_at_the_audit_log(acme, alice):
    alice.post(COLLECTIONS, {"name": "secret"})
    old = program(acme, ["audit.read", "organization.read"])
    ApiKey.objects.update(collections=["only"])

    refused(old.get(AUDIT), 403, "permission_denied")
    told = old.get(f"{ORGANIZATION}/permissions").json()
    assert told["permissions"] == told["scopes"] == ["organization.read"]


def test_usage_counts_the_collections_that_a_key_may_know_of(acme, alice):
    for name in ("main", "orders", "letters"):
        alice.post(COLLECTIONS, {"name": name})
    client = program(acme, ["organization.read"], collections=["orders", "later"])

    for path in (f"{ORGANIZATION}/usage", ORGANIZATION):
        used, everything = (each.get(path).json() for each in (client, alice))
        assert used.get("usage", used)["collections"] == 1
        assert everything.get("usage", everything)["collections"] == 3


# --- signing out --------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["/api/v1/auth/logout", "/api/v1/auth/logout-all"])
def test_key_that_was_revoked_does_not_sign_out(acme, route):
    client = program(acme)
    refused(client.post(route), 403, "permission_denied")

    ApiKey.objects.update(revoked_at=acme.organization.created_at)
    forget_keys()

    refused(client.post(route), 401, "token_revoked")
