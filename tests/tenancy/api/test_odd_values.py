"""Dates beyond the year 9999, and text that MongoDB cuts in messages, are values as others."""

from struct import pack

import pytest
from bson import encode
from bson.raw_bson import RawBSONDocument

from tests.http import document_url, pointers, refused, send

COLLECTION = "/api/v1/collections/main"
FAR = {"$date": {"$numberLong": "253402300800000"}}  # the first moment of the year 10000
LONG_AGO = {"$date": {"$numberLong": "-62135596800001"}}  # the last one before the year 1
# MongoDB cuts a value in a message at 150 bytes: here in the middle of a letter.
CUT = "a" + "日" * 100
UNIQUE = {"keys": [["u", 1]], "unique": True}


def ask(client, route, **body):
    return send(client, "POST", f"{COLLECTION}/{route}", body)


def put(client, name, **fields):
    answer = send(client, "PUT", document_url(name), fields)
    assert answer.status_code in {200, 201}, answer.content


def shown(client, name):
    body = client.get(document_url(name)).json()
    del body["_meta"]
    return body


def bulk(client, *operations, **more):
    answer = ask(client, "bulk", operations=operations, **more)
    assert answer.status_code == 200, answer.content
    return [each["status"] for each in answer.json()["results"]]


# --- dates


@pytest.mark.everywhere
@pytest.mark.parametrize("date", [FAR, LONG_AGO])
def test_a_bulk_replaces_patches_and_upserts_what_has_a_far_date(alice, date):
    for name in "rpu":
        put(alice, name, old=1)
    replace = {"op": "replace", "id": "r", "document": {"d": date}}
    patch = {"op": "patch", "id": "p", "patch": {"d": [date]}}
    upsert = {"op": "upsert", "id": "u", "document": {"d": date}}

    assert bulk(alice, replace, patch, upsert) == [200] * 3
    assert bulk(alice, {**patch, "patch": {"w": 1}}, upsert, atomic=True) == [200] * 2

    assert shown(alice, "r") == {"_id": "r", "d": date}
    assert shown(alice, "p") == {"_id": "p", "old": 1, "d": [date], "w": 1}
    assert shown(alice, "u") == {"_id": "u", "d": date}


@pytest.mark.everywhere
def test_update_many_changes_what_has_a_far_date_and_sets_one(alice):
    put(alice, "a", d=FAR)
    put(alice, "b", n=1)

    answer = ask(alice, "update-many", filter={}, patch={"at": [LONG_AGO]}, max_affected=5)

    assert answer.json() == {"matched": 2, "changed": 2, "dry_run": False}
    assert shown(alice, "a") == {"_id": "a", "d": FAR, "at": [LONG_AGO]}


@pytest.mark.everywhere
def test_an_export_with_far_dates_goes_back_in_over_itself(alice):
    put(alice, "a", d=FAR, list=[LONG_AGO])
    exported = alice.get(f"{COLLECTION}/export")
    lines = b"".join(exported.streaming_content)

    answer = send(
        alice, "POST", f"{COLLECTION}/import?mode=upsert", lines, "application/x-ndjson"
    )  # fmt: skip

    assert (answer.status_code, answer.json()["replaced"]) == (200, 1)
    assert shown(alice, "a") == {"_id": "a", "d": FAR, "list": [LONG_AGO]}


@pytest.mark.everywhere
def test_a_filter_with_a_far_date_is_explained(alice):
    put(alice, "a", d=FAR)
    assert ask(alice, "explain", filter={"d": FAR}).json()["returned"] == 1


def test_values_that_stand_in_the_way_of_an_index_may_be_far_dates(alice):
    put(alice, "a", u=FAR)
    put(alice, "b", u=FAR)
    problem = refused(ask(alice, "indexes", **UNIQUE), 409, "already_exists")
    assert pointers(problem) == ["/unique"]


# --- text


@pytest.mark.parametrize("before", ["", "a", "aa"])
def test_text_that_is_taken_is_refused_as_such_wherever_its_message_is_cut(alice, before):
    text = before + "日" * 100
    assert ask(alice, "indexes", **UNIQUE).status_code == 201
    put(alice, "a", u=text)
    put(alice, "b", n=1)
    for method, body in (("PUT", {"u": text}), ("PATCH", {"u": text})):
        problem = refused(send(alice, method, document_url("b"), body), 409, "already_exists")
        assert pointers(problem) == ["/u"]


def test_text_that_stands_in_the_way_of_an_index_may_be_cut(alice):
    put(alice, "a", u=CUT)
    put(alice, "b", u=CUT)
    problem = refused(ask(alice, "indexes", **UNIQUE), 409, "already_exists")
    assert pointers(problem) == ["/unique"]


def test_a_filter_with_text_that_is_cut_is_explained(alice):
    ask(alice, "indexes", keys=[["u", 1]])
    put(alice, "a", u=CUT + "b")
    assert ask(alice, "explain", filter={"u": {"$gt": CUT}}).json()["returned"] == 1
    assert ask(alice, "query", filter={"u": {"$gt": CUT}}, sort="u").status_code == 200


@pytest.mark.everywhere
@pytest.mark.parametrize("text", ["abc", "héllo", CUT, "日" * 100])
def test_text_of_which_no_date_can_be_made_is_said_to_be_so(alice, text):
    put(alice, "a", s=text)
    for expression in ({"$toDate": "$s"}, {"$dateFromString": {"dateString": "$s"}}):
        pipeline = [{"$project": {"r": expression}}]
        problem = refused(ask(alice, "aggregate", pipeline=pipeline), 422, "validation_failed")
        assert text not in problem["detail"]
        assert pointers(problem) == ["/pipeline"]


def test_text_that_is_not_utf_8_is_never_shown_as_something_else(alice, mongo):
    """Only another program can have stored it."""
    put(alice, "a", n=1)
    raw = b"\x02s\0\x03\0\0\0h\xe9\0"  # a string of two bytes
    document = encode({"_id": "b"})[4:-1] + raw + b"\0"
    mongo["org_acme"].insert_one(RawBSONDocument(pack("<i", len(document) + 4) + document))

    for route, body in (("aggregate", {"pipeline": []}), ("distinct", {"field": "s"})):
        problem = refused(ask(alice, route, **body), 422, "invalid_document")
        assert "not UTF-8" in problem["detail"]


def test_arrays_that_an_index_cannot_hold_together_are_refused_as_a_whole(alice):
    assert ask(alice, "indexes", keys=[["a", 1], ["b", 1]]).status_code == 201
    document = {"a": [1], "b": [2]}

    refusal = send(alice, "PUT", document_url("x"), document)
    answer = ask(alice, "bulk", operations=[{"op": "insert", "document": document}])

    assert pointers(refused(refusal, 422, "invalid_document")) == [""]
    assert pointers(answer.json()["results"][0]["problem"]) == ["/operations/0/document"]
