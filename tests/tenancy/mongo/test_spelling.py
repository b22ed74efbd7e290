"""The writer beside a simple one, dates at their bounds, and what is written for people."""

import json
from datetime import datetime

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from tenancy.mongo import extended_json
from tenancy.mongo.extended_json import CODEC_OPTIONS, dumps, dumps_lines
from tenancy.mongo.extended_types import FIRST_MS, LAST_MS, date_of
from tenancy.mongo.revisions import now, shown
from tests.tenancy.mongo.reference_writer import write

OID = ObjectId("59a47286cfa9a3a73e51e72c")
UUID_VALUE = Binary(bytes.fromhex("3b241101e2bb42558caf4136c566a962"), 4)
MILLISECONDS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(FIRST_MS - 2, LAST_MS + 2),
    st.sampled_from([FIRST_MS - 1, FIRST_MS, -1, 0, 1, 999, 1000, LAST_MS, LAST_MS + 1]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(min_value=-1e15, max_value=1e15).map(lambda number: round(number, 3)),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.5, -2.0]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f")),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    MILLISECONDS.map(DatetimeMS),
    st.decimals(places=6, min_value=-(10**20), max_value=10**20).map(Decimal128),
    st.builds(Binary, st.binary(), st.integers(0, 255).filter(lambda n: n != 4)),
    st.binary(min_size=16, max_size=16).map(lambda data: Binary(data, 4)),
)
KEYS = st.text("abc null", min_size=1)
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20
    ),
    max_size=6,
)


@given(DOCUMENTS)
def test_the_fast_writer_writes_what_the_simple_one_does(document):
    stored = bson.decode(bson.encode(document), CODEC_OPTIONS)

    assert json.loads(dumps(stored)) == json.loads(write(document))
    assert dumps(stored) == dumps(document)
    assert dumps_lines([stored, stored]) == 2 * (dumps(stored) + b"\n")


@given(MILLISECONDS)
def test_a_date_is_read_and_written_to_the_millisecond(milliseconds):
    expected = write({"v": DatetimeMS(milliseconds)}).encode()

    assert bson.encode({"v": date_of(milliseconds)}) == bson.encode({"v": DatetimeMS(milliseconds)})
    assert dumps({"v": date_of(milliseconds)}) == expected
    assert dumps({"v": DatetimeMS(milliseconds)}) == expected


@given(DOCUMENTS)
def test_whatever_is_stored_has_a_plain_text(document):
    stored = bson.decode(bson.encode(document), CODEC_OPTIONS)

    assert set(json.loads(dumps(stored, plain=True))) == set(document)


PLAIN = [
    (date_of(0), "1970-01-01T00:00:00Z"),
    (date_of(1714564800000), "2024-05-01T12:00:00Z"),
    (date_of(1714564800120), "2024-05-01T12:00:00.120Z"),
    (date_of(-1), "1969-12-31T23:59:59.999Z"),
    (date_of(FIRST_MS), "0001-01-01T00:00:00Z"),
    (DatetimeMS(1714564800120), "2024-05-01T12:00:00.120Z"),
    (DatetimeMS(LAST_MS + 1), "253402300800000"),
    (OID, "59a47286cfa9a3a73e51e72c"),
    (Int64(2**53 - 1), 2**53 - 1),
    (Int64(2**53), "9007199254740992"),
    (Int64(-(2**63)), "-9223372036854775808"),
    (Decimal128("1.10"), "1.10"),
    (UUID_VALUE, "3b241101-e2bb-4255-8caf-4136c566a962"),
    (b"abc", "YWJj"),
    (Binary(b"abc", 2), "YWJj"),
    (float("nan"), "NaN"),
    (float("-inf"), "-Infinity"),
    ([{"a": float("inf"), "b": None}], [{"a": "Infinity", "b": None}]),
    (1.5, 1.5),
    ("text", "text"),
    (Regex("^a", "i"), "/^a/i"),
    (Code("f()"), "f()"),
    (Timestamp(7, 3), "7:3"),
    (MinKey(), "MinKey"),
    (MaxKey(), "MaxKey"),
]


def test_each_type_has_its_plain_spelling():
    for value, spelled in PLAIN:
        stored = bson.decode(bson.encode({"v": value}), CODEC_OPTIONS)

        assert json.loads(dumps(stored, plain=True)) == {"v": spelled}


def test_a_time_with_a_zone_is_not_mistaken_for_one_of_bson():
    with pytest.raises(TypeError):
        dumps({"v": datetime.fromisoformat("2024-05-01T12:00:00+02:00")})


def test_a_stamp_is_read_as_it_was_made():
    stamp = now()

    assert bson.decode(bson.encode({"at": stamp}), CODEC_OPTIONS) == {"at": stamp}


def test_meta_is_shown_last_without_who_wrote_it():
    cases = [
        ({"_meta": {"rev": 3, "by": "user:1", "created_at": 1}, "a": 1},
         [("a", 1), ("_meta", {"rev": 3, "created_at": 1})]),
        ({"a": 1}, [("a", 1), ("_meta", {"rev": 0})]),
        ({"_meta": 5, "a": 1}, [("a", 1), ("_meta", {"rev": 0})]),
        ({"_meta": {"rev": True, "by": "x"}}, [("_meta", {"rev": 0})]),
        ({"_meta": {"rev": Int64(2), "x": 1}}, [("_meta", {"rev": 2, "x": 1})]),
    ]  # fmt: skip

    assert [list(shown(document).items()) for document, _ in cases] == [
        expected for _, expected in cases
    ]


NAN, INFINITE = float("nan"), float("-inf")


@pytest.mark.parametrize(
    "value",
    [
        {"a": None, "b": NAN},
        {"a": None, "b": "null", "c": [NAN]},
        {"data": [{"a": None}, {"a": INFINITE}], "page": None},
        {"data": [{"a": None, "b": {"c": NAN}}]},
        {"data": [[NAN], None]},
        {"null": NAN},
        [{"a": None}, {"a": NAN}],
    ],
)
def test_no_null_in_sight_hides_a_number_that_json_lacks(value):
    assert b"$numberDouble" in dumps(value)
    assert dumps(value).count(b"null") == dumps(json.loads(dumps(value))).count(b"null")


@pytest.mark.parametrize("value", [{"a": None}, {"data": [{"a": None}, {"b": 1}], "page": None}])
def test_nulls_in_plain_sight_need_no_second_look(value, monkeypatch):
    monkeypatch.setattr(extended_json, "has_non_finite", None)

    assert json.loads(dumps(value)) == value
