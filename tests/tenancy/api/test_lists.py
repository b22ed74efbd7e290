"""Lists by filter, sort and fields: over parameters and in a body, page by page."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tenancy.api import lists
from tenancy.mongo import sorted_pages
from tests.http import DOCUMENTS, document_url, pointers, refused, send

QUERY = "/api/v1/collections/main/query"
INDEXES = "/api/v1/collections/main/indexes"
ROWS = [
    {"_id": "a", "status": "open", "n": 3},
    {"_id": "b", "status": "open", "n": None},
    {"_id": "c", "status": "shut", "n": "x"},
    {"_id": "d", "status": "open"},
    {"_id": "e", "status": "open", "n": 1.5},
]


@pytest.fixture
def rows(alice, stored):
    send(alice, "PUT", document_url("first"), {})
    alice.delete(document_url("first"))
    stored.insert_many(ROWS)
    return stored


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [row["_id"] for row in answer.json()["data"]]


def walked(client, **parameters):
    """Return the ids on each page that the `Link` headers lead to."""
    answer, pages = client.get(DOCUMENTS, parameters), []
    while True:
        pages.append(ids(answer))
        if "Link" not in answer:
            assert answer.json()["page"]["next"] is None
            return pages
        answer = client.get(answer["Link"].removeprefix("<").partition(">")[0])


@pytest.mark.everywhere
def test_a_list_is_filtered_and_sorted_and_its_links_lead_through_all_pages(alice, rows):
    assert walked(alice, status="open", sort="-n", limit=2) == [["a", "e"], ["d", "b"]]
    assert walked(alice, sort="n,_id", limit=3) == [["b", "d", "e"], ["a", "c"]]
    assert walked(alice, filter='{"n": {"$gte": 1}}', limit=1) == [["a"], ["e"]]
    assert walked(alice, sort="-_id", limit=2) == [["e", "d"], ["c", "b"], ["a"]]
    assert walked(alice, n__exists="true", status__ne="shut", limit=9) == [["a", "b", "e"]]


def test_a_body_asks_for_the_same_and_its_cursors_are_those_of_the_list(alice, rows):
    body = {"filter": {"status": "open"}, "sort": [["n", -1]], "limit": 3}
    first = send(alice, "POST", QUERY, body)

    second = alice.get(
        DOCUMENTS, {"status": "open", "sort": "-n", "cursor": first.json()["page"]["next"]}
    )

    assert (ids(first), ids(second)) == (["a", "e", "d"], ["b"])


def test_an_index_gives_the_same_pages_as_a_sort_in_memory(alice, rows):
    expected = [walked(alice, sort=sort, limit=1) for sort in ("n", "-n", "status,-n")]
    for keys in ([["n", 1], ["_id", 1]], [["status", 1], ["n", -1], ["_id", -1]]):
        assert send(alice, "POST", INDEXES, {"keys": keys}).status_code == 201

    assert [walked(alice, sort=sort, limit=1) for sort in ("n", "-n", "status,-n")] == expected


def test_fields_are_answered_or_left_out_and_the_revision_stays(alice, rows):
    listed = alice.get(DOCUMENTS, {"fields": "status", "limit": 1}).json()["data"]
    sorted_ = alice.get(DOCUMENTS, {"fields": "-status", "sort": "-n", "limit": 1}).json()["data"]
    one = alice.get(document_url("a"), {"fields": "n"})

    assert [set(row) for row in listed] == [{"_id", "status", "_meta"}]
    assert [set(row) for row in sorted_] == [{"_id", "n", "_meta"}]
    assert (one.json()["n"], set(one.json()), one["ETag"]) == (3, {"_id", "n", "_meta"}, '"r0"')
    again = alice.get(document_url("a"), {"fields": "n"}, headers={"If-None-Match": one["ETag"]})
    assert again.status_code == 304


@pytest.mark.everywhere
def test_counts_come_along_and_say_how_good_they_are(alice, rows, acme):
    def count(how, **parameters):
        return alice.get(DOCUMENTS, {"count": how, "limit": 1, **parameters}).json().get("count")

    kept = acme.organization.placement.kind != "shared"
    assert count("none") is None
    assert count("exact", status="open") == {"value": 4, "kind": "exact"}
    assert count("bounded:3", status="open") == {"value": 3, "kind": "at_least"}
    assert count("bounded:4", status="open") == {"value": 4, "kind": "exact"}
    assert count("estimated") == {"value": 5, "kind": "estimated" if kept else "exact"}
    assert count("estimated", status="open") == {"value": 4, "kind": "exact"}


def test_a_sort_of_too_many_documents_says_which_index_it_needs(alice, rows, monkeypatch):
    monkeypatch.setattr(sorted_pages, "SORT_MAX_DOCUMENTS", 3)
    problem = refused(
        alice.get(DOCUMENTS, {"status": "open", "sort": "-n"}), 422, "sort_needs_index"
    )

    created = send(alice, "POST", INDEXES, problem["index"])

    assert created.json()["keys"] == [["status", 1], ["n", -1], ["_id", -1]]
    assert walked(alice, status="open", sort="-n", limit=3) == [["a", "e", "d"], ["b"]]
    send(alice, "DELETE", f"{INDEXES}/{created.json()['name']}")
    refused(alice.get(DOCUMENTS, {"status": "open", "sort": "-n"}), 422, "sort_needs_index")


def test_a_cursor_is_of_one_filter_and_one_sort_and_of_any_limit_and_fields(alice, rows):
    link = alice.get(DOCUMENTS, {"status": "open", "sort": "n", "limit": 1})["Link"]
    asked = {
        key: value[0] for key, value in parse_qs(urlsplit(link[1:].split(">")[0]).query).items()
    }

    assert ids(alice.get(DOCUMENTS, {**asked, "limit": 5, "fields": "n"})) == ["d", "e", "a"]
    for other in ({"status": "shut"}, {"sort": "-n"}, {"n__gt": "1"}, {"cursor": "x"}):
        refused(alice.get(DOCUMENTS, {**asked, **other}), 400, "cursor_invalid")


def test_fields_that_read_like_another_sort_have_cursors_of_their_own(alice, rows):
    """The name of a field may hold what other names are joined by."""
    first = send(alice, "POST", QUERY, {"sort": [["n", 1], ["w", 1]], "limit": 2})

    cursor = first.json()["page"]["next"]
    other = send(alice, "POST", QUERY, {"sort": [["n 1,w", 1]], "limit": 2, "cursor": cursor})

    refused(other, 400, "cursor_invalid")


def test_values_too_long_for_a_cursor_are_refused_and_not_lost(alice, rows):
    rows.insert_many({"_id": f"z{n}", "text": f"{n}" * 5_000} for n in range(2))

    answer = alice.get(DOCUMENTS, {"sort": "-text", "limit": 1})

    problem = refused(answer, 422, "query_too_complex")
    assert "4,096 characters" in problem["detail"]
    assert ids(alice.get(DOCUMENTS, {"sort": "-text", "limit": 9}))[:2] == ["z1", "z0"]


def test_what_is_wrong_is_named(alice, rows):
    for parameters, status, code in (
        ({"limti": "3"}, 400, "unknown_parameter"),
        ({"limit": "0"}, 400, "invalid_parameter"),
        ({"count": "many"}, 400, "invalid_parameter"),
        ({"count": "bounded:0"}, 400, "invalid_parameter"),
        ({"count": "bounded:9999999"}, 400, "invalid_parameter"),
        ({"sort": "a,-a"}, 400, "invalid_parameter"),
        ({"fields": "a,-b"}, 400, "invalid_parameter"),
        ({"filter": "{"}, 400, "malformed_json"),
        ({"filter": '{"$where": "1"}'}, 422, "operator_not_allowed"),
        ({"types": "fancy"}, 400, "invalid_parameter"),
    ):
        refused(alice.get(DOCUMENTS, parameters), status, code)
    twice = alice.get(f"{DOCUMENTS}?sort=a&sort=b")
    refused(twice, 400, "invalid_parameter")
    assert "limit" in alice.get(DOCUMENTS, {"limti": "3"}).json()["detail"]


def test_what_is_wrong_with_the_json_of_a_filter_is_pointed_at(alice, rows):
    for text, code, pointer in (
        ("", "malformed_json", "/filter"),
        ("{", "malformed_json", "/filter"),
        ('{"n": 1, "n": 2}', "invalid_document", "/filter/n"),
        ('{"n": 1e999}', "invalid_document", "/filter/n"),
        ("[" * 5_000, "invalid_document", "/filter"),
    ):
        answer = alice.get(DOCUMENTS, {"filter": text})
        problem = refused(answer, 400 if code == "malformed_json" else 422, code)
        assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [(pointer, code)]
        said = problem["detail"] + problem["errors"][0]["message"]
        assert "body" not in said, text
    empty = alice.get(DOCUMENTS, {"filter": ""}).json()
    assert empty["errors"][0]["message"] == "“filter” is empty."


def test_what_is_wrong_in_a_body_is_pointed_at(alice, rows):
    for body, pointer in (
        ({"limt": 3}, "/limt"),
        ({"limit": True}, "/limit"),
        ({"limit": 1001}, "/limit"),
        ({"count": 3}, "/count"),
        ({"cursor": 3}, "/cursor"),
        ({"sort": [["a", 2]]}, "/sort/0"),
        ({"fields": [1]}, "/fields/0"),
        ({"filter": []}, "/filter"),
        ([], ""),
    ):
        problem = refused(send(alice, "POST", QUERY, body), 422, "validation_failed")
        assert pointers(problem) == [pointer]
    assert "limit" in send(alice, "POST", QUERY, {"limt": 3}).json()["errors"][0]["message"]


@pytest.mark.everywhere
def test_two_fields_with_arrays_in_one_document_are_no_order(alice, rows):
    rows.insert_one({"_id": "both", "l": [1, 2], "m": [3], "n": 1})
    body = {"sort": "m,-l"}

    for answer in (alice.get(DOCUMENTS, {"sort": "l,m"}), send(alice, "POST", QUERY, body)):
        problem = refused(answer, 422, "validation_failed")
        assert pointers(problem) == ["/sort"]
        assert "arrays in one document" in problem["detail"]
    assert alice.get(DOCUMENTS, {"sort": "l,n"}).status_code == 200
    assert alice.get(DOCUMENTS, {"sort": "l,m", "l__exists": "false"}).status_code == 200


def test_what_is_asked_again_is_answered_the_same_and_not_read_again(alice, rows, monkeypatch):
    asked = {"status": "open", "n__gte": "1", "sort": "-n", "fields": "n", "limit": "2"}
    pages = walked(alice, **asked)
    assert pages == [["a", "e"]]
    before = repr(lists._asks)

    monkeypatch.setattr(lists, "_read_ask", None)

    assert walked(alice, **asked) == pages
    assert repr(lists._asks) == before


def test_the_same_parameters_are_asked_of_each_tenant_alone(alice, charlie, rows):
    assert ids(alice.get(DOCUMENTS, {"status": "shut"})) == ["c"]

    assert ids(charlie.get(DOCUMENTS, {"status": "shut"})) == []


def test_what_is_asked_is_kept_within_bounds_and_mistakes_are_not(alice, rows):
    lists._asks.clear()
    for number in range(lists.ASKS_KEPT + 1):
        lists._asks[str(number)] = None

    alice.get(DOCUMENTS, {"status": "open"})
    alice.get(DOCUMENTS, {"status": "x" * lists.ASK_KEPT_MAX_CHARACTERS})
    assert alice.get(DOCUMENTS, {"status__near": "x"}).status_code == 400

    assert list(lists._asks) == ["status=open"]
