"""`If-Match` and `If-None-Match` of writes, as RFC 9110 has them, 13.1 and 13.2."""

import pytest

from tests.http import document_url, refused, send

BULK = "/api/v1/collections/main/bulk"
PATCH = "application/merge-patch+json"

pytestmark = pytest.mark.needs_mongod


def write(client, method, segment, **headers):
    return send(client, method, document_url(segment), {"n": 2}, **headers)


@pytest.mark.everywhere
def test_if_match_never_holds_where_no_document_is(alice):
    for method in ("PUT", "PATCH", "DELETE"):
        for condition in ("*", '"r1"'):
            body = refused(
                write(alice, method, "absent", If_Match=condition), 412, "precondition_failed"
            )
            assert body["current"] is None, (method, condition)

    assert write(alice, "PATCH", "absent").status_code == 404
    assert alice.get(document_url("absent")).status_code == 404


@pytest.mark.everywhere
def test_if_none_match_keeps_a_change_from_what_it_names(alice):
    write(alice, "PUT", "a")

    for method in ("PATCH", "DELETE"):
        for condition in ("*", '"r1"', '"r7", W/"r1"'):
            body = refused(
                write(alice, method, "a", If_None_Match=condition), 412, "precondition_failed"
            )
            assert body["current"] == '"r1"', (method, condition)
        assert write(alice, method, "absent", If_None_Match="*").status_code == 404
        refused(write(alice, method, "a", If_None_Match="r1"), 400, "invalid_parameter")

    assert write(alice, "PATCH", "a", If_None_Match='"r2", "x"').json()["_meta"]["rev"] == 2
    assert write(alice, "DELETE", "a", If_None_Match='"r1"').status_code == 204


def test_only_one_of_both_conditions_is_taken(alice):
    for method in ("PUT", "PATCH", "DELETE"):
        answer = write(alice, method, "a", If_Match='"r1"', If_None_Match="*")
        assert "If-None-Match" in refused(answer, 400, "invalid_parameter")["errors"][0]["message"]


def test_if_rev_of_a_bulk_never_holds_where_no_document_is(alice):
    operations = [
        {"op": "replace", "id": "absent", "document": {}, "if_rev": 1},
        {"op": "upsert", "id": "absent", "document": {}, "if_rev": 1},
        {"op": "patch", "id": "absent", "patch": {}, "if_rev": 1},
        {"op": "delete", "id": "absent", "if_rev": 1},
        {"op": "delete", "id": "absent"},
    ]

    results = send(alice, "POST", BULK, {"operations": operations}).json()["results"]

    assert [each["status"] for each in results] == [412, 412, 412, 412, 404]
    assert [each["problem"].get("current", "") for each in results[:4]] == [None] * 4


def test_a_list_of_etags_may_have_empty_places_and_commas_in_an_etag(alice):
    write(alice, "PUT", "a")

    for condition in ('"r1",', ',"r1"', ' ,, "r1" , ,', '"a,b", "r1"', '"r1","a,b"', '"x",\t"r1"'):
        found = alice.get(document_url("a"), headers={"If-None-Match": condition})
        assert found.status_code == 304, condition
        answer = write(alice, "DELETE", "a", If_None_Match=condition)
        refused(answer, 412, "precondition_failed")
        assert write(alice, "PUT", "a", If_Match=condition).status_code == 200, condition
        alice.delete(document_url("a"))
        write(alice, "PUT", "a")
    refused(write(alice, "PUT", "a", If_Match='"a,b"'), 412, "precondition_failed")
    for condition in ("", ",", " , ", '"r1" "r2"', '"r1""r2"', '"r1', '"a,b', '"r1", *'):
        refused(write(alice, "PUT", "a", If_Match=condition), 400, "invalid_parameter")
        refused(write(alice, "PATCH", "a", If_None_Match=condition), 400, "invalid_parameter")
