"""Documents before their schema: what it sees, what it says, and what that costs."""

import time

import orjson

from tenancy.mongo.extended_json import decode_document, loads
from tenancy.schemas import CompiledSchema, Violations

TYPES = orjson.dumps(
    {
        "_id": {"$oid": "65b9c1f0a1b2c3d4e5f60718"},
        "at": {"$date": "2026-01-31T09:30:00Z"},
        "huge": {"$numberLong": "9007199254740993"},
        "long": 5_000_000_000,
        "price": {"$numberDecimal": "1.10"},
        "nan": {"$numberDouble": "NaN"},
        "id": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"},
        "nothing": None,
    }
)
SEEN = {
    "required": ["at", "huge", "long", "price", "nan", "id", "nothing"],
    "properties": {
        "at": {"const": {"$date": "2026-01-31T09:30:00Z"}},
        "huge": {"const": {"$numberLong": "9007199254740993"}},
        "long": {"type": "integer"},
        "price": {"type": "object", "properties": {"$numberDecimal": {"pattern": r"^\d+\.\d\d$"}}},
        "nan": {"const": {"$numberDouble": "NaN"}},
        "id": {"type": "object", "properties": {"$uuid": {"format": "uuid"}}},
        "nothing": {"type": "null"},
    },
    "additionalProperties": False,
}


def errors_of(schema, document):
    return [
        (error.pointer, error.code) for error in CompiledSchema.of(schema).find_errors(document)
    ]


def test_a_schema_sees_a_document_as_it_is_read_without_what_is_ours():
    document = {**decode_document(loads(TYPES)), "_meta": {"rev": 1}}

    assert errors_of(SEEN, document) == []
    for name in SEEN["properties"]:
        assert errors_of(SEEN, {**document, name: "other"})


def test_the_id_is_seen_by_a_schema_that_names_it():
    closed = {"additionalProperties": False}
    text_id = {**closed, "properties": {"_id": {"type": "string"}}}

    assert errors_of(closed, {"_id": 5}) == []
    assert errors_of(text_id, {"_id": "a"}) == []
    assert errors_of(text_id, {"_id": 5}) == [("/_id", "type")]
    assert errors_of({"required": ["_id"]}, {"_id": 5}) == []


def test_errors_point_into_the_document_and_repeat_nothing_of_it():
    schema = {
        "required": ["name"],
        "properties": {"a/b": {"items": {"maxLength": 3}}, "n": {"enum": list(range(2_000))}},
    }
    secret = "secret " * 1_000

    errors = CompiledSchema.of(schema).find_errors({"a/b": ["x", secret], "n": secret})

    found = {(error.pointer, error.code) for error in errors}
    assert found == {("", "required"), ("/a~1b/1", "maxLength"), ("/n", "enum")}
    assert all("secret" not in error.message and len(error.message) <= 201 for error in errors)


def test_errors_are_twenty_at_most_and_found_in_time():
    many = CompiledSchema.of({"items": {}, "properties": {"a": {"items": {"type": "string"}}}})
    heavy = CompiledSchema.of({"properties": {"a": {"items": {"enum": ["y" * 60_000]}}}})

    assert len(many.find_errors({"a": list(range(300))})) == 20
    for schema in (many, heavy):
        begun = time.process_time()
        assert schema.find_errors({"a": list(range(100_000))})
        assert time.process_time() - begun < 2


def test_a_place_too_long_to_be_told_is_told_by_what_it_is_in():
    name = "x" * 5_000
    schema = {"properties": {"a": {"additionalProperties": {"type": "string"}}}}

    assert errors_of(schema, {"a": {name: 5}}) == [("/a", "type")]


def test_formats_are_asserted_and_unknown_ones_are_not():
    schema = {"properties": {"mail": {"format": "email"}, "x": {"format": "of-mine"}}}

    assert errors_of(schema, {"mail": "nobody", "x": "y"}) == [("/mail", "format")]


def test_violations_are_those_of_the_newest_version_of_each_document():
    noted = Violations()
    schema = CompiledSchema.of({"required": ["a"]})

    for document_id in ("x", "x", 1, "1"):
        noted.note(document_id, schema.find_errors({}))
    noted.note(1, schema.find_errors({"a": 1}))

    assert len(noted) == 2
    assert [bool(noted.of(each)) for each in ("x", 1, "1", "y")] == [True, False, True, False]


def test_judging_a_thousand_plain_documents_costs_less_than_reading_their_json():
    text = orjson.dumps({
        "name": "x" * 30, "price": 12.5, "tags": ["a", "b", "c"], "n": 5,
        "address": {"city": "Bern", "zip": "30110", "street": "Main street 5"}, "text": "y" * 200,
    })  # fmt: skip
    schema = CompiledSchema.of({
        "required": ["name", "price"],
        "properties": {
            "name": {"type": "string", "maxLength": 100}, "price": {"type": "number"},
            "tags": {"items": {"type": "string"}},
            "address": {"properties": {"zip": {"pattern": "^[0-9]{5}$"}}},
        },
    })  # fmt: skip

    def cpu(act):
        begun = time.process_time()
        for _ in range(1_000):
            act()
        return time.process_time() - begun

    document = decode_document(loads(text))
    reading = min(cpu(lambda: decode_document(loads(text))) for _ in range(3))
    judging = min(cpu(lambda: schema.find_errors(document)) for _ in range(3))

    assert judging < reading


EMAIL = (
    r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$"
)
USUAL = {
    r"^\d{4}-\d{2}-\d{2}$": "2026-01-31",
    r"^\+[1-9]\d{1,14}$": "+4930123456",
    r"^[a-z0-9]+(?:-[a-z0-9]+)*$": "a-slug-of-7",
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$":
        "00112233-4455-6677-8899-aabbccddeeff",
    r"^\p{L}{1,40}$": "Grüße",
}  # fmt: skip


def test_usual_patterns_judge_a_document_however_large_it_is():
    schema = {"properties": {f"p{n}": {"pattern": each} for n, each in enumerate(USUAL)}}
    schema["properties"]["email"] = {"pattern": EMAIL, "maxLength": 254}
    schema["properties"]["price"] = {"multipleOf": 0.01}
    fields = {f"p{n}": each for n, each in enumerate(USUAL.values())}
    large = {**fields, "email": "a@example.com", "price": 1.25, "text": "x" * 1_000_000}

    assert errors_of(schema, large) == []
    assert errors_of(schema, {**large, "p0": "31.1."}) == [("/p0", "pattern")]
    assert errors_of(schema, {**large, "email": "a"}) == [("/email", "pattern")]


SLOW = "a[a-c]{900}[d-e]a"
DEPENDENT = {f"{n}": ["a"] for n in range(400)}


def test_what_a_pattern_would_take_long_for_is_refused_unread():
    text = "abc" * 330_000
    at_once = {"properties": {"a": {"pattern": SLOW}}}
    corpus = [
        (at_once, {"a": text}),
        ({"properties": {"a": {"items": {"$ref": "#/$defs/s"}}}, "$defs": {"s": {"pattern": SLOW}}},
         {"a": [text]}),
        ({"properties": {"a": {"items": {"allOf": [{"format": "idn-hostname"}] * 50}}}},
         {"a": ["é" * 9] * 30_000}),
        ({"properties": {"a": {"items": {"allOf": [{"$ref": "#/$defs/c"}] * 40}}},
          "$defs": {"c": {"const": [0] * 9_000}}},
         {"a": [[0] * 9_000] * 50}),
        ({"properties": {"a": {"items": {"dependentRequired": DEPENDENT}}}},
         {"a": [{}] * 300_000}),
        ({"propertyNames": {"pattern": SLOW}}, {text: 1}),
        ({"patternProperties": {SLOW: {}}}, {text: 1}),
        ({"properties": {"a": {"items": {"multipleOf": 0.01}}}}, {"a": [1e308] * 100_000}),
        ({"properties": {"a": {"items": {"allOf": [{"type": "integer"}] * 490}}}},
         {"a": [0] * 400_000}),
    ]  # fmt: skip
    for schema, document in corpus:
        compiled, begun = CompiledSchema.of(schema), time.process_time()

        assert compiled.find_valid([document]) == [False]
        assert [each.code for each in compiled.find_errors(document)] == ["too_large_for_schema"]
        assert time.process_time() - begun < 1, schema
    assert errors_of(at_once, {"a": "a" + "b" * 900 + "da"}) == []


def test_a_text_longer_than_it_may_be_is_not_matched_even_to_explain():
    compiled = CompiledSchema.of({"properties": {"a": {"pattern": EMAIL[1:], "maxLength": 254}}})
    begun = time.process_time()

    errors = compiled.find_errors({"a": "a@" + "ab-" * 330_000})

    assert [(each.pointer, each.code) for each in errors] == [("/a", "maxLength")]
    assert time.process_time() - begun < 0.5
