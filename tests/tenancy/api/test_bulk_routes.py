"""The contract of bulk operations over HTTP: API.md, section 5."""

import threading

import pytest

from tenancy import catalog, lifecycle
from tenancy.api import bulk as bulk_view
from tenancy.clock import seconds
from tenancy.exceptions import ClusterUnavailable
from tenancy.mongo.clients import get_database
from tenancy.mongo.documents import TenantCollection
from tests.conftest import ACTOR
from tests.http import document_url, pointers, refused, send

pytestmark = pytest.mark.everywhere
BULK = "/api/v1/collections/main/bulk"
OID = "59a47286cfa9a3a73e51e72c"
MIXED = [
    {"op": "insert", "document": {"_id": "a", "n": 1}},
    {"op": "insert", "id": 7, "document": {"n": 1}},
    {"op": "insert", "document": {"_id": "a"}},
    {"op": "upsert", "id": f"str:{OID}", "document": {"n": 2}},
    {"op": "replace", "id": "nothing", "document": {}},
    {"op": "patch", "id": "a", "patch": {"n": 2}, "if_rev": 1},
    {"op": "patch", "id": "a", "patch": {"n": 3}, "if_rev": 1},
    {"op": "insert", "document": {"a.b": 1}},
    {"op": "delete", "id": "int:7"},
]


def bulk(client, operations, **more):
    return send(client, "POST", BULK, {"operations": operations, **more})


def test_a_bulk_answers_for_each_operation(alice, stored):
    answer = bulk(alice, MIXED)

    body = answer.json()
    assert (answer.status_code, answer["Bulk-Failed"]) == (207, "4")
    assert body["counts"] == {"created": 3, "changed": 1, "deleted": 1, "failed": 4}
    assert [(each["status"], each.get("id"), each.get("rev")) for each in body["results"]] == [
        (201, "a", 1), (201, "int:7", 1), (409, "a", None), (201, f"str:{OID}", 1),
        (404, "nothing", None), (200, "a", 2), (412, "a", None), (422, None, None),
        (204, "int:7", None),
    ]  # fmt: skip
    problems = [each["problem"] for each in body["results"] if "problem" in each]
    assert [each["code"] for each in problems] == [
        "already_exists", "not_found", "precondition_failed", "invalid_document",
    ]  # fmt: skip
    assert problems[2]["current"] == '"r2"'
    assert pointers(problems[0]) == ["/operations/2/document/_id"]
    assert pointers(problems[3]) == ["/operations/7/document/a.b"]
    assert sorted(each["_id"] for each in stored.find()) == [OID, "a"]


def test_an_atomic_bulk_is_all_or_nothing(alice, stored):
    done = bulk(alice, [MIXED[0], MIXED[1], MIXED[5]], atomic=True)
    assert (done.status_code, [each["status"] for each in done.json()["results"]]) == (
        200, [201, 201, 200],
    )  # fmt: skip

    for bad, code, where in [
        ({"op": "insert", "document": {"_id": "a"}}, "already_exists", "/document/_id"),
        ({"op": "insert", "id": "a", "document": {}}, "already_exists", "/id"),
        ({"op": "patch", "id": "a", "patch": {"x": 1}, "if_rev": 1}, "precondition_failed", ""),
        ({"op": "delete", "id": "nothing"}, "not_found", ""),
        ({"op": "insert", "document": {"x": {"$code": "1"}}}, "type_not_allowed", "/document/x"),
    ]:
        body = refused(
            bulk(alice, [{"op": "delete", "id": 7}, bad], atomic=True), 409, "bulk_aborted"
        )
        assert body["errors"][0]["code"] == code
        assert pointers(body) == [f"/operations/1{where}"]
        assert sorted(str(each["_id"]) for each in stored.find()) == ["7", "a"]


@pytest.mark.once
def test_a_body_of_a_wrong_shape_is_refused_whole(alice, stored):
    good = {"op": "insert", "document": {"_id": "good"}}
    for operation, pointer in [
        (7, ""), (None, ""), ([], ""), ({}, "/op"), ({"op": 7}, "/op"), ({"op": ["insert"]}, "/op"),
        ({"op": "insrt", "document": {}}, "/op"),
        ({"op": "insert"}, "/document"), ({"op": "insert", "document": 7}, "/document"),
        ({"op": "insert", "document": {}, "if_rev": 1}, "/if_rev"),
        ({"op": "insert", "document": {}, "doc": {}}, "/doc"),
        ({"op": "insert", "document": {}, "a/b": {}}, "/a~1b"),
        ({"op": "replace", "document": {}}, "/id"), ({"op": "upsert", "document": {}}, "/id"),
        ({"op": "upsert", "id": "x"}, "/document"), ({"op": "patch", "patch": {}}, "/id"),
        ({"op": "patch", "id": "x", "document": {}}, "/document"),
        ({"op": "patch", "id": "x", "patch": []}, "/patch"), ({"op": "delete"}, "/id"),
        *[({"op": "delete", "id": each}, "/id") for each in (
            "", "oid:zz", None, True, 1.5, [], {}, {"$oid": 7}, {"$code": "x"}, {"a": 1}, "x" * 600,
        )],
        *[({"op": "delete", "id": "x", "if_rev": each}, "/if_rev") for each in (
            -1, True, "1", 1.5, None, 10**18,
        )],
    ]:  # fmt: skip
        problem = refused(bulk(alice, [good, operation]), 422, "validation_failed")
        assert f"/operations/1{pointer}" in pointers(problem), operation
    for body, pointer in [
        ([], ""), (7, ""), (None, ""), ({}, "/operations"), ({"operations": {}}, "/operations"),
        ({"operations": []}, "/operations"), ({"operations": [good] * 1001}, "/operations"),
        ({"operations": [good], "atomic": 1}, "/atomic"),
        ({"operations": [good], "atomc": True}, "/atomc"),
    ]:  # fmt: skip
        problem = refused(send(alice, "POST", BULK, body), 422, "validation_failed")
        assert pointer in pointers(problem), body
    assert "Did you mean “insert”?" in str(
        bulk(alice, [{"op": "insrt", "document": {}}]).json()["errors"]
    )
    refused(send(alice, "POST", BULK), 400, "malformed_json")
    refused(send(alice, "POST", f"{BULK}?atomic=1", {}), 400, "unknown_parameter")
    assert stored.find() == []


def test_an_atomic_bulk_that_aborts_leaves_no_collection(alice, acme):
    new, key = "/api/v1/collections/brand-new/bulk", {"Idempotency_Key": "k"}
    insert = {"op": "insert", "document": {"_id": 1}}

    for bad, code in [
        (insert, "already_exists"),
        ({"op": "patch", "id": 2, "patch": {}}, "not_found"),
        ({"op": "replace", "id": 2, "document": {}, "if_rev": 1}, "precondition_failed"),
        ({"op": "insert", "document": {"$a": 1}}, "invalid_document"),
        ({"op": "patch", "id": "int:1", "patch": {"x": "x" * 1_100_000}}, "payload_too_large"),
    ]:
        body = {"operations": [insert, bad], "atomic": True}
        problem = refused(send(alice, "POST", new, body), 409, "bulk_aborted")
        assert {each["code"] for each in problem["errors"]} == {code}, problem
    kept = refused(send(alice, "POST", new, body, **key), 409, "bulk_aborted")
    assert [each["name"] for each in alice.get("/api/v1/collections").json()["data"]] == ["main"]
    address = catalog.get_tenant(acme.id).address
    assert not [name for name in get_database(address).list_collection_names() if "brand" in name]

    fine = {"operations": [insert, {**bad, "patch": {"x": 1}}], "atomic": True}
    assert send(alice, "POST", new, fine).status_code == 200
    again = send(alice, "POST", new, body, **key)
    assert (again["Idempotent-Replayed"], again.json()) == ("true", kept)


def test_another_s_new_collection_is_not_taken_for_an_empty_one(alice, acme, settings):
    settings.TENANCY_CATALOG_TTL = 60
    new, of_before = "/api/v1/collections/brand-new", catalog.get_tenant(acme.id)
    assert send(alice, "PUT", f"{new}/documents/a", {"n": 1}).status_code == 201
    operations = [{"op": "patch", "id": "a", "patch": {"n": 2}}]

    catalog._cache._entries[acme.id] = (seconds(), of_before)
    answer = send(alice, "POST", f"{new}/bulk", {"operations": operations, "atomic": True})

    assert answer.status_code == 200


@pytest.mark.once
def test_a_thousand_operations_fit_and_a_body_over_its_limit_does_not(alice, stored, monkeypatch):
    many = [{"op": "insert", "document": {"_id": n}} for n in range(1000)]
    assert bulk(alice, many).json()["counts"]["created"] == 1000
    patches = [{"op": "patch", "id": n, "patch": {"n": n}} for n in range(1000)]
    assert bulk(alice, patches).json()["counts"]["changed"] == 1000

    monkeypatch.setattr(bulk_view.BulkViewSet, "body_max_bytes", 1000)
    problem = refused(bulk(alice, many), 413, "payload_too_large")

    assert "import" in problem["hint"]
    assert stored.count_documents({"n": {"$exists": True}}) == 1000


@pytest.mark.once
def test_ids_of_an_answer_can_be_sent_again(alice):
    ids = [OID, f"str:{OID}", "x/y", 7, {"$uuid": "3b241101-e2bb-4255-8caf-4136c566a962"}, "str:7"]
    made = bulk(alice, [{"op": "upsert", "id": each, "document": {}} for each in ids]).json()

    for item in made["results"]:
        assert alice.get(document_url(item["id"])).status_code == 200
    again = bulk(alice, [{"op": "delete", "id": item["id"]} for item in made["results"]]).json()

    assert [each["id"] for each in again["results"]] == [each["id"] for each in made["results"]]
    assert again["counts"]["deleted"] == len(ids)


def test_only_what_stores_something_makes_a_collection(alice):
    url = "/api/v1/collections/new/bulk"
    patch = {"op": "patch", "id": "x", "patch": {}}
    refused(send(alice, "POST", url, {"operations": [patch]}), 404, "not_found")

    answer = send(alice, "POST", url, {"operations": [{"op": "insert", "document": {}}, patch]})

    assert [each["status"] for each in answer.json()["results"]] == [201, 404]


@pytest.mark.once
def test_the_schema_and_the_size_are_those_of_single_writes(alice, acme):
    schema = {"type": "object", "required": ["n"]}
    body = {"json_schema": schema, "mode": "enforce"}
    assert send(alice, "PUT", "/api/v1/collections/main/schema", body).status_code == 200

    large = {"n": "x" * 1_100_000}
    operations = [{"op": "insert", "document": each} for each in ({"n": 1}, {}, large, {"n": 2})]
    results = bulk(alice, operations).json()["results"]

    assert [each["status"] for each in results] == [201, 422, 413, 201]
    assert results[1]["problem"]["code"] == "schema_violation"
    assert results[2]["problem"]["code"] == "payload_too_large"


def test_a_repeat_under_a_key_does_nothing_again(alice, stored):
    for atomic in (False, True):
        operations = [
            {"op": "insert", "document": {}}, {"op": "upsert", "id": "x", "document": {}},
        ]  # fmt: skip
        body = {"operations": operations, "atomic": atomic}
        key = {"Idempotency_Key": f"k{atomic}"}
        first = send(alice, "POST", BULK, body, **key)
        again = send(alice, "POST", BULK, body, **key)

        assert (first.status_code, again["Idempotent-Replayed"]) == (200, "true")
        assert again.json() == first.json()
    assert len(stored.find()) == 3
    failing = {"operations": [{"op": "delete", "id": "nothing"}]}
    answers = [send(alice, "POST", BULK, failing, Idempotency_Key="f") for _ in range(2)]
    assert [each.status_code for each in answers] == [207, 207]
    assert answers[1]["Bulk-Failed"] == "1"


@pytest.mark.once
def test_a_bulk_that_broke_off_goes_on_under_its_key(alice, stored, monkeypatch):
    stored.create_index("n", unique=True)
    operations = [{"op": "insert", "document": {"n": n % 290}} for n in range(300)]
    body = {"operations": operations}
    bulk_of = TenantCollection.bulk

    def fail_then(self, changes, note, *, in_steps):
        if changes[0][0] >= 250:
            raise ClusterUnavailable
        bulk_of(self, changes, note, in_steps=in_steps)

    monkeypatch.setattr(TenantCollection, "bulk", fail_then)
    broken = refused(send(alice, "POST", BULK, body, Idempotency_Key="k"), 503, "outcome_unknown")
    assert "Idempotency-Key" in broken["hint"]
    assert stored.count_documents({}) == 250
    monkeypatch.undo()

    answer = send(alice, "POST", BULK, body, Idempotency_Key="k")

    assert answer.json()["counts"] == {"created": 290, "changed": 0, "deleted": 0, "failed": 10}
    assert [each["index"] for each in answer.json()["results"]] == list(range(300))
    assert stored.count_documents({}) == 290


@pytest.mark.once
def test_an_organization_may_be_renamed_while_bulks_run(alice, acme, behind, quick):
    begun, said = threading.Event(), []

    def write():
        for n in range(12):
            operations = [{"op": "insert", "document": {"_id": n * 100 + k}} for k in range(30)]
            operations += [{"op": "upsert", "id": "shared", "document": {"n": n}}]
            said.append(bulk(alice, operations).json().get("counts"))
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait(timeout=10)
    for name in ("Acme One", "Acme Two"):
        lifecycle.rename_organization(acme.id, name, by=ACTOR)
    thread.join(timeout=60)

    assert said == [
        {"created": 31 - (n > 0), "changed": int(n > 0), "deleted": 0, "failed": 0}
        for n in range(12)
    ]
    stored = behind.stored_of(acme.organization)
    assert stored.count_documents({}) == 12 * 30 + 1
    assert stored.find_one({"_id": "shared"})["_meta"]["rev"] == 12


@pytest.mark.once
def test_a_repeat_does_not_go_on_in_another_collection_of_the_same_name(alice, acme, monkeypatch):
    url, key = "/api/v1/collections/notes/bulk", {"Idempotency_Key": "anew"}
    body = {"operations": [{"op": "insert", "document": {"_id": n}} for n in range(4)]}
    monkeypatch.setattr(bulk_view, "STEP_OPERATIONS", 2)
    real, steps = TenantCollection.bulk, []

    def fail_second(*args, **options):
        steps.append(1)
        if len(steps) == 2:
            raise ClusterUnavailable
        return real(*args, **options)

    monkeypatch.setattr(TenantCollection, "bulk", fail_second)
    refused(send(alice, "POST", url, body, **key), 503, "outcome_unknown")

    row = acme.organization.collections.get(name="notes")
    row.delete()
    type(row).objects.create(organization=acme.organization, name="notes")

    again = refused(send(alice, "POST", url, body, **key), 422, "idempotency_key_reused")
    assert "dropped" in again["detail"]
    assert len(steps) == 2
