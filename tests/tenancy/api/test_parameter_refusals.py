"""A parameter or header that is refused is named, along with what it may have been meant to be."""

from itertools import product

import pytest

from tests.http import DOCUMENTS, document_url, refused, send

MAIN = "/api/v1/collections/main"
NDJSON = "application/x-ndjson"

pytestmark = pytest.mark.needs_mongod

# What is asked for, and words of the message.
REFUSED = (
    (f"{DOCUMENTS}?limit=0", ("limit",)),
    (f"{DOCUMENTS}?limit=1&limit=2", ("limit", "2 times")),
    (f"{DOCUMENTS}?count=exct", ("count", "Did you mean “exact”?")),
    (f"{DOCUMENTS}?types=plian", ("types", "Did you mean “plain”?")),
    (f"{DOCUMENTS}?sort=", ("“sort”",)),
    (f"{DOCUMENTS}?fields=", ("“fields”",)),
    (f"{DOCUMENTS}?fields=a,-b", ("“fields”",)),
    (f"{DOCUMENTS}?cursor=x", ("cursor",)),
    (f"{MAIN}/export?footer=maybe", ("footer",)),
    *(
        (f"{MAIN}/export?{name}=1", (f"“{name}”", f"“{name}__eq=”"))
        for name in ("limit", "cursor", "sort", "fields", "count")
    ),
)


def test_each_refusal_has_one_error_that_names_the_parameter(alice):
    for path, words in REFUSED:
        body = alice.get(path).json()

        assert (body["status"], len(body["errors"])) == (400, 1), (path, body)
        error = body["errors"][0]
        assert (error["pointer"], error["code"]) == ("", body["code"]), path
        assert [word for word in words if word not in error["message"]] == [], (path, error)


def test_a_query_that_is_not_utf_8_is_refused_and_not_guessed_at(alice):
    send(alice, "PUT", document_url("a"), {"g": "\ufffd"})

    paths = (DOCUMENTS, f"{MAIN}/export", document_url("a"), "/api/v1/collections")
    queries = ("g=%FF", "g=a%ffb", "%C3=1", "g=%ED%A0%80", "g=%C3&h=%A9")
    for path, query in product(paths, queries):
        problem = refused(alice.get(f"{path}?{query}"), 400, "invalid_parameter")
        assert "UTF-8" in problem["errors"][0]["message"], (path, query)
    refused(alice.generic("GET", DOCUMENTS, QUERY_STRING="g=\xff"), 400, "invalid_parameter")
    for query in ("g=%EF%BF%BD", "g=%ef%bf%bd", "g__ne=100%"):
        assert len(alice.get(f"{DOCUMENTS}?{query}").json()["data"]) == 1


def test_a_field_called_like_a_parameter_of_lists_is_found_by_an_export(alice):
    send(alice, "PUT", document_url("a"), {"limit": 1})
    send(alice, "PUT", document_url("b"), {"limit": 2})

    answer = alice.get(f"{MAIN}/export?limit__eq=2")

    assert b"".join(answer.streaming_content).count(b"\n") == 1


def test_choices_and_headers_are_named_too(alice):
    for query, near in (("mode=upsrt", "upsert"), ("on_error=skp", "skip")):
        body = refused(
            send(alice, "POST", f"{MAIN}/import?{query}", b"", NDJSON), 400, "invalid_parameter"
        )
        assert f"Did you mean “{near}”?" in body["errors"][0]["message"]
    for name, value in (("If_Match", "r1"), ("Idempotency_Key", "é")):
        answer = send(alice, "PUT", document_url("a"), {}, **{name: value})
        body = refused(answer, 400, "invalid_parameter")
        assert name.replace("_", "-") in body["errors"][0]["message"]


def test_a_415_names_what_its_route_takes(alice):
    def told(*sent, **headers):
        return refused(send(alice, *sent, **headers), 415, "unsupported_media_type")["detail"]

    assert "application/json" in told("POST", DOCUMENTS, b"{}", "text/plain")
    assert "application/merge-patch+json" in told("PATCH", document_url("a"), b"{}", "text/plain")
    assert NDJSON in told("POST", f"{MAIN}/import", b"{}")
    packed = told("POST", f"{MAIN}/import", b"{}", NDJSON, Content_Encoding="br")
    assert "Content-Encoding" in packed
    assert "gzip" in packed


def test_fields_are_left_out_over_a_parameter_and_in_a_body(alice):
    send(alice, "PUT", document_url("a"), {"x": 1, "y": {"z": 2, "w": 3}})

    one = alice.get(document_url("a"), {"fields": "-x,-y.z"})
    several = [alice.get(DOCUMENTS, {"fields": "-x,-y.z", **sort}) for sort in ({}, {"sort": "x"})]
    asked = [
        send(alice, "POST", f"{MAIN}/query", {"fields": fields})
        for fields in ("-x,-y.z", ["-x", "-y.z"])
    ]

    found = [one.json(), *(each.json()["data"][0] for each in (*several, *asked))]
    assert [(list(each), each["y"]) for each in found] == [(["_id", "y", "_meta"], {"w": 3})] * 5
