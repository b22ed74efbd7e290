"""Whatever a request is made of, the answer is a reason and never a crash: API.md, 1 and 5."""

import gzip
import json

import pytest

from tenancy.api.json import BODY_MAX_BYTES, QUERY_BODY_MAX_BYTES
from tests.http import DOCUMENTS, PROBLEM_MEMBERS, document_url, pointers, refused, send

WRITES = {"POST": DOCUMENTS, "PUT": document_url("x"), "PATCH": document_url("ada")}
MEBIBYTE = 1_048_576

# body: where it is wrong
NOT_JSON = [
    *[b"{", b"}", b'{"a":}', b"{'a':1}", b'{"a":1,}', b"a=1", b"[", b'{"a":01}', b'{"a":"\n"}'],
    *[b"\xff\xfe", b'{"a":"\xff"}', b"\xef\xbb\xbf{}", b" ", b"\n", b"nul", b"{}{}", b"{} x"],
]
NOT_A_DOCUMENT = {
    b"[]": "",
    b"5": "",
    b'"x"': "",
    b"null": "",
    b"true": "",
    b'[{"a":1}]': "",
    b'{"a":1,"a":2}': "/a",
    b'{"a":{"b":1,"b":1}}': "/a/b",
    b'{"a":[{"x":1},{"b":1,"\\u0062":1}]}': "/a/1/b",
    b'{"a":NaN}': "/a",
    b'{"a":[Infinity]}': "/a/0",
    b'{"a":-Infinity}': "/a",
    b'{"a":1e400}': "/a",
    b'{"a":9223372036854775808}': "/a",
    b'{"a":-9223372036854775809}': "/a",
    b'{"a":' + b"9" * 5_000 + b"}": "/a",
    b'{"a":"\\ud800"}': "/a",
    b'{"a":["\\udc00x"]}': "/a/0",
    b'{"\\ud800":1}': "/\\ud800",
    b'{"a\\u0000b":1}': "/a\\u0000b",
    b'{"a":{"\\u0000":1}}': "/a/\\u0000",
    b'{"":1}': "/",
    b'{"a":{"":1}}': "/a/",
    b'{"a.b":1}': "/a.b",
    b'{"a":{"b.c":1}}': "/a/b.c",
    b'{"a~/b":{"c.":1}}': "/a~0~1b/c.",
    b'{"_private":1}': "/_private",
    b'{"__proto__":1}': "/__proto__",
    b'{"$where":"sleep(1)"}': "/$where",
    b'{"$set":{"a":1}}': "/$set",
    b'{"$oid":"59a47286cfa9a3a73e51e72c"}': "/$oid",
    b'{"a":{"$where":"1"}}': "/a/$where",
    b'{"a":{"$gt":1}}': "/a/$gt",
    b'{"a":{"$literal":1}}': "/a/$literal",
    b'{"a":{"$oid":"x"}}': "/a",
    b'{"a":{"$oid":"59a47286cfa9a3a73e51e72c","b":1}}': "/a",
    b'{"a":{"$numberLong":1}}': "/a",
    b'{"a":{"$date":"yesterday"}}': "/a",
    b'{"_id":null}': "/_id",
    b'{"_id":[1]}': "/_id",
    b'{"_id":{"a":1}}': "/_id",
    b'{"_id":1.5}': "/_id",
    b'{"_id":true}': "/_id",
    b'{"_id":""}': "/_id",
    b'{"_id":"' + b"x" * 513 + b'"}': "/_id",
    b'{"_id":"a\\u0000"}': "/_id",
    b'{"a":' + b'{"a":' * 32 + b"1" + b"}" * 33: "/a" * 32,
    b'{"a":' + b"[" * 32 + b"]" * 32 + b"}": "/a" + "/0" * 31,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000: "",
    b"[" * 100_000 + b"]" * 100_000: "",
    b'{"a":' + b"[" * 1_500 + b"]" * 1_500 + b"}": None,
}  # fmt: skip
NOT_ALLOWED_TYPES = [
    *[b'{"$code":"x"}', b'{"$code":"x","$scope":{}}', b'{"$regex":"a","$options":""}'],
    *[b'{"$regularExpression":{"pattern":"a","options":""}}', b'{"$ref":"c","$id":1}'],
    *[b'{"$timestamp":{"t":1,"i":1}}', b'{"$minKey":1}', b'{"$maxKey":1}', b'{"$undefined":true}'],
    *[b'{"$symbol":"x"}', b'{"$dbPointer":{}}'],
]


@pytest.fixture
def unchanged(alice, stored):
    """Assert in the end that acme's one document was left alone, and nothing was added."""
    assert send(alice, "PUT", document_url("ada"), {"name": "Ada"}).status_code == 201
    before = stored.find()
    yield
    assert stored.find() == before


# --- bodies


@pytest.mark.parametrize(("method", "path"), WRITES.items(), ids=WRITES)
def test_what_is_not_json_is_malformed(alice, unchanged, method, path):
    for body in NOT_JSON:
        refused(send(alice, method, path, body), 400, "malformed_json")


@pytest.mark.parametrize(("method", "path"), WRITES.items(), ids=WRITES)
def test_what_is_not_a_document_is_refused_with_its_place(alice, unchanged, method, path):
    for body, place in NOT_A_DOCUMENT.items():
        problem = refused(send(alice, method, path, body), 422, "invalid_document")
        assert place is None or pointers(problem) == [place], body[:80]
        assert len(json.dumps(problem)) < 3_000


@pytest.mark.parametrize(("method", "path"), WRITES.items(), ids=WRITES)
def test_types_that_are_not_stored_are_refused_with_their_place(alice, unchanged, method, path):
    for wrapped in NOT_ALLOWED_TYPES:
        answer = send(alice, method, path, b'{"a":[' + wrapped + b"]}")
        assert pointers(refused(answer, 422, "type_not_allowed")) == ["/a/0"]


@pytest.mark.parametrize(("method", "path"), WRITES.items(), ids=WRITES)
def test_an_empty_body_is_malformed(alice, unchanged, method, path):
    for length in ("", "0", "00", " 0", "x", None):
        headers = {} if length is None else {"CONTENT_LENGTH": length}
        answer = alice.generic(method, path, b"", content_type="application/json", **headers)
        refused(answer, 400, "malformed_json")


@pytest.mark.parametrize(("method", "path"), WRITES.items(), ids=WRITES)
def test_other_content_types_are_refused(alice, unchanged, method, path):
    types = ["text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", ""]
    for content_type in [*types, "multipart/form-data; boundary=x", "json"]:
        answer = send(alice, method, path, {"a": 1}, content_type)
        refused(answer, 415, "unsupported_media_type")


def test_json_that_is_packed_or_not_in_utf_8_is_not_guessed_at(alice, unchanged):
    for path in (document_url("ada"), "/api/v1/collections/main/bulk"):
        method = "PUT" if path == document_url("ada") else "POST"
        packed = send(alice, method, path, gzip.compress(b"{}"), Content_Encoding="gzip")
        assert "Content-Encoding" in refused(packed, 415, "unsupported_media_type")["detail"]
        wide = send(alice, method, path, {}, "application/json; charset=UTF-16")
        assert "UTF-8" in refused(wide, 415, "unsupported_media_type")["detail"]


def test_only_bodies_of_documents_may_be_large(alice, nobody):
    """Whoever has no credential makes nobody read, and parse, megabytes."""
    for client, path, most in (
        (nobody, "/api/v1/auth/login", BODY_MAX_BYTES),
        (alice, "/api/v1/collections", BODY_MAX_BYTES),
        (alice, "/api/v1/collections/main/query", QUERY_BODY_MAX_BYTES),
        (alice, "/api/v1/collections/main/aggregate", QUERY_BODY_MAX_BYTES),
        (alice, "/api/v1/collections/main/schema/check", QUERY_BODY_MAX_BYTES),
    ):
        fits, larger = (b'{"x":1}'.ljust(most + more) for more in (0, 1))
        refused(send(client, "POST", path, larger), 413, "payload_too_large")
        assert send(client, "POST", path, fits).json()["code"] == "validation_failed", path


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/json;",
    ],
)
def test_json_is_json_however_it_is_announced(alice, content_type):
    assert send(alice, "PUT", document_url("x"), {"a": 1}, content_type).status_code == 201


def test_nine_megabytes_are_too_many(alice, unchanged):
    body = b'{"a":"' + b"x" * 9_000_000 + b'"}'

    for method, path in WRITES.items():
        refused(send(alice, method, path, body), 413, "payload_too_large")


@pytest.mark.everywhere
@pytest.mark.parametrize(("method", "path"), WRITES.items(), ids=WRITES)
def test_a_document_over_its_limit_is_too_large(alice, unchanged, method, path):
    refused(send(alice, method, path, {"a": "x" * MEBIBYTE}), 413, "payload_too_large")


@pytest.mark.everywhere
def test_a_large_body_of_a_small_document_is_taken(alice):
    body = b" " * 4_000_000 + b'{"a":"' + b"x" * 1_000_000 + b'"}'

    assert send(alice, "PUT", document_url("x"), body).status_code == 201


@pytest.mark.everywhere
def test_a_document_may_not_grow_over_its_limit_by_patches(alice, stored):
    send(alice, "PUT", document_url("x"), {"a": "x" * 600_000})

    answer = send(alice, "PATCH", document_url("x"), {"b": "x" * 600_000})

    refused(answer, 413, "payload_too_large")
    assert stored.find_one()["_meta"]["rev"] == 1


@pytest.mark.everywhere
def test_the_deepest_and_strangest_allowed_document_is_stored_as_it_is(alice):
    body = {
        "deep": json.loads("[" * 31 + "]" * 31),
        "keys with spaces, ünïcode \U0001f600 and ~/": {"_inner": 1, "a b": [None, True, -0.5]},
        "text": "\u0000 \u2028 \ufeff $where",
        "numbers": [9007199254740991, 1e308, 5e-324, {"$numberLong": "-9223372036854775808"}],
        "non-finite": [{"$numberDouble": "NaN"}, {"$numberDouble": "-Infinity"}],
    }

    send(alice, "PUT", document_url("x"), body)

    read = alice.get(document_url("x")).json()
    assert {key: read[key] for key in body} == body


# --- parameters

ROUTES = [
    *[("POST", DOCUMENTS), ("GET", document_url("ada"))],
    *[
        ("PUT", document_url("ada")),
        ("PATCH", document_url("ada")),
        ("DELETE", document_url("ada")),
    ],
    *[("GET", "/api/v1/collections"), ("POST", "/api/v1/collections")],
]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: value.rpartition("/")[2])
def test_an_unknown_parameter_is_refused(alice, unchanged, method, path):
    for query in ("x=1", "$where=1", "%00=1", "x", "=1", "%ED%9F%BF=1", "y" * 200 + "=1"):
        answer = send(alice, method, f"{path}?{query}", {"name": "orders"})
        refused(answer, 400, "unknown_parameter")
    no_text = send(alice, method, f"{path}?%ED%A0%80=1", {"name": "orders"})
    refused(no_text, 400, "invalid_parameter")


def test_a_parameter_of_a_list_that_can_name_no_field_is_refused(alice):
    for query in ("$where=1", "%00=1", "=1", "a..b=1", "_meta.by=x"):
        answer = alice.get(f"{DOCUMENTS}?{query}")
        assert answer.status_code in {400, 422}, query
        refused(answer, answer.status_code, answer.json()["code"])


def test_an_unknown_parameter_comes_with_the_nearest_known(alice):
    problem = refused(alice.get(f"{DOCUMENTS}?limt=5"), 400, "unknown_parameter")

    assert "“limt”" in problem["detail"]
    assert "Did you mean “limit”?" in problem["detail"]


def test_a_repeated_parameter_is_refused(alice):
    refused(alice.get(f"{DOCUMENTS}?limit=5&limit=6"), 400, "invalid_parameter")


# --- methods, paths, representations


def test_a_method_that_a_route_does_not_have_is_named(alice):
    for method, path, allowed in (
        ("DELETE", DOCUMENTS, "GET, POST"),
        ("POST", document_url("x"), "GET, PUT, PATCH, DELETE"),
        ("PUT", "/api/v1/collections", "GET, POST"),
    ):
        answer = send(alice, method, path, {})
        refused(answer, 405, "method_not_allowed")
        assert answer["Allow"].startswith(allowed)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing",
        "/api/v1/collections/",
        DOCUMENTS + "/",
        "/api/v1/collections/main/x",
        "/x\n",
    ],
)
def test_a_path_that_is_no_route_is_not_found(alice, path):
    refused(alice.get(path), 404, "not_found")


def test_another_representation_is_not_acceptable(alice, acme):
    for accept in ("text/html", "application/xml"):
        refused(alice.get(DOCUMENTS, headers={"Accept": accept}), 406, "not_acceptable")
    assert alice.get(DOCUMENTS, headers={"Accept": "text/html, */*;q=0.1"}).status_code == 200


def test_who_names_no_representation_takes_any(alice, nobody, acme):
    for accept in ("", " ", ", ,"):
        assert alice.get(DOCUMENTS, headers={"Accept": accept}).status_code == 200
        refused(nobody.get(DOCUMENTS, headers={"Accept": accept}), 401, "not_authenticated")


@pytest.mark.parametrize("accept", ["application/problem+json", "text/html"])
def test_a_problem_is_a_problem_whatever_was_asked_for(nobody, acme, accept):
    answer = nobody.get(DOCUMENTS, headers={"Accept": accept})

    assert answer["Content-Type"] == "application/problem+json"
    assert answer.status_code in (401, 406)


# --- request ids and members


@pytest.mark.parametrize("given", ["abc", "A-1.b_2", "x" * 64])
def test_a_well_formed_request_id_is_kept(alice, given):
    answer = alice.get(document_url("nothing"), headers={"X-Request-Id": given})

    assert refused(answer, 404, "not_found")["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", "a\tb", "ä"])
def test_any_other_request_id_is_replaced(alice, given):
    answer = alice.get(DOCUMENTS, headers={"X-Request-Id": given})

    assert answer["X-Request-Id"] not in ("", given)
    assert len(answer["X-Request-Id"]) == 32


def test_an_unforeseen_error_is_internal_and_says_nothing(alice, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("pymongo mongodb://secret:password@10.0.0.7")

    monkeypatch.setattr("tenancy.api.views.with_collection", fail)

    problem = refused(alice.get(DOCUMENTS), 500, "internal")

    assert set(problem) == PROBLEM_MEMBERS
    assert "secret" not in json.dumps(problem)
    assert problem["request_id"] in caplog.text


def test_problems_that_pass_are_marked_as_worth_a_repeat(alice, monkeypatch):
    from tenancy import exceptions

    for error, status, code in (
        (exceptions.TenantBusy, 503, "tenant_busy"),
        (exceptions.StalePlacement, 503, "tenant_busy"),
        (exceptions.ClusterUnavailable, 503, "cluster_unavailable"),
        (exceptions.OutcomeUnknown, 503, "outcome_unknown"),
        (exceptions.QueryTimeout, 504, "query_timeout"),
    ):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr("tenancy.api.views.with_collection", fail)
        answer = alice.get(DOCUMENTS)

        assert refused(answer, status, code)["retryable"] is True
        assert ("Retry-After" in answer) == (status == 503)


# --- options, digits, unknown fields


@pytest.mark.parametrize(
    "path", [*WRITES.values(), "/api/v1/organization", "/org/update", "/livez"]
)
@pytest.mark.parametrize("token", [None, "Bearer a.b.c", "Basic YTpi"])
def test_options_tell_everybody_the_same_of_a_route(nobody, alice, path, token):
    own = alice.options(path)
    if token is not None:
        nobody.credentials(HTTP_AUTHORIZATION=token)

    answer = nobody.options(path)

    assert (answer.status_code, answer.json()) == (200, own.json())
    assert set(answer.json()) == {"name", "description", "renders", "parses"}
    assert "OPTIONS" in answer["Allow"]


def test_options_say_nothing_of_a_suspended_organization(acme, alice):
    from tenancy import lifecycle

    lifecycle.suspend_organization(acme.id, by="command:test")

    assert alice.options("/api/v1/organization").status_code == 200


@pytest.mark.parametrize("limit", ["%D9%A1", "%EF%BC%91", "1%D9%A1", "+1", "1_0", " 1"])
def test_a_limit_is_written_in_plain_digits(alice, limit):
    refused(alice.get(f"{DOCUMENTS}?limit={limit}"), 400, "invalid_parameter")


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [("PATCH", "/api/v1/organization", "name"), ("DELETE", "/api/v1/organization", "confirm"),
     ("POST", "/api/v1/collections", "name"), ("POST", "/api/v1/auth/login", "email")],
)  # fmt: skip
def test_an_unknown_field_has_a_code_of_its_own(alice, method, path, known):
    problem = refused(send(alice, method, path, {known + "s": 1}), 422, "validation_failed")

    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == (f"/{known}s", "unknown_field")
    assert f"Did you mean “{known}”?" in error["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_path_that_is_not_utf_8_names_no_id(alice, method):
    """As config/wsgi.py passes it on; over a real connection in tests/config/test_wsgi.py."""
    came = {"tenantry.path": DOCUMENTS + "/\xff\xfe"}

    answer = alice.generic(method, f"{DOCUMENTS}/%ff%fe", b"{}", "application/json", **came)

    refused(answer, 400, "invalid_id")
