"""Which fields a schema lets documents have: said to be impossible only where it is certain."""

import inspect
import itertools
import sys

import jsonschema_rs
import pytest

from tenancy import schema_fields
from tenancy.schema_fields import SchemaFields

CLOSED = {"additionalProperties": False}
OBJECT = {"type": "object", **CLOSED}
TEXT = {"type": "string"}
ORDER = {
    **OBJECT,
    "properties": {
        "status": TEXT,
        "kind": {"enum": ["a", 1, None]},
        "tags": {"type": "array", "items": TEXT},
        "items": {"type": "array", "items": {**OBJECT, "properties": {"price": {}}}},
        "pair": {"type": "array", "prefixItems": [{**OBJECT}, TEXT], "items": False},
        "address": {"$ref": "#/$defs/address"},
        "node": {"$ref": "#/$defs/node"},
        "either": {"anyOf": [TEXT, {**OBJECT, "properties": {"a": {}}}]},
        "both": {"allOf": [{"type": "object"}, {"properties": {"a": {}}, **CLOSED}]},
        "loose": {"properties": {"a": {}}, **CLOSED},
        "any": {},
        "never": False,
        "coded": {"type": "object", "patternProperties": {"^x": {}}, **CLOSED},
        "rest": {
            "type": "object",
            "allOf": [{"properties": {"a": {}}}],
            "unevaluatedProperties": False,
        },
        "if": {
            "type": "object",
            "if": {"properties": {"a": {"const": 1}}},
            "then": {"properties": {"b": {}}},
            "unevaluatedProperties": False,
        },
    },
    "$defs": {
        "address": {"$anchor": "home", **OBJECT, "properties": {"city": TEXT}},
        "node": {
            **OBJECT,
            "properties": {
                "name": TEXT,
                "home": {"$ref": "#home"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
        },
    },
}
POSSIBLE = [
    *("status", "tags", "tags.0", "items.price", "items.0.price", "items.price.x.0", "pair.1"),
    *("address.city", "node.children.children.0.name", "node.children.home.city", "either.a"),
    *("both.a", "loose.a", "loose.b", "any", "any.x.y", "coded.anything", "rest.a", "if.b"),
    *("_id", "_id.x", "_meta.rev"),
]
IMPOSSIBLE = {
    "statuz": "status",
    "status.x": "",
    "kind.x": "",
    "tags.x": "",
    "items.prise": "items.price",
    "items.0.prise": "items.0.price",
    "pair.0.x": "",
    "adress.city": "address.city",
    "address.ctiy": "address.city",
    "node.children.nam": "node.children.name",
    "node.children.0.home.street": "",
    "either.b": "",
    "both.b": "",
    "never": "",
    "rest.b": "",
    "if.c": "",
    "zzz": "",
}


def doubts(schema, *paths):
    return {
        each.path: (each.is_impossible, each.near)
        for each in SchemaFields(schema).find_doubts(paths)
    }


def test_what_a_document_can_have_is_not_doubted():
    assert doubts(ORDER, *POSSIBLE) == {}


@pytest.mark.parametrize(("path", "near"), IMPOSSIBLE.items())
def test_what_no_document_can_have_is_impossible(path, near):
    assert doubts(ORDER, path) == {path: (True, near)}


def test_an_open_schema_only_has_slips():
    schema = {"properties": {"status": {}, "address": {"properties": {"city": {}}}}}

    assert doubts(schema, "statuz", "address.ctiy", "other", "address.other") == {
        "statuz": (False, "status"),
        "address.ctiy": (False, "address.city"),
    }
    assert doubts({}, "anything") == {}
    assert doubts({"$dynamicRef": "#x", "unevaluatedProperties": False}, "a") == {}


VALUES = ["t", {}, {"a": "t"}, {"b": {"a": 1}}, [], [{"a": 1}], [[{"b": 1}]], ["t", {"b": ["t"]}]]
NAMES = ["a", "b", "0"]
PATHS = [".".join(each) for n in (1, 2, 3) for each in itertools.product(NAMES, repeat=n)]
LEAVES = [{}, False, TEXT, {"type": "array"}, {"items": {"type": "object"}}, {"enum": ["t", {}]}]
SCHEMAS = [
    {"properties": {"a": one, "b": two}, **rest}
    for one, two in itertools.product(LEAVES, repeat=2)
    for rest in (CLOSED, {"additionalProperties": TEXT}, {"unevaluatedProperties": False})
] + [
    {"properties": {"a": {"properties": {"a": one, "b": True}, **CLOSED, **kind}}, **more}
    for one in LEAVES
    for kind in ({}, {"type": "object"}, {"type": ["array", "string"], "items": one})
    for more in (CLOSED, {"oneOf": [{"required": ["a"]}, {"properties": {"b": False}}]})
]


def has(value, segments):
    """Return whether MongoDB finds something at a path."""
    if not segments:
        return True
    first, *rest = segments
    if isinstance(value, dict):
        return first in value and has(value[first], rest)
    if not isinstance(value, list):
        return False
    by_number = first == "0" and bool(value) and has(value[0], rest)
    return by_number or any(has(each, segments) for each in value if isinstance(each, dict))


def test_no_valid_document_has_a_field_that_is_said_to_be_impossible():
    documents = [{"a": one, "b": two} for one, two in itertools.product(VALUES, repeat=2)]
    documents += [{name: each} for name in NAMES for each in VALUES]
    held = 0

    for schema in SCHEMAS:
        impossible = [
            each.path for each in SchemaFields(schema).find_doubts(PATHS) if each.is_impossible
        ]
        validator = jsonschema_rs.Draft202012Validator(schema)
        for document in filter(validator.is_valid, documents):
            held += len(impossible)
            found = [path for path in impossible if has(document, path.split("."))]
            assert found == [], (schema, document)

    assert held > 10_000  # the question was put


def test_a_schema_that_branches_at_every_level_is_given_up_in_time(monkeypatch):
    tree = {"$defs": {"t": {"type": "object", **CLOSED, "properties": {}}}, **OBJECT}
    again = {"anyOf": [{"$ref": "#/$defs/t"}, {"type": "array", "items": {"$ref": "#/$defs/t"}}]}
    tree["$defs"]["t"]["properties"] = {"a": again}
    tree["properties"] = {"a": again}
    deep = ".".join(["a"] * 12)

    assert doubts(tree, f"{deep}.b") == {f"{deep}.b": (True, "")}

    monkeypatch.setattr(schema_fields._Budget, "steps", 20)
    assert doubts(tree, f"{deep}.b") == {}


def within(schema, *inner):
    """Return a schema in which another is applied by some keywords, the last one innermost."""
    for keyword in reversed(inner):
        schema = {keyword: [schema]}
    return schema


ITSELF = {"properties": {"a": {"$ref": "#"}}}
CHAIN = {str(number): {"$ref": f"#/$defs/{number + 1}"} for number in range(310)}
DEEP = {
    "itself": ({"type": "object", **ITSELF, **CLOSED}, ".".join(["a"] * 128)),
    "applied with others": (within(ITSELF, *["allOf"] * 6), ".".join(["a"] * 32)),
    "one of some": (within(ITSELF, *["anyOf", "oneOf"] * 3), ".".join(["a"] * 32)),
    "references": ({"$ref": "#/$defs/0", "$defs": {**CHAIN, "310": OBJECT}}, "unknown"),
}
FRAMES_BELOW, FRAMES_AT_MOST = 150, 1_000


def call_deep(frames, question):
    return question() if frames == 0 else call_deep(frames - 1, question)


@pytest.mark.parametrize("case", DEEP)
def test_what_is_too_deep_to_be_followed_may_be(case):
    schema, path = DEEP[case]
    frames, limit = len(inspect.stack(0)), sys.getrecursionlimit()

    sys.setrecursionlimit(frames + FRAMES_AT_MOST)
    try:
        found = call_deep(FRAMES_BELOW, lambda: doubts(schema, path))
    finally:
        sys.setrecursionlimit(limit)

    assert found == {}


def test_a_field_is_impossible_though_others_are_too_deep_to_be_followed():
    schema, path = DEEP["itself"]

    assert doubts(schema, path, "a.b", "a.a.a.b") == {"a.b": (True, ""), "a.a.a.b": (True, "")}
