"""What a key may do: what its role may, no more than its scopes name, in its collections alone."""

import pytest
from rest_framework.test import APIClient

from accounts.api_keys import KeyTerms, create_key, forget_keys, get_key_holder, issue_key
from accounts.exceptions import PermissionDenied
from accounts.key_terms import KEY_ROLES, KEY_SCOPES, scopes_of
from accounts.models import ApiKey, User
from accounts.principals import KeyHolder, Principal
from accounts.roles import PERMISSIONS
from tests.conftest import ACTOR, PASSWORD
from tests.http import DOCUMENTS, refused, send

ORGANIZATION = "/api/v1/organization"
COLLECTIONS = "/api/v1/collections"
NEVER = {
    "keys.manage", "organization.delete", "ownership.transfer", "owners.manage", "policy.manage",
}  # fmt: skip


def issue(cast, role="editor", scopes=None, **terms):
    return issue_key(cast.id, KeyTerms("Robot", role, scopes, **terms), by=ACTOR)


def program(cast, role="editor", scopes=None, **terms):
    """Return an HTTP client that shows a new key."""
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=issue(cast, role, scopes, **terms).secret)
    return client


def test_every_permission_is_either_for_keys_or_never():
    assert set(PERMISSIONS) == KEY_SCOPES | NEVER
    assert not KEY_SCOPES & NEVER


@pytest.mark.parametrize("role", KEY_ROLES)
def test_key_may_what_its_scopes_say_and_nothing_else(acme, role):
    for scope in scopes_of(role):
        holder = get_key_holder(issue(acme, role, [scope]).secret)

        assert [name for name in PERMISSIONS if holder.may(name)] == [scope]


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_scopes_in_the_row_do_not_reach_beyond_role_and_list(acme, role):
    issued = issue(acme, role)
    ApiKey.objects.filter(pk=issued.row.pk).update(scopes=list(PERMISSIONS))
    forget_keys()

    holder = get_key_holder(issued.secret)

    assert sorted(name for name in PERMISSIONS if holder.may(name)) == scopes_of(role)


def test_row_without_scopes_may_nothing(acme):
    issued = issue(acme, "admin")
    ApiKey.objects.filter(pk=issued.row.pk).update(scopes=[])
    forget_keys()

    assert not [name for name in PERMISSIONS if get_key_holder(issued.secret).may(name)]


@pytest.mark.parametrize(
    ("maker", "role", "scopes"),
    [
        (("editor", None), "admin", ["documents.read"]),
        (("viewer", None), "editor", ["documents.read"]),
        (("admin", {"documents.read"}), "viewer", ["members.read"]),
        (("admin", {"documents.read"}), "viewer", None),
    ],
)
def test_nobody_gives_a_key_more_than_they_have(acme, maker, role, scopes):
    maker_role, maker_scopes = maker
    maker = Principal(acme.id, maker_role, scopes=maker_scopes and frozenset(maker_scopes))

    with pytest.raises(PermissionDenied, match="more than they have"):
        create_key(maker, KeyTerms("Robot", role, scopes))
    assert not ApiKey.objects.exists()


def test_reader_reads_and_does_not_write(acme, alice):
    alice.put(f"{DOCUMENTS}/x", {"n": 1})
    reader = program(acme, scopes=["documents.read"])

    assert reader.get(f"{DOCUMENTS}/x").status_code == 200
    for method, path in [
        ("POST", DOCUMENTS),
        ("PUT", f"{DOCUMENTS}/x"),
        ("PATCH", f"{DOCUMENTS}/x"),
    ]:
        refused(send(reader, method, path, {"n": 2}), 403, "permission_denied")
    problem = refused(reader.delete(f"{DOCUMENTS}/x"), 403, "permission_denied")
    assert "documents.write" in problem["detail"]
    refused(reader.get(ORGANIZATION), 403, "permission_denied")


def test_writer_without_reading_does_not_read(acme, alice):
    alice.put(f"{DOCUMENTS}/x", {"n": 1})
    writer = program(acme, scopes=["documents.write"])

    assert writer.post(DOCUMENTS, {"n": 2}).status_code == 201
    refused(writer.get(f"{DOCUMENTS}/x"), 403, "permission_denied")
    refused(writer.get(COLLECTIONS), 403, "permission_denied")


@pytest.fixture
def several(alice):
    """acme with the collections main, orders and letters; a document in each."""
    for name in ("main", "orders", "letters"):
        answer = alice.put(f"{COLLECTIONS}/{name}/documents/x", {"n": 1})
        assert answer.status_code == 201
    return alice


def test_key_with_a_list_works_in_its_collections_alone(acme, several):
    client = program(acme, "admin", collections=["orders"])

    assert client.get(f"{COLLECTIONS}/orders/documents/x").status_code == 200
    assert client.get(f"{COLLECTIONS}/orders").status_code == 200
    for path in ("main/documents", "letters/documents/x", "letters", "letters/indexes"):
        refused(client.get(f"{COLLECTIONS}/{path}"), 403, "permission_denied")
    refused(client.put(f"{COLLECTIONS}/main/documents/y", {}), 403, "permission_denied")


def test_collection_outside_of_the_list_looks_like_one_that_is_not_there(acme, several):
    client = program(acme, "admin", collections=["orders"])

    answers = [client.get(f"{COLLECTIONS}/{name}/documents") for name in ("letters", "nothing")]
    bodies = [refused(answer, 403, "permission_denied") for answer in answers]

    assert bodies[0]["detail"] == bodies[1]["detail"]


def test_key_with_a_list_sees_no_other_name(acme, several):
    client = program(acme, "admin", collections=["orders", "later"])

    assert client.get(COLLECTIONS).json()["data"] == [{"name": "orders"}]
    assert client.get(ORGANIZATION).json()["collections"] == ["orders"]
    renamed = client.patch(ORGANIZATION, {"name": "Acme Two"})
    assert renamed.json()["collections"] == ["orders"]
    assert len(several.get(COLLECTIONS).json()["data"]) == 3
    assert len(several.get(ORGANIZATION).json()["collections"]) == 3


def test_key_with_a_list_makes_and_drops_no_other_collection(acme, several):
    client = program(acme, "admin", collections=["orders", "later"])

    refused(client.post(COLLECTIONS, {"name": "letters"}), 403, "permission_denied")
    refused(client.post(COLLECTIONS, {"name": "other"}), 403, "permission_denied")
    refused(client.post(f"{COLLECTIONS}/other/documents", {}), 403, "permission_denied")
    refused(client.delete(f"{COLLECTIONS}/letters?confirm=letters"), 403, "permission_denied")
    refused(
        client.post(f"{COLLECTIONS}/letters/indexes", {"keys": [["a", 1]]}),
        403, "permission_denied",
    )  # fmt: skip

    names = [row["name"] for row in several.get(COLLECTIONS).json()["data"]]
    assert names == ["letters", "main", "orders"]
    assert client.post(COLLECTIONS, {"name": "later"}).status_code == 201
    assert client.delete(f"{COLLECTIONS}/orders?confirm=orders").status_code == 202


def test_what_is_about_no_collection_follows_the_scopes(acme, several):
    client = program(acme, "admin", collections=["orders"])

    assert client.get(f"{ORGANIZATION}/usage").json()["documents"] == 3
    assert client.get("/api/v1/operations").status_code == 200
    narrow = program(acme, "admin", ["documents.read"], collections=["orders"])
    refused(narrow.get(f"{ORGANIZATION}/usage"), 403, "permission_denied")
    refused(narrow.get("/api/v1/operations"), 403, "permission_denied")


def test_what_is_for_people_is_closed_to_keys(acme):
    client = program(acme, "admin")

    for method, path in [
        ("GET", "/api/v1/auth/sessions"),
        ("DELETE", "/api/v1/auth/sessions/00000000-0000-4000-8000-000000000000"),
        ("POST", "/api/v1/auth/logout"),
        ("POST", "/api/v1/auth/logout-all"),
        ("DELETE", ORGANIZATION),
        ("DELETE", "/org/delete"),
    ]:
        body = {"confirm": "acme", "organization_name": "Acme"}
        refused(send(client, method, path, body), 403, "permission_denied")
    assert program(acme).get(ORGANIZATION).status_code == 200


def test_compatibility_rename_follows_the_scopes(acme):
    body = {"old_organization_name": "Acme", "new_organization_name": "Acme Two"}

    refused(program(acme).put("/org/update", body), 403, "permission_denied")
    answer = program(acme, "admin", ["organization.update"]).put("/org/update", body)

    assert answer.status_code == 200
    assert answer.json()["new_name"] == "Acme Two"


@pytest.mark.parametrize("fields", [{"email": "x@example.com"}, {"password": PASSWORD + "2"}])
def test_compatibility_change_of_an_account_needs_a_person(acme, fields):
    client = program(acme, "admin")

    answer = client.put("/org/update", {"organization_name": "Acme Two"} | fields)

    refused(answer, 403, "permission_denied")
    acme.organization.refresh_from_db()
    assert acme.organization.name == "Acme"
    assert not User.objects.filter(email="x@example.com").exists()


def test_compatibility_get_tells_the_address_to_keys_that_may_read_members(acme, globex):
    path = "/org/get?organization_name=Acme"

    assert program(acme, scopes=["members.read"]).get(path).json()["admin_email"]
    assert "admin_email" not in program(acme, scopes=["documents.read"]).get(path).json()
    assert "admin_email" not in program(globex, "admin").get(path).json()


def test_key_needs_no_second_factor_of_its_organization(acme, several):
    type(acme.organization).objects.filter(pk=acme.id).update(two_factor_required=True)

    assert program(acme).get(DOCUMENTS).status_code == 200


def test_every_key_holder_has_scopes(acme):
    holder = get_key_holder(issue(acme).secret)

    assert isinstance(holder, KeyHolder)
    assert holder.scopes is not None
    assert holder.may_touch("anything")
