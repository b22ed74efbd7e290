"""What is taken for a JSON Schema: bounded, closed in itself, and no bomb."""

import socket
import time

import pytest

from tenancy.exceptions import ValidationFailed
from tenancy.schema_rules import DIALECT, MAX_PATTERNS, check_schema

DOUBLING = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}


def nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


def chain(length):
    links = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": {**links, f"a{length}": {}}}


REFUSED = [
    (5, "not_an_object", ""),
    (True, "not_an_object", ""),
    ([], "not_an_object", ""),
    ({"type": "text"}, "invalid_schema", "/type"),
    ({"properties": {"a/b~": {"minLength": -1}}}, "invalid_schema", "/properties/a~1b~0/minLength"),
    ({"properties": {"a": 5}}, "invalid_schema", "/properties/a"),
    ({"required": "a"}, "invalid_schema", "/required"),
    ({"$ref": 5}, "invalid_schema", "/$ref"),
    ({"pattern": "("}, "invalid_schema", "/pattern"),
    ({"items": {"pattern": "(?=x)y"}}, "invalid_schema", "/items/pattern"),
    ({"pattern": r"(a)\1"}, "invalid_schema", "/pattern"),
    ({"pattern": "((a{1000}){1000}){1000}"}, "pattern_too_large", "/pattern"),
    ({"items": {"pattern": "a[a-c]{12000}[d-e]a"}}, "pattern_too_large", "/items/pattern"),
    ({"pattern": "(?x)a [ab]{ 900 }"}, "pattern_too_large", "/pattern"),
    ({"pattern": "[[]a]{3000}"}, "pattern_too_large", "/pattern"),
    ({"pattern": "a{1000000000}"}, "pattern_too_large", "/pattern"),
    ({"pattern": "a" * 1_001}, "pattern_too_large", "/pattern"),
    ({"patternProperties": {"a{3000}b": {}}}, "pattern_too_large", "/patternProperties"),
    ({"propertyNames": {"pattern": "a.{2500}b"}}, "pattern_too_large", "/propertyNames/pattern"),
    ({"allOf": [{"pattern": "a.{900}b"} for _ in range(3)]}, "too_complex", ""),
    ({"patternProperties": {f"a.{{900}}{n}": {} for n in range(3)}}, "too_complex", ""),
    ({"propertyNames": {"allOf": [{"pattern": "a.{900}b"}] * 3}}, "too_complex", ""),
    ({"patternProperties": {"[": {}}}, "invalid_schema", "/patternProperties/["),
    ({"$schema": "http://json-schema.org/draft-07/schema#"}, "unknown_dialect", "/$schema"),
    ({"properties": {"a": {"$id": "b"}}}, "inner_id", "/properties/a/$id"),
    ({"$ref": "other.json"}, "remote_reference", "/$ref"),
    ({"items": {"$dynamicRef": "http://x#n"}}, "remote_reference", "/items/$dynamicRef"),
    ({"$ref": "#/nope"}, "dead_reference", "/$ref"),
    ({"properties": {"a": {"$ref": "#b"}}}, "dead_reference", "/properties/a/$ref"),
    ({"$ref": "#/enum/0", "enum": [{}]}, "dead_reference", "/$ref"),
    ({"$ref": "#"}, "endless", ""),
    ({"not": {"$ref": "#"}}, "endless", ""),
    (chain(900), "too_complex", ""),
    ({"properties": {"c": DOUBLING}}, "too_complex", ""),
    ({"patternProperties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}}, "too_complex", ""),
    ({"items": {"enum": [{"n": n} for n in range(100)]}}, "too_complex", ""),
    ({"patternProperties": {f"{n}": {} for n in range(MAX_PATTERNS + 1)}}, "too_many_patterns", ""),
    ({"properties": {f"{n}": {} for n in range(1_001)}}, "too_many_schemas", ""),
    (nested(70), "too_deep", ""),
    ({"enum": ["x" * 70_000]}, "too_large", ""),
    ({"enum": list(range(200_000))}, "too_large", ""),
]
TAKEN = [
    {},
    {"$schema": DIALECT, "$id": "https://example.com/order", "title": "An order"},
    {"x-unknown": {"$ref": "http://nowhere"}, "const": {"$ref": "http://nowhere", "$id": 5}},
    {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}},
    {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
    {"$dynamicAnchor": "node", "properties": {"inner": {"$dynamicRef": "#node"}}},
    {"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}},
    {"$ref": "#/%24defs/a", "$defs": {"a": {"type": "object"}}},
    {"pattern": "^(a+)+$"},
    {"pattern": "^.{1,1000}$"},
    {"pattern": r"^\p{L}{1,40}$"},
    {"enum": [f"country {n}" for n in range(3_000)]},
    {"oneOf": [{"properties": {"type": {"const": n}, "v": {"type": "string"}}} for n in range(60)]},
    nested(30),
    chain(100),
]


def test_what_is_no_schema_or_a_bomb_is_refused_with_its_place_and_soon():
    for schema, code, where in REFUSED:
        begun = time.process_time()
        with pytest.raises(ValidationFailed) as caught:
            check_schema(schema)
        first = caught.value.errors[0]
        assert (first.code, first.pointer) == (code, f"/json_schema{where}"), schema
        assert len(first.message) <= 201
        assert time.process_time() - begun < 2, schema


def test_what_is_bounded_is_taken():
    for schema in TAKEN:
        _, work = check_schema(schema)
        assert work <= 500


def test_nothing_is_fetched():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        for schema in ({"$ref": url}, {"$id": url, "$ref": "y"}, {"$schema": url}):
            with pytest.raises(ValidationFailed):
                check_schema(schema)

        with pytest.raises(BlockingIOError):
            server.accept()


def test_all_that_is_wrong_is_told_at_once_and_no_more_than_twenty():
    with pytest.raises(ValidationFailed) as caught:
        check_schema({"properties": {f"p{n}": {"type": "text"} for n in range(30)}})

    assert len(caught.value.errors) == 20


def test_a_schema_that_recurses_without_branching_judges_the_deepest_document_at_once():
    validator, _ = check_schema(
        {"required": ["n"], "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
    )
    document = {"n": 1}
    for _ in range(31):
        document = {"n": 1, "left": document, "right": {"n": 2}}

    assert validator.is_valid(document)
    assert not validator.is_valid({"n": 1, "left": {"left": {}}})


def test_a_pattern_that_backtracks_elsewhere_is_linear_here():
    validator, _ = check_schema({"pattern": "^(a+)+$"})
    begun = time.process_time()

    assert not validator.is_valid("a" * 500_000 + "b")
    assert time.process_time() - begun < 1
