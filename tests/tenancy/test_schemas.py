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
