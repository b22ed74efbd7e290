"""The OpenAPI document's examples are true: each is sent, and answered as its answer's example."""

import pytest

from config.errors import catalogue
from tests.config.test_contract import flaws
from tests.http import send

DATA = ("/api/v1/collections",)
COLLECTION = "/api/v1/collections/main"
# What the examples are about is there before each of them is sent; what they make is not.
STAGE = [
    {"_id": "A-7", "status": "open", "total": 40, "tags": ["new"]},
    {"_id": 7, "status": "draft", "total": 1},
]
MAKING = ("/api/v1/collections/{collection}/documents", "/api/v1/collections/{collection}/import")


def operations(document):
    for path, item in document["paths"].items():
        if path.startswith(DATA):
            yield from ((path, method, operation) for method, operation in item.items())


def asked_of(operation):
    """Return the media type and the body of each example of a request."""
    for kind, said in operation.get("requestBody", {}).get("content", {}).items():
        yield from ((kind, each["value"]) for each in said.get("examples", {}).values())


def answered_of(operation, status):
    """Return the examples of an answer."""
    content = operation["responses"].get(status, {}).get("content", {})
    return [
        each["value"] for said in content.values() for each in said.get("examples", {}).values()
    ]


def set_stage(client, path):
    body = {"filter": {}, "max_affected": 100}
    assert send(client, "POST", f"{COLLECTION}/delete-many", body).status_code == 200
    off = {"json_schema": None, "mode": "off"}
    assert send(client, "PUT", f"{COLLECTION}/schema", off).status_code == 200
    if path not in MAKING:
        inserts = [{"op": "insert", "document": each} for each in STAGE]
        made = send(client, "POST", f"{COLLECTION}/bulk", {"operations": inserts})
        assert made.status_code == 200


def is_alike(example, real):
    """Return whether two bodies have the same fields all the way down; an empty list and null
    say nothing of what else could be there."""
    if isinstance(example, dict) and isinstance(real, dict):
        names = example.keys()
        return names == real.keys() and all(is_alike(example[name], real[name]) for name in names)
    if isinstance(example, list) and isinstance(real, list):
        pairs = ((one, other) for one in example for other in real)
        return not example or not real or any(is_alike(*pair) for pair in pairs)
    return example is None or real is None or isinstance(real, type(example))


def differences(document, path, method, operation, answer):
    """Return how an answer differs from what is said of it and from the example of it."""
    examples = answered_of(operation, str(answer.status_code))
    if answer["Content-Type"] != "application/json":
        return flaws(document, path, method, answer)
    alike = any(is_alike(example, answer.json()) for example in examples)
    return flaws(document, path, method, answer) + ([] if alike else [answer.json()])


def test_examples_of_requests_are_answered_as_those_of_answers(document, alice):
    found, sent = {}, 0
    for path, method, operation in operations(document):
        for kind, body in asked_of(operation):
            set_stage(alice, path)
            where = path.format(collection="main", document_id="A-7")
            raw = body.encode() if isinstance(body, str) else body
            answer = send(alice, method, where, raw, kind)
            sent += 1
            assert answer.status_code < 300, (path, answer.content)
            if wrong := differences(document, path, method, operation, answer):
                found[f"{method} {path} {kind}"] = wrong

    assert sent >= 17
    assert found == {}


def test_examples_of_what_is_read_have_the_fields_of_what_is_there(document, alice):
    set_stage(alice, "")
    send(alice, "POST", f"{COLLECTION}/indexes", {"keys": [["status", 1]]})
    found, read = {}, 0
    for path, method, operation in operations(document):
        if method == "get":
            answer = alice.get(path.format(collection="main", document_id="A-7"))
            assert answer.status_code == 200, (path, answer.content)
            read += 1
            if wrong := differences(document, path, method, operation, answer):
                found[path] = wrong

    assert read == 7
    assert found == {}


def test_each_has_examples_of_its_bodies_and_names_the_codes_of_its_refusals(document):
    known = {entry["code"]: str(entry["status"]) for entry in catalogue()}
    lacking = []
    for path, method, operation in operations(document):
        name = f"{method} {path}"
        if "requestBody" in operation and not list(asked_of(operation)):
            lacking.append(f"{name}: a request")
        for status, answer in operation["responses"].items():
            if "application/problem+json" in answer.get("content", {}):
                codes = answer["x-codes"]
                assert all(known[code] == status for code in codes), name
                assert all(f"`{code}`" in answer["description"] for code in codes), name
            elif "content" in answer and not answered_of(operation, status):
                lacking.append(f"{name}: {status}")

    assert lacking == []


SELECTING = {"query", "count", "distinct", "aggregate", "explain", "update-many", "delete-many"}


def test_codes_are_named_where_they_can_be_met(document):
    def of(method, path, status):
        return document["paths"][path][method]["responses"][status]["x-codes"]

    documents = "/api/v1/collections/{collection}/documents"
    assert "operator_not_allowed" in of("get", documents, "422")
    assert "operator_not_allowed" not in of("post", documents, "422")
    assert "schema_violation" in of("patch", f"{documents}/{{document_id}}", "422")
    for last in SELECTING:
        named = of("post", f"/api/v1/collections/{{collection}}/{last}", "422")
        assert "operator_not_allowed" in named, last
        assert ("stage_not_allowed" in named) == (last == "aggregate")
    assert "bulk_aborted" in of("post", "/api/v1/collections/{collection}/bulk", "409")
    assert "last_owner" not in of("post", "/api/v1/collections/{collection}/bulk", "409")
    assert "last_owner" in of("post", "/api/v1/organization/leave", "409")


@pytest.mark.parametrize(("method", "path"), [("post", "/org/create"), ("put", "/org/update")])
def test_what_is_taken_is_named_for_the_status_that_clients_of_old_get(document, method, path):
    taken = {"already_exists", "name_taken"}
    named = {
        status: taken & set(answer.get("x-codes", ()))
        for status, answer in document["paths"][path][method]["responses"].items()
    }

    assert {status: codes for status, codes in named.items() if codes} == {"400": taken}
