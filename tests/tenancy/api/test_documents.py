"""The contract of documents over HTTP: API.md, section 5."""

import re
from itertools import product
from urllib.parse import quote

import pytest

from tenancy import lifecycle
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, pointers, refused, send
from tests.http import document_url as url

pytestmark = pytest.mark.everywhere

OID = "59a47286cfa9a3a73e51e72c"
UUID = "3b241101-e2bb-4255-8caf-4136c566a962"


@pytest.fixture
def ada(alice):
    """A document of acme at revision 1; its path."""
    answer = send(alice, "PUT", url("ada"), {"name": "Ada", "tags": ["x"]})
    assert answer.status_code == 201
    return url("ada")


# --- create and read


def test_post_stores_a_document_and_tells_where(alice):
    answer = send(alice, "POST", DOCUMENTS, {"name": "Ada"})

    assert (answer.status_code, answer["ETag"]) == (201, '"r1"')
    assert answer["Content-Type"] == "application/json"
    assert list(answer.json()) == ["_id", "name", "_meta"]
    read = alice.get(answer["Location"])
    assert (read.status_code, read["ETag"]) == (200, '"r1"')
    assert read.json() == answer.json()


IDS = [
    *["a", "a/b", "/", "//", "a/", ".", "..", "../x", "a/../b", "%", "100%", "%2F", "%00"],
    *["ä€", "\U0001f600", "line\nbreak", "\r\n", "\t", " ", "a b ", "?a=b", "#x", "a;b", "a+b"],
    *["\\", "'\"", OID, OID.upper(), "str:x", "int:7", "uuid:x", "oid:", "7", "null", "€" * 170],
    *[7, -3, 0, 2**53 - 1, {"$numberLong": str(2**60)}, {"$oid": OID}, {"$uuid": UUID}],
]


def test_the_location_of_a_document_leads_to_it_whatever_its_id(alice):
    for document_id in IDS:
        created = send(alice, "POST", DOCUMENTS, {"_id": document_id, "n": 1})
        location = created["Location"]

        assert re.fullmatch(rf"{DOCUMENTS}/[A-Za-z0-9._~%-]+", location)
        assert alice.get(location).json() == created.json()
        assert created.json()["_id"] == document_id
        assert send(alice, "PUT", location, {"_id": document_id, "n": 2}).status_code == 200
        assert send(alice, "PATCH", location, {"n": 3})["ETag"] == '"r3"'

        assert alice.delete(location).status_code == 204
        refused(alice.get(location), 404, "not_found")


def test_an_id_that_is_taken_is_a_conflict(alice, ada):
    body = refused(send(alice, "POST", DOCUMENTS, {"_id": "ada"}), 409, "already_exists")

    assert pointers(body) == ["/_id"]


def test_a_unique_field_is_named_and_its_value_is_not(alice, stored):
    stored.create_index("email", unique=True)
    send(alice, "POST", DOCUMENTS, {"email": "a@example.com"})

    answer = send(alice, "PUT", url("x"), {"email": "a@example.com"})

    assert pointers(refused(answer, 409, "already_exists")) == ["/email"]
    assert "a@example.com" not in answer.content.decode()


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_an_impossible_id_is_refused(alice, method):
    for segment in ("oid:x", "int:x", "int:1.5", f"int:{2**63}", "uuid:x", "a\0b", "x" * 513):
        refused(send(alice, method, url(segment), {}), 400, "invalid_id")


def test_a_missing_document_is_not_found(alice):
    for method in ("GET", "PATCH", "DELETE"):
        refused(send(alice, method, url("nothing"), {}), 404, "not_found")


def test_head_is_get_without_a_body(alice, ada):
    answer = alice.head(ada)

    assert (answer.status_code, answer["ETag"], answer.content) == (200, '"r1"', b"")


# --- replace


def test_put_creates_and_then_replaces(alice, stored):
    created = send(alice, "PUT", url("x"), {"a": 1})
    assert (created.status_code, created["ETag"], created["Location"]) == (201, '"r1"', url("x"))

    replaced = send(alice, "PUT", url("x"), {"b": 2})

    assert (replaced.status_code, replaced["ETag"]) == (200, '"r2"')
    assert "Location" not in replaced
    assert replaced.json() == alice.get(url("x")).json()
    assert "a" not in stored.find_one()


def test_what_was_read_can_be_sent_back(alice, ada):
    body = alice.get(ada).json()

    again = send(alice, "PUT", ada, body).json()

    assert again["_meta"].pop("rev") == body["_meta"].pop("rev") + 1
    again["_meta"].pop("updated_at"), body["_meta"].pop("updated_at")
    assert again == body


def test_metadata_in_a_body_is_ignored(alice, ada, stored):
    forged = {"_meta": {"rev": 99, "by": "user:other", "created_at": 0}, "a": 1}

    for method in ("PUT", "PATCH"):
        assert send(alice, method, ada, forged).json()["_meta"]["rev"] < 9
    assert send(alice, "POST", DOCUMENTS, forged).json()["_meta"]["rev"] == 1

    assert {row["_meta"]["rev"] for row in stored.find()} == {1, 3}
    assert all(row["_meta"]["by"].startswith("user:") for row in stored.find())


OTHERS = [
    *[
        ("x", "y"),
        ("7", 7),
        ("int:7", "7"),
        (OID, OID),
        (f"uuid:{UUID}", UUID),
        ("x", {"$oid": OID}),
    ],
]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_another_id_in_the_body_is_refused(alice, stored, method):
    for segment, other in OTHERS:
        answer = send(alice, method, url(segment), {"_id": other})
        assert pointers(refused(answer, 422, "validation_failed")) == ["/_id"]

    assert stored.count_documents({}) == 0


def test_strings_that_look_like_expressions_are_strings(alice):
    fields = {"name": "Ada", "a": "$name", "b": ["$$ROOT", {"c": "$$NOW"}]}

    send(alice, "PUT", url("x"), fields)

    read = alice.get(url("x")).json()
    assert {key: read[key] for key in fields} == fields


# --- patch and delete


@pytest.mark.parametrize("content_type", ["application/json", "application/merge-patch+json"])
def test_patch_merges(alice, ada, content_type):
    answer = send(alice, "PATCH", ada, {"tags": None, "a": {"b": 1}}, content_type)

    assert (answer.status_code, answer["ETag"]) == (200, '"r2"')
    assert answer.json() == alice.get(ada).json()
    assert list(answer.json()) == ["_id", "name", "a", "_meta"]


def test_delete_answers_without_a_body_and_only_once(alice, ada):
    answer = alice.delete(ada)

    assert (answer.status_code, answer.content) == (204, b"")
    refused(alice.delete(ada), 404, "not_found")


# --- conditions

WRITES = pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])


HOLDING = ['"r1"', "*", ' "r1"', '"r9", "r1"', '"x","r1"', 'W/"r7", "r1"']
FAILING = ['"r2"', '"r0"', 'W/"r1"', '"foreign"', '""', '"r1x"', '"r9","r8"']
MALFORMED = ["", "r1", '"r1', "*, *", '"r1";', "W/r1", '"r1" "r2"']


@WRITES
def test_a_condition_that_holds_lets_a_write_pass(alice, method):
    for n, tag in enumerate(HOLDING):
        send(alice, "PUT", url(str(n)), {})
        assert send(alice, method, url(str(n)), {"n": 1}, If_Match=tag).status_code in (200, 204)


@WRITES
def test_a_condition_that_fails_names_the_current_revision(alice, ada, stored, method):
    for tag in FAILING:
        answer = send(alice, method, ada, {"n": 1}, If_Match=tag)
        assert refused(answer, 412, "precondition_failed")["current"] == '"r1"'
        assert answer["ETag"] == '"r1"'

    assert stored.find_one()["_meta"]["rev"] == 1


@WRITES
def test_a_condition_that_is_no_etag_is_refused(alice, ada, method):
    for tag in MALFORMED:
        refused(send(alice, method, ada, {"n": 1}, If_Match=tag), 400, "invalid_parameter")


@WRITES
def test_a_conditional_write_makes_no_document_and_no_collection(alice, stored, method):
    there, unheard = (412, "precondition_failed"), (404, "not_found")
    for (path, refusal), tag in product(
        [(url("x"), there), (url("x", "unheard"), unheard)], ('"r1"', "*")
    ):
        refused(send(alice, method, path, {"n": 1}, If_Match=tag), *refusal)

    assert stored.count_documents({}) == 0
    assert alice.get("/api/v1/collections").json() == {"data": [{"name": "main"}]}


def test_if_none_match_star_creates_only(alice, stored):
    assert send(alice, "PUT", url("x"), {"n": 1}, If_None_Match="*").status_code == 201

    refused(send(alice, "PUT", url("x"), {"n": 2}, If_None_Match="*"), 412, "precondition_failed")

    assert stored.find_one()["n"] == 1


def test_if_none_match_of_a_write_is_a_star_alone(alice, ada):
    refused(send(alice, "PUT", ada, {}, If_None_Match='"r1"'), 400, "invalid_parameter")
    both = send(alice, "PUT", ada, {}, If_None_Match="*", If_Match='"r1"')
    refused(both, 400, "invalid_parameter")


def test_a_revision_the_reader_has_is_not_sent_again(alice, ada):
    for tag in ('"r1"', 'W/"r1"', '"r7", "r1"', "*"):
        answer = alice.get(ada, headers={"If-None-Match": tag})

        assert (answer.status_code, answer["ETag"], answer.content) == (304, '"r1"', b"")


def test_a_revision_the_reader_has_not_is_sent(alice, ada):
    assert alice.get(ada, headers={"If-None-Match": '"r2", "x"'}).status_code == 200
    refused(alice.get(ada, headers={"If-None-Match": "r1"}), 400, "invalid_parameter")


def test_a_document_of_somebody_else_is_at_revision_zero(alice, stored):
    stored.insert_one({"_id": "x", "n": 1})

    assert alice.get(url("x"))["ETag"] == '"r0"'
    assert send(alice, "PUT", url("x"), {"n": 2}, If_Match='"r0"')["ETag"] == '"r1"'


# --- lists


@pytest.fixture
def seven(alice):
    ids = [3, "b", {"$oid": OID}, "a", {"$uuid": UUID}, -1, "line\nbreak"]
    for document_id in ids:
        assert send(alice, "POST", DOCUMENTS, {"_id": document_id}).status_code == 201
    return [-1, 3, "a", "b", "line\nbreak", {"$uuid": UUID}, {"$oid": OID}]


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_pages_follow_each_other_and_give_each_document_once(alice, seven, limit):
    given, path = [], f"{DOCUMENTS}?limit={limit}"
    while path:
        answer = alice.get(path)
        page = answer.json()["page"]
        assert page["limit"] == limit
        given += [document["_id"] for document in answer.json()["data"]]
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers.get("Link", ""))
        assert bool(link) == bool(page["next"])
        assert not link or f"cursor={page['next']}" in link[1]
        path = link[1] if link else None

    assert given == seven


def test_a_page_has_fifty_documents_unless_asked_otherwise(alice, stored):
    stored.insert_many([{"_id": n} for n in range(51)])

    answer = alice.get(DOCUMENTS).json()

    assert (len(answer["data"]), answer["page"]["limit"]) == (50, 50)
    assert answer["page"]["next"]


def test_a_limit_out_of_bounds_is_refused(alice):
    for limit in ("0", "1001", "-1", "x", "", "1.5", "1e2", "9" * 30, "+5", " 5"):
        refused(alice.get(DOCUMENTS, {"limit": limit}), 400, "invalid_parameter")


def test_a_cursor_leads_on_in_its_own_list_alone(alice, vera, charlie, seven):
    send(alice, "PUT", url("x", "orders"), {})
    cursor = alice.get(f"{DOCUMENTS}?limit=2").json()["page"]["next"]

    assert len(vera.get(DOCUMENTS, {"cursor": cursor}).json()["data"]) == 5
    for client, collection in ((charlie, "main"), (alice, "orders")):
        answer = client.get(f"/api/v1/collections/{collection}/documents", {"cursor": cursor})
        refused(answer, 400, "cursor_invalid")


def test_a_changed_cursor_is_refused(alice, seven):
    cursor = alice.get(f"{DOCUMENTS}?limit=2").json()["page"]["next"]

    for changed in (cursor.lower(), cursor[:-1], "", "\0" + cursor, cursor + "é", "x" * 5000):
        refused(alice.get(DOCUMENTS, {"cursor": changed}), 400, "cursor_invalid")


# --- collections


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_first_write_makes_a_collection(bob, acme, behind, method):
    path = url("x", "orders") if method == "PUT" else "/api/v1/collections/orders/documents"

    assert send(bob, method, path, {"n": 1}).status_code == 201

    assert behind.stored_of(acme.organization, "orders").count_documents({}) == 1
    assert {"name": "orders"} in bob.get("/api/v1/collections").json()["data"]


IMPOSSIBLE = ["Orders", "1a", "a.b", "a" * 64, "$x", "system.users", "ä", "a\n", " main", "a b"]


def test_an_unknown_collection_is_not_found(alice, behind):
    before = behind.physical_names()

    for name in ("orders", "a" * 63, *IMPOSSIBLE):
        path = f"/api/v1/collections/{quote(name)}/documents"
        refused(alice.get(path), 404, "not_found")
        for method in ("GET", "PATCH", "DELETE"):
            refused(send(alice, method, f"{path}/x", {}), 404, "not_found")

    assert behind.physical_names() == before


def test_an_impossible_collection_is_not_made_by_a_write(alice, behind):
    before = behind.physical_names()

    for name in IMPOSSIBLE:
        path = f"/api/v1/collections/{quote(name)}/documents"
        refused(send(alice, "PUT", f"{path}/x", {}), 404, "not_found")
        refused(send(alice, "POST", path, {}), 404, "not_found")

    assert behind.physical_names() == before


# --- who may


def writes(client, path):
    yield send(client, "POST", path.rpartition("/")[0], {})
    yield send(client, "PUT", path, {})
    yield send(client, "PATCH", path, {})
    yield client.delete(path)


def test_a_viewer_reads_and_does_not_write(vera, ada, stored):
    assert vera.get(ada).status_code == 200
    assert len(vera.get(DOCUMENTS).json()["data"]) == 1

    for answer in writes(vera, ada):
        refused(answer, 403, "permission_denied")

    assert stored.find_one()["_meta"]["rev"] == 1


def test_nobody_is_told_nothing(nobody, ada, stored):
    for answer in (nobody.get(ada), nobody.get(DOCUMENTS), *writes(nobody, ada)):
        refused(answer, 401, "not_authenticated")
        assert answer["WWW-Authenticate"].startswith("Bearer ")

    assert stored.find_one()["_meta"]["rev"] == 1


@pytest.mark.parametrize("collection", ["main", "orders"])
def test_an_outsider_sees_what_is_not_there(alice, charlie, collection):
    send(alice, "PUT", url("there", collection), {"secret": 1})

    for method in ("GET", "PATCH", "DELETE"):
        answers = [send(charlie, method, url(x, collection), {}) for x in ("there", "absent")]
        one, other = (refused(answer, 404, "not_found") for answer in answers)
        for body in (one, other):
            del body["request_id"], body["instance"]
        assert one == other


def test_an_outsiders_write_stays_in_the_outsiders_place(alice, charlie, ada, stored):
    assert send(charlie, "PUT", ada, {"name": "Eve"}).status_code == 201

    assert alice.get(ada).json()["name"] == "Ada"
    assert [row["name"] for row in stored.find()] == ["Ada"]
    assert charlie.delete(ada).status_code == 204
    assert alice.get(ada).status_code == 200


def test_a_suspended_organization_is_refused(alice, acme, ada):
    lifecycle.suspend_organization(acme.id, by=ACTOR)

    for answer in (alice.get(ada), alice.get(DOCUMENTS), *writes(alice, ada)):
        refused(answer, 403, "organization_suspended")
