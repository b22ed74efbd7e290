"""The API as a Postman collection: complete, and its requests can be sent as they are."""

import json
import re

import pytest
from django.core.management import call_command

from tenancy.management.postman import make_collection
from tenancy.management.reporting import Failed
from tests.http import send

# What would end the session with which the others are sent.
LAST = re.compile(r"logout|/me$|/org/delete|/organization$|password/change|/leave$")


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """What the command writes; made once, for that takes a second, and nobody changes it."""
    file = tmp_path_factory.mktemp("exported") / "tenantry.json"
    call_command("export_api_collection", str(file), "--base-url", "https://api.example.org/")
    return json.loads(file.read_text())


def requests(collection):
    return [(folder["name"], item) for folder in collection["item"] for item in folder["item"]]


def test_every_operation_is_in_it_once(collection, document):
    known = {
        (method.upper(), re.sub(r"{(\w+)}", r":\1", path).strip("/"))
        for path, item in document["paths"].items()
        for method in item
    }

    found = [
        (item["request"]["method"], "/".join(item["request"]["url"]["path"]).strip("/"))
        for _, item in requests(collection)
    ]

    assert set(found) == known
    assert len(found) == len(known)


def test_it_is_of_the_format_that_is_imported(collection):
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    assert collection["variable"][0] == {"key": "base_url", "value": "https://api.example.org"}
    assert collection["auth"]["bearer"][0]["value"] == "{{access_token}}"
    names = {folder["name"] for folder in collection["item"]}
    assert {"identity", "documents", "collections", "organization"} <= names


def test_signing_in_keeps_the_tokens(collection):
    keeping = {item["request"]["url"]["raw"] for _, item in requests(collection) if "event" in item}

    assert "{{base_url}}/api/v1/auth/login" in keeping
    assert "{{base_url}}/api/v1/collections" not in keeping


def test_requests_can_be_sent_as_they_are(collection, alice):
    for _, item in requests(collection):
        request = item["request"]
        path = request["url"]["raw"].removeprefix("{{base_url}}")
        for variable in request["url"]["variable"]:
            path = path.replace(f":{variable['key']}", variable["value"] or "none")
        if LAST.search(path) and request["method"] != "GET":
            continue
        body = request.get("body", {}).get("raw", "").encode()
        kind = next(
            (each["value"] for each in request["header"] if each["key"] == "Content-Type"), ""
        )

        answer = send(alice, request["method"], path, body, kind or "application/json")

        assert answer.status_code < 500, (item["name"], answer.content)
        assert answer.status_code not in {400, 405, 415}, (item["name"], answer.content)


def test_a_file_that_is_there_is_kept(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text("mine")

    with pytest.raises(Failed, match="--force"):
        call_command("export_api_collection", str(file))

    assert file.read_text() == "mine"
    with pytest.raises(Failed, match="cannot be written"):
        call_command("export_api_collection", str(tmp_path / "no" / "where.json"))


def test_bodies_are_examples_or_made_of_what_is_required():
    def body(described):
        operation = {"summary": "x", "requestBody": {"content": {"application/json": described}}}
        document = {"info": {"title": "T"}, "paths": {"/x": {"post": operation}}}
        made = make_collection(document, "http://x")["item"][0]["item"][0]
        return json.loads(made["request"]["body"]["raw"])

    assert body({"examples": {"one": {"value": {"a": 1}}, "two": {"value": 2}}}) == {"a": 1}
    properties = {
        "n": {"type": ["integer", "null"], "minimum": 3}, "s": {"enum": ["x", "y"]},
        "l": {"type": "array", "items": {"type": "boolean"}, "minItems": 1}, "optional": {},
    }  # fmt: skip
    schema = {"type": "object", "required": ["n", "s", "l"], "properties": properties}
    assert body({"schema": schema}) == {"n": 3, "s": "x", "l": [False]}
