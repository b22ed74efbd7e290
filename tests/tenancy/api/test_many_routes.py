"""The contract of update-many and delete-many over HTTP: API.md, section 5."""

import pytest

from tests.http import pointers, refused, send

pytestmark = pytest.mark.everywhere
UPDATE = "/api/v1/collections/main/update-many"
DELETE = "/api/v1/collections/main/delete-many"


@pytest.fixture
def ten(alice, stored):
    """Ten documents of acme; what MongoDB has."""
    operations = [
        {"op": "insert", "document": {"_id": n, "state": "open" if n % 2 else "done"}}
        for n in range(10)
    ]
    url = "/api/v1/collections/main/bulk"
    assert send(alice, "POST", url, {"operations": operations}).status_code == 200
    return stored


def test_what_matches_is_patched_and_deleted(alice, ten):
    body = {"filter": {"state": "open"}, "patch": {"state": "late"}, "max_affected": 5}
    assert send(alice, "POST", UPDATE, {**body, "dry_run": True}).json() == {
        "matched": 5, "within_max_affected": True, "ids": [1, 3, 5, 7, 9], "dry_run": True,
    }  # fmt: skip
    assert send(alice, "POST", UPDATE, body).json() == {
        "matched": 5, "changed": 5, "dry_run": False,
    }  # fmt: skip
    assert ten.count_documents({"state": "late", "_meta.rev": 2}) == 5

    gone = {"filter": {"_id": {"$gte": 5}}, "max_affected": 10}
    foretold = send(alice, "POST", DELETE, {**gone, "max_affected": 1, "dry_run": True}).json()
    assert (foretold["matched"], foretold["within_max_affected"]) == (5, False)
    assert send(alice, "POST", DELETE, gone).json() == {
        "matched": 5, "deleted": 5, "dry_run": False,
    }  # fmt: skip
    assert sorted(each["_id"] for each in ten.find()) == [0, 1, 2, 3, 4]


def test_more_than_max_affected_is_refused_and_nothing_done(alice, ten):
    before = ten.find()
    for url, more in ((UPDATE, {"patch": {"x": 1}}), (DELETE, {})):
        answer = send(alice, "POST", url, {"filter": {}, "max_affected": 9, **more})
        body = refused(answer, 422, "max_affected_exceeded")
        assert (body["matched_at_least"], body["max_affected"]) == (10, 9)
    assert ten.find() == before


def test_a_repeat_under_a_key_changes_nothing_again(alice, ten):
    body = {"filter": {"state": "open"}, "patch": {"n": 1}, "max_affected": 9}
    first = send(alice, "POST", UPDATE, body, Idempotency_Key="u")
    send(alice, "PATCH", "/api/v1/collections/main/documents/int:1", {"n": 2})

    again = send(alice, "POST", UPDATE, body, Idempotency_Key="u")

    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == first.json() == {"matched": 5, "changed": 5, "dry_run": False}
    assert ten.find_one({"_id": 1})["n"] == 2


@pytest.mark.once
def test_wrong_bodies_are_refused_with_pointers(alice, ten):
    good = {"filter": {}, "patch": {"x": 1}, "max_affected": 100}
    without = [
        ({key: value for key, value in good.items() if key != name}, f"/{name}") for name in good
    ]
    changed = [
        ({"max_affected": each}, "/max_affected")
        for each in (0, -1, 10_001, True, "1", 1.5, None, [], 10**30)
    ]
    changed += [({"filter": each}, "/filter") for each in (None, [], 7, "x")]
    changed += [({"patch": each}, "/patch") for each in (None, [], 7, "x")]
    changed += [({"dry_run": each}, "/dry_run") for each in (None, 1, "true")]
    changed += [({"patch": {"_id": 1}}, "/patch/_id"), ({"max_afected": 1}, "/max_afected")]
    for body, pointer in [*without, *[({**good, **change}, at) for change, at in changed]]:
        if body.get("max_affected") == 10**30:  # no number of MongoDB's: refused while it is read
            assert send(alice, "POST", UPDATE, body).status_code == 422
            continue
        problem = refused(send(alice, "POST", UPDATE, body), 422, "validation_failed")
        assert pointer in pointers(problem), body
    for body in ([], 7, None, "x"):
        for url in (UPDATE, DELETE):
            refused(send(alice, "POST", url, body), 422, "validation_failed")
    refused(send(alice, "POST", UPDATE), 400, "malformed_json")
    refused(send(alice, "POST", DELETE, good), 422, "validation_failed")
    hostile = send(alice, "POST", DELETE, {"filter": {"$where": "1"}, "max_affected": 100})
    assert pointers(refused(hostile, 422, "operator_not_allowed")) == ["/filter/$where"]
    bad = send(alice, "POST", UPDATE, {**good, "patch": {"a": {"b.c": 1}}})
    assert pointers(refused(bad, 422, "invalid_document")) == ["/patch/a/b.c"]
    assert ten.count_documents({"x": {"$exists": False}}) == 10


def test_what_documents_would_become_is_refused_with_a_pointer_into_the_patch(alice, ten):
    body = {"filter": {"_id": {"$in": [1, 2]}}, "max_affected": 2}
    main = "/api/v1/collections/main"
    rules = {"properties": {"n": {"type": "integer"}}, "required": ["state"]}
    schema = {"json_schema": rules, "mode": "enforce"}
    assert send(alice, "PUT", f"{main}/schema", schema).status_code == 200

    for patch, at in (({"n": "many"}, "/patch/n"), ({"state": None}, "/patch")):
        for key in ({}, {"Idempotency_Key": str(patch)}):
            answer = send(alice, "POST", UPDATE, {**body, "patch": patch}, **key)
            problem = refused(answer, 422, "schema_violation")
            assert (pointers(problem), problem["id"]) == ([at], "int:1")
    assert ten.count_documents({"_meta.rev": 1}) == 10


@pytest.mark.once
def test_a_unique_value_that_is_taken_is_pointed_at_in_the_patch(alice, ten):
    index = {"keys": [["u", 1]], "unique": True, "sparse": True}
    assert send(alice, "POST", "/api/v1/collections/main/indexes", index).status_code == 201

    body = {"filter": {}, "patch": {"u": 1}, "max_affected": 10}
    problem = refused(send(alice, "POST", UPDATE, body), 409, "already_exists")

    assert pointers(problem) == ["/patch/u"]
    assert ten.count_documents({"u": 1}) == 0


def test_viewers_and_others_change_nothing(alice, vera, charlie, ten):
    body = {"filter": {}, "max_affected": 100}
    refused(send(vera, "POST", DELETE, body), 403, "permission_denied")
    assert send(charlie, "POST", DELETE, body).json()["deleted"] == 0
    refused(send(alice, "POST", "/api/v1/collections/none/delete-many", body), 404, "not_found")
    assert len(ten.find()) == 10


def test_a_key_that_is_none_is_refused_even_where_nothing_is_changed(alice, ten):
    for url, more in ((UPDATE, {"patch": {"x": 1}}), (DELETE, {})):
        body = {"filter": {}, "max_affected": 9, "dry_run": True, **more}
        refused(send(alice, "POST", url, body, Idempotency_Key="é"), 400, "invalid_parameter")
