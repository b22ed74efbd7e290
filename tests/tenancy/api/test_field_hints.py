"""A field that the schema does not have is no error: the answer says what may have been meant."""

import pytest

from tests.http import DOCUMENTS, document_url, send

MAIN = "/api/v1/collections/main"
ADDRESS = {"type": "object", "properties": {"city": {}}, "additionalProperties": False}
OPEN = {"type": "object", "properties": {"status": {"type": "string"}, "address": ADDRESS}}
CLOSED = {**OPEN, "additionalProperties": False}
NO_STATUZ = "The enforced schema has no field “statuz”. Did you mean “status”?"
PERHAPS = "The schema does not name the field “statuz”. Did you mean “status”?"


@pytest.fixture
def stored(alice):
    """A document of before the schema, and one that satisfies it."""
    assert send(alice, "PUT", document_url("old"), {"legacy": 1}).status_code == 201
    assert send(alice, "PUT", document_url("new"), {"status": "open"}).status_code == 201
    return alice


def enforce(client, schema=CLOSED, mode="enforce"):
    body = {"json_schema": schema, "mode": mode}
    assert send(client, "PUT", f"{MAIN}/schema", body).status_code == 200


def ask(client, what, **body):
    answer = send(client, "POST", f"{MAIN}/{what}", body)
    assert answer.status_code == 200, answer.json()
    return answer.json()


@pytest.mark.everywhere
def test_an_empty_answer_says_which_field_was_probably_meant(stored):
    enforce(stored)
    slip = {"statuz": "open"}

    for answer in (
        stored.get(f"{DOCUMENTS}?statuz=open").json(),
        stored.get(f"{DOCUMENTS}?statuz__in=open").json(),
        stored.get(DOCUMENTS, {"filter": '{"$or": [{"statuz": "open"}]}'}).json(),
        ask(stored, "query", filter=slip),
        ask(stored, "count", filter=slip),
        ask(stored, "distinct", field="status", filter=slip),
        ask(stored, "distinct", field="statuz"),
        ask(stored, "aggregate", pipeline=[{"$match": slip}]),
        ask(stored, "explain", filter=slip),
        ask(stored, "explain", sort="statuz"),
        stored.get(f"{DOCUMENTS}?sort=-statuz").json(),
        stored.get(f"{DOCUMENTS}?fields=statuz").json(),
        ask(stored, "aggregate", pipeline=[{"$limit": 5}, {"$project": {"statuz": 1}}]),
        ask(stored, "aggregate", pipeline=[{"$group": {"_id": "$statuz", "n": {"$sum": 1}}}]),
        ask(stored, "aggregate", pipeline=[{"$facet": {"a": [{"$sortByCount": "$statuz"}]}}]),
        ask(stored, "aggregate", pipeline=[{"$project": {"s": {"$toUpper": "$$ROOT.statuz"}}}]),
    ):
        assert answer["hint"] == NO_STATUZ
    nested = ask(stored, "count", filter={"address": {"$elemMatch": {"ctiy": "x"}}})
    assert "“address.ctiy”. Did you mean “address.city”?" in nested["hint"]


def test_what_a_document_of_before_the_schema_has_is_found(stored):
    enforce(stored)

    found = stored.get(f"{DOCUMENTS}?legacy__exists=true").json()

    assert [each["_id"] for each in found["data"]] == ["old"]
    assert "hint" not in found
    assert ask(stored, "count", filter={"legacy": 1}) == {"count": 1}
    assert ask(stored, "update-many", filter={"legacy": 1}, patch={"legacy": None}, max_affected=1)
    assert "“legacy”." in ask(stored, "count", filter={"legacy": 1})["hint"]


def test_nothing_is_hinted_of_known_fields_or_of_what_a_pipeline_makes(stored):
    enforce(stored)
    known = {"status": "none", "_id": "none", "_meta.rev": {"$gt": 9}, "address.city": "x"}

    assert "hint" not in ask(stored, "query", filter=known, sort="_meta.created_at", fields="_id")
    assert "hint" not in stored.get(f"{DOCUMENTS}?fields=-statuz").json()
    pipeline = [
        {"$match": known},
        {"$set": {"statuz": {"$literal": "$other"}, "n": "$$NOW"}},
        {"$match": {"statuz": 1}},
        {"$sort": {"n": 1}},
    ]
    assert "hint" not in ask(stored, "aggregate", pipeline=pipeline)


@pytest.mark.parametrize(("schema", "mode"), [(OPEN, "enforce"), (OPEN, "warn"), (CLOSED, "warn")])
def test_where_other_fields_may_be_only_a_slip_without_an_answer_is_told(stored, schema, mode):
    enforce(stored, schema, mode)

    assert stored.get(f"{DOCUMENTS}?statuz=open").json()["hint"] == PERHAPS
    assert ask(stored, "explain", filter={"statuz": 1})["hint"] == PERHAPS
    assert "hint" not in stored.get(f"{DOCUMENTS}?other=open").json()
    assert "hint" not in stored.get(f"{DOCUMENTS}?sort=statuz").json()


def test_without_a_schema_there_is_no_hint_and_with_many_slips_there_are_three(stored):
    assert "hint" not in stored.get(f"{DOCUMENTS}?statuz=open").json()
    enforce(stored, mode="off")
    assert "hint" not in stored.get(f"{DOCUMENTS}?statuz=open").json()

    enforce(stored)
    hint = ask(stored, "count", filter={f"x{n}": 1 for n in range(50)})["hint"]
    assert hint.count("The enforced schema") == 3


def test_a_very_long_path_into_a_schema_that_contains_itself_is_an_empty_answer(stored):
    enforce(stored, {**CLOSED, "properties": {"a": {"$ref": "#"}}})
    part = ".".join(["a"] * 32)
    deep = {part: 1}
    for _ in range(3):
        deep = {part: {"$elemMatch": deep}}

    assert ask(stored, "query", filter=deep)["data"] == []
    assert ask(stored, "count", filter=deep) == {"count": 0}
