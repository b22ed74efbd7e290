"""The quick way from raw JSON to BSON values, beside the careful one."""

import copy
from datetime import UTC, datetime

import bson
import orjson
import pytest
from bson import Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from tenancy.exceptions import TenancyError
from tenancy.mongo import document_rules
from tenancy.mongo.document_rules import MAX_DEPTH, decode_document
from tenancy.mongo.extended_json import dumps
from tenancy.mongo.quick_documents import (
    Doubtful,
    are_plain,
    encode_together,
    quick_document,
)

OID = "59a47286cfa9a3a73e51e72c"


def outcome(read, value):
    try:
        return bson.encode(read(value))
    except TenancyError as error:
        return type(error), error.detail, error.errors


def carefully(value):
    return document_rules._decode_fields(value, None, 1)


def by_default(value):
    try:
        return quick_document(value, MAX_DEPTH)
    except Doubtful:
        return carefully(value)


def nested(depth, leaf):
    for level in range(depth):
        leaf = [leaf] if level % 2 else {"k": leaf}
    return leaf


KEYS = st.sampled_from(
    [
        "a",
        "b",
        "é",
        "a b",
        "a$",
        "",
        ".",
        "a.b",
        "\0",
        "$a",
        "$oid",
        "$date",
        "$numberLong",
        "$code",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**31 - 1, 2**31, -(2**31), -(2**31) - 1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    st.sampled_from([{"$oid": OID}, {"$oid": "x"}, {"$numberLong": "5"}, {"$regex": "a"}]),
    st.sampled_from([{"$date": f"2024-05-01T12:00:00{rest}"} for rest in ("Z", ".5+02:00", "")]),
    st.sampled_from([{"$uuid": "x"}, {"$oid": OID, "a": 1}, {"a": 1, "$oid": OID}]),
    st.sampled_from([nested(MAX_DEPTH - 2, 1), nested(MAX_DEPTH - 1, 1), nested(MAX_DEPTH, {})]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_both_ways_agree_and_leave_what_they_read_as_it_is(value):
    before = copy.deepcopy(value)

    assert outcome(by_default, value) == outcome(carefully, value)
    assert value == before


def test_the_deepest_document_is_quick_and_one_level_more_is_refused():
    deepest = {"a": nested(MAX_DEPTH - 1, 1)}

    assert quick_document(deepest, MAX_DEPTH) == deepest
    assert isinstance(outcome(decode_document, {"a": nested(MAX_DEPTH, 1)}), tuple)


def test_what_is_read_again_is_not_what_was_stored():
    raw = {"a": 2**40, "b": {"c": [{"$oid": OID}]}, "_meta": {}}

    stored = decode_document(raw)

    assert raw == {"a": 2**40, "b": {"c": [{"$oid": OID}]}, "_meta": {}}
    assert "_meta" not in stored


def elements(document):
    return bson.encode(document)[4:-1]


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=3))
def test_what_is_plain_is_allowed_and_encoded_together_as_it_is_alone(values):
    if not are_plain(values, MAX_DEPTH):
        return

    assert encode_together(values) == [elements(decode_document(value)) for value in values]
    assert orjson.loads(dumps([decode_document(value) for value in values])) == values


def test_many_plain_documents_are_known_together_and_no_others():
    deepest = {"a": nested(MAX_DEPTH - 1, 1)}
    plain = [{"n": number, "s": ["\0", {"x": 2**40}], "t": None} for number in range(120)]

    assert are_plain([*plain, deepest, {}, {"n": [2**53 - 1, 1 - 2**53]}], MAX_DEPTH)
    for odd in (
        {"": 1}, {"a.b": 1}, {"a": [{"b\0": 1}]}, {"$a": 1},
        {"a": 2**53}, {"a": [-(2**53)]}, {"a": {"$oid": OID}}, {"a": Int64(1)},
        {"a": [{"$date": "2026-01-31T09:30:00Z"}]}, {"a": nested(MAX_DEPTH, 1)},
    ):  # fmt: skip
        assert not are_plain([*plain, odd], MAX_DEPTH), odd


def test_any_bson_is_encoded_together_and_what_has_none_is_doubtful():
    values = [{"at": datetime(2026, 1, 31, tzinfo=UTC), "o": ObjectId(OID)}, {}, {"n": Int64(5)}]
    many = [{"x": "\0" * number} for number in range(1200)]

    assert encode_together(values) == [elements(each) for each in values]
    assert encode_together(many) == [elements(each) for each in many]
    assert encode_together([]) == []
    for odd in (object(), "\ud800", 2**63):
        with pytest.raises(Doubtful):
            encode_together([{"a": odd}])
