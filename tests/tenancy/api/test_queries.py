"""Counts, distinct values, pipelines and plans over HTTP."""

import pytest

from tenancy.mongo import reading
from tests.http import document_url, pointers, refused, send

COLLECTION = "/api/v1/collections/main"
ROWS = [
    {"_id": "a", "status": "open", "n": 3, "tags": ["x", "y"]},
    {"_id": "b", "status": "open", "n": 1, "tags": "x", "lines": [{"sku": "p"}, {"sku": "q"}]},
    {"_id": "c", "status": "shut", "n": 2, "tags": [], "lines": {"sku": "p"}},
    {"_id": "d", "status": None},
]


@pytest.fixture
def rows(alice, stored):
    send(alice, "PUT", document_url("first"), {})
    alice.delete(document_url("first"))
    stored.insert_many(ROWS)
    return stored


def ask(client, route, **body):
    return send(client, "POST", f"{COLLECTION}/{route}", body)


def answered(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.everywhere
def test_a_viewer_may_ask_everything_of_documents(vera, rows):
    assert answered(ask(vera, "count")) == {"count": 4}
    assert answered(ask(vera, "count", filter={"n": {"$gt": 1}})) == {"count": 2}
    assert answered(ask(vera, "distinct", field="status")) == {"values": [None, "open", "shut"]}
    assert answered(ask(vera, "distinct", field="_id", filter={"n": 3})) == {"values": ["a"]}
    pipeline = [{"$group": {"_id": "$status", "n": {"$sum": "$n"}}}, {"$sort": {"_id": 1}}]
    assert answered(ask(vera, "aggregate", pipeline=pipeline)) == {
        "data": [{"_id": None, "n": 0}, {"_id": "open", "n": 4}, {"_id": "shut", "n": 2}]
    }
    plan = answered(ask(vera, "explain", filter={"status": "open"}, sort="-n"))
    assert (plan["returned"], plan["sorted_in_memory"]) == (2, True)
    assert plan["suggested_index"] == {"keys": [["status", 1], ["n", -1], ["_id", -1]]}


def test_distinct_values_are_those_that_mongodb_finds(alice, rows):
    for field in ("tags", "lines.sku", "lines", "n", "nothing", "_meta.rev"):
        found = answered(ask(alice, "distinct", field=field))["values"]

        expected = rows.collection.distinct(field)
        assert sorted(map(str, found)) == sorted(map(str, expected)), field


@pytest.mark.everywhere
def test_distinct_values_are_found_in_arrays_of_arrays_and_at_places(alice, rows):
    nested = {"m": [[1, 2], {"b": 3}], "p": [{"q": [{"r": 1}]}], "e": [[{"b": 5}]]}
    rows.insert_one({"_id": "nested", "a": [10, 20], **nested})

    for field, values in {
        "m.b": [3], "e.b": [], "m.1.b": [3], "a.0": [10], "p.0.q.0.r": [1], "a.00": [],
        "a.2147483648": [], "tags.1": ["y"], "lines.0.sku": ["p"], "lines.sku": ["p", "q"],
    }.items():  # fmt: skip
        assert answered(ask(alice, "distinct", field=field)) == {"values": values}, field


def test_nothing_found_is_an_answer_too(alice, rows):
    nothing = {"status": "gone"}
    assert answered(ask(alice, "count", filter=nothing)) == {"count": 0}
    assert answered(ask(alice, "distinct", field="n", filter=nothing)) == {"values": []}
    assert answered(ask(alice, "aggregate", pipeline=[{"$match": nothing}])) == {"data": []}
    facets = {"$facet": {"rows": [{"$match": nothing}]}}
    assert answered(ask(alice, "aggregate", pipeline=[facets])) == {"data": [{"rows": []}]}
    assert answered(ask(alice, "explain", filter=nothing))["returned"] == 0


def test_who_wrote_a_document_does_not_come_out_of_a_pipeline(alice):
    send(alice, "PUT", document_url("mine"), {"n": 1})

    whole = ask(alice, "aggregate", pipeline=[{"$match": {}}])
    copied = ask(alice, "aggregate", pipeline=[{"$project": {"copy": "$_meta"}}])

    for answer in (whole, copied):
        assert "user:" not in str(answered(answer))


def test_a_plan_names_the_index_and_nothing_of_where_it_is(alice, rows, acme):
    keys = [["status", 1], ["n", 1], ["_id", 1]]
    name = send(alice, "POST", f"{COLLECTION}/indexes", {"keys": keys}).json()["name"]

    plan = ask(alice, "explain", filter={"status": "open"}, sort="n")

    assert answered(plan) == {
        "index": name,
        "stages": ["index_scan", "fetch", "limit"],
        "keys_examined": 2,
        "documents_examined": 2,
        "returned": 2,
        "sorted_in_memory": False,
        "suggested_index": None,
    }
    assert acme.slug not in plan.content.decode()
    assert answered(ask(alice, "explain"))["index"] == "_id"


def test_answers_are_bounded(alice, rows, monkeypatch):
    monkeypatch.setattr(reading, "DISTINCT_MAX_VALUES", 2)
    monkeypatch.setattr(reading, "AGGREGATE_MAX_DOCUMENTS", 3)

    refused(ask(alice, "distinct", field="_id"), 422, "query_too_complex")
    refused(ask(alice, "aggregate", pipeline=[]), 422, "query_too_complex")
    assert len(answered(ask(alice, "aggregate", pipeline=[{"$limit": 3}]))["data"]) == 3


def test_what_the_values_of_documents_do_not_allow_is_a_refusal(alice, rows):
    pipeline = [{"$project": {"bad": {"$divide": [1, {"$subtract": ["$n", "$n"]}]}}}]

    problem = refused(ask(alice, "aggregate", pipeline=pipeline), 422, "validation_failed")

    assert "divide" not in problem["detail"]


def test_what_is_wrong_in_a_body_is_pointed_at(alice, rows):
    for route, body, pointer in (
        ("count", {"filtr": {}}, "/filtr"),
        ("count", {"filter": 1}, "/filter"),
        ("distinct", {}, "/field"),
        ("distinct", {"field": "a..b"}, "/field"),
        ("aggregate", {}, "/pipeline"),
        ("aggregate", {"pipeline": {}}, "/pipeline"),
        ("explain", {"sort": "a,a"}, "/sort"),
    ):
        problem = refused(ask(alice, route, **body), 422, "validation_failed")
        assert pointers(problem) == [pointer], (route, body)
    refused(ask(alice, "aggregate", pipeline=[{"$lookup": {}}]), 422, "stage_not_allowed")


def test_a_collection_that_is_not_there_is_not_found(alice):
    for route in ("query", "count", "aggregate", "explain", "distinct"):
        body = {"pipeline": []} if route == "aggregate" else {}
        body |= {"field": "n"} if route == "distinct" else {}
        missing = send(alice, "POST", f"/api/v1/collections/nowhere/{route}", body)
        refused(missing, 404, "not_found")
