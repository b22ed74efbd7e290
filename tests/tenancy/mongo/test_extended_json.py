"""Extended JSON: every BSON type out, and every type clients may write back in."""

import base64
import json
import re
from pathlib import Path

import bson
import orjson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from tenancy.exceptions import InvalidDocument
from tenancy.mongo.extended_json import CODEC_OPTIONS, decode_document, dumps, loads
from tenancy.mongo.extended_types import WRAPPERS, date_of

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
OID = "59a47286cfa9a3a73e51e72c"
UUID = "3b241101-e2bb-4255-8caf-4136c566a962"
UUID_BYTES = bytes.fromhex(UUID.replace("-", ""))


def through_bson(document):
    return bson.decode(bson.encode(document), CODEC_OPTIONS)


def there_and_back(document):
    return decode_document(loads(dumps(through_bson(document))))


def read(wrapper):
    return decode_document({"v": wrapper})["v"]


SPELLED_BOTH_WAYS = [
    (ObjectId(OID), {"$oid": OID}),
    (DatetimeMS(0), {"$date": "1970-01-01T00:00:00Z"}),
    (DatetimeMS(1577836800000), {"$date": "2020-01-01T00:00:00Z"}),
    (DatetimeMS(1577836800123), {"$date": "2020-01-01T00:00:00.123Z"}),
    (DatetimeMS(253402300799999), {"$date": "9999-12-31T23:59:59.999Z"}),
    (DatetimeMS(253402300800000), {"$date": {"$numberLong": "253402300800000"}}),
    (DatetimeMS(-5), {"$date": {"$numberLong": "-5"}}),
    (DatetimeMS(-(2**63)), {"$date": {"$numberLong": "-9223372036854775808"}}),
    (5, 5),
    (-(2**31), -(2**31)),
    (Int64(2**31), 2**31),
    (Int64(2**53 - 1), 2**53 - 1),
    (Int64(2**53), {"$numberLong": "9007199254740992"}),
    (Int64(-(2**53)), {"$numberLong": "-9007199254740992"}),
    (Int64(2**63 - 1), {"$numberLong": "9223372036854775807"}),
    (5.0, 5.0),
    (-0.0, -0.0),
    (float("nan"), {"$numberDouble": "NaN"}),
    (float("inf"), {"$numberDouble": "Infinity"}),
    (float("-inf"), {"$numberDouble": "-Infinity"}),
    (Decimal128("1.10"), {"$numberDecimal": "1.10"}),
    (Decimal128("NaN"), {"$numberDecimal": "NaN"}),
    (Decimal128("-Infinity"), {"$numberDecimal": "-Infinity"}),
    (Decimal128("-0E+3"), {"$numberDecimal": "-0E+3"}),
    (Decimal128("1E-6176"), {"$numberDecimal": "1E-6176"}),
    (b"abc", {"$binary": {"base64": "YWJj", "subType": "00"}}),
    (Binary(b"abc", 2), {"$binary": {"base64": "YWJj", "subType": "02"}}),
    (Binary(UUID_BYTES, 3), {"$binary": {"base64": "OyQRAeK7QlWMr0E2xWapYg==", "subType": "03"}}),
    (Binary(b"abc", 255), {"$binary": {"base64": "YWJj", "subType": "ff"}}),
    (Binary(UUID_BYTES, 4), {"$uuid": UUID}),
    (None, None),
    (True, True),
    ("a\0b null", "a\0b null"),
    ([{"a": None}], [{"a": None}]),
]


@pytest.mark.parametrize(("value", "spelled"), SPELLED_BOTH_WAYS)
def test_a_value_is_written_as_relaxed_extended_json(value, spelled):
    assert dumps(through_bson({"v": value})) == orjson.dumps({"v": spelled})


@pytest.mark.parametrize(("value", "spelled"), SPELLED_BOTH_WAYS)
def test_what_was_written_is_read_with_its_type(value, spelled):
    document = decode_document(loads(json.dumps({"v": spelled}).encode()))

    assert bson.encode(document) == bson.encode({"v": value})


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (Regex("^a", re.I | re.X), {"$regularExpression": {"pattern": "^a", "options": "ix"}}),
        (Timestamp(7, 3), {"$timestamp": {"t": 7, "i": 3}}),
        (Code("f()"), {"$code": "f()"}),
        (
            Code("f()", {"x": float("nan")}),
            {"$code": "f()", "$scope": {"x": {"$numberDouble": "NaN"}}},
        ),
        (MinKey(), {"$minKey": 1}),
        (MaxKey(), {"$maxKey": 1}),
        (
            DBRef("c", ObjectId(OID), "d", n=float("inf")),
            {"$ref": "c", "$id": {"$oid": OID}, "$db": "d", "n": {"$numberDouble": "Infinity"}},
        ),
    ],
)
def test_types_that_others_wrote_are_shown(value, spelled):
    assert loads(dumps(through_bson({"v": value}))) == {"v": spelled}


CANONICAL = [
    ({"$numberInt": "42"}, 42),
    ({"$numberLong": "42"}, Int64(42)),
    ({"$numberDouble": "42"}, 42.0),
    ({"$numberDouble": "-0.0"}, -0.0),
    ({"$numberDouble": "1E+300"}, 1e300),
    ({"$date": {"$numberLong": "226117231000"}}, DatetimeMS(226117231000)),
    ({"$date": "1969-12-31T23:59:59.999Z"}, DatetimeMS(-1)),
    ({"$date": "2020-01-01T05:30:00+05:30"}, DatetimeMS(1577836800000)),
    ({"$date": "2020-01-01T00:00:00.120000Z"}, DatetimeMS(1577836800120)),
    ({"$date": "2020-01-01T00:00:00.1Z"}, DatetimeMS(1577836800100)),
    ({"$date": "0001-01-01T00:00:00+14:00"}, DatetimeMS(-62135596800000 - 14 * 3_600_000)),
    ({"$date": "9999-12-31T23:59:59.999-12:00"}, DatetimeMS(253402300799999 + 12 * 3_600_000)),
    ({"$oid": OID.upper()}, ObjectId(OID)),
    ({"$uuid": UUID.upper()}, Binary(UUID_BYTES, 4)),
    ({"$binary": {"subType": "4", "base64": "OyQRAeK7QlWMr0E2xWapYg=="}}, Binary(UUID_BYTES, 4)),
    ({"$binary": {"base64": "", "subType": "0"}}, Binary(b"", 0)),
]


@pytest.mark.parametrize(("wrapper", "value"), CANONICAL)
def test_canonical_spellings_are_read(wrapper, value):
    assert bson.encode({"v": read(wrapper)}) == bson.encode({"v": value})


UNREADABLE = [
    {"$oid": 5},
    {"$oid": None},
    {"$oid": OID + "0"},
    {"$oid": "zz" + OID[2:]},
    {"$date": "yesterday"},
    {"$date": 5},
    {"$date": None},
    {"$date": []},
    {"$date": {}},
    {"$date": {"$numberLong": 5}},
    {"$date": {"$numberLong": "9223372036854775808"}},
    {"$date": {"$numberLong": "5", "x": 1}},
    {"$date": {"$numberInt": "5"}},
    {"$date": "2020-01-01T00:00:00"},
    {"$date": "2020-01-01"},
    {"$date": "2020-01-01T00:00:00.1234Z"},
    {"$date": "2020-01-01T00:00:00.123+24:00"},
    {"$date": "2020-02-30T00:00:00Z"},
    {"$date": "0000-01-01T00:00:00Z"},
    {"$date": "2020-01-01T24:00:00Z"},
    {"$date": "2020-01-01T00:00:60Z"},
    {"$date": "\uff12\uff10\uff12\uff10-01-01T00:00:00Z"},
    {"$numberInt": "2147483648"},
    {"$numberInt": 5},
    {"$numberInt": ""},
    {"$numberLong": "9223372036854775808"},
    {"$numberLong": "1" * 5000},
    {"$numberLong": "1_000"},
    {"$numberLong": " 5"},
    {"$numberLong": "5\n"},
    {"$numberLong": True},
    {"$numberDouble": "1e400"},
    {"$numberDouble": "inf"},
    {"$numberDouble": "0x10"},
    {"$numberDouble": 1.5},
    {"$numberDouble": []},
    {"$numberDouble": {}},
    {"$numberDecimal": "1" * 35},
    {"$numberDecimal": "1E+7000"},
    {"$numberDecimal": "1E-7000"},
    {"$numberDecimal": "1E+" + "9" * 100},
    {"$numberDecimal": "sNaN"},
    {"$numberDecimal": "one"},
    {"$numberDecimal": 1.5},
    {"$binary": "YWJj"},
    {"$binary": {"base64": "YWJj"}},
    {"$binary": {"base64": "YWJj", "subType": "00", "x": 1}},
    {"$binary": {"base64": "YW Jj", "subType": "00"}},
    {"$binary": {"base64": "YWI", "subType": "00"}},
    {"$binary": {"base64": "YWJ=", "subType": "00"}},
    {"$binary": {"base64": "é", "subType": "00"}},
    {"$binary": {"base64": 5, "subType": "00"}},
    {"$binary": {"base64": "YWJj", "subType": 0}},
    {"$binary": {"base64": "YWJj", "subType": "100"}},
    {"$binary": {"base64": "YWJj", "subType": "-1"}},
    {"$binary": {"base64": "YWJj", "subType": "04"}},
    {"$uuid": UUID.replace("-", "")},
    {"$uuid": "{" + UUID + "}"},
    {"$uuid": 5},
    {"$oid": OID, "x": 1},
    {"$oid": OID, "$date": "2020-01-01T00:00:00Z"},
]


@pytest.mark.parametrize("wrapper", UNREADABLE, ids=lambda wrapper: str(wrapper)[:60])
def test_a_wrapper_that_cannot_be_read_is_refused_where_it_stands(wrapper):
    with pytest.raises(InvalidDocument) as caught:
        decode_document({"a": [0, wrapper]})

    assert [(error.pointer, error.code) for error in caught.value.errors] == [
        ("/a/1", "invalid_document")
    ]


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_refusal_says_what_the_wrapper_takes(name):
    with pytest.raises(InvalidDocument) as caught:
        read({name: False})

    assert caught.value.detail == f"{name} takes {WRAPPERS[name].takes}."


def test_a_null_beside_a_nan_stays_null():
    assert dumps([None, float("nan")]) == b'[null,{"$numberDouble":"NaN"}]'


def test_a_value_that_bson_does_not_have_is_not_written():
    with pytest.raises(TypeError):
        dumps({"v": object()})


def test_documents_nested_as_deep_as_mongod_stores_them_are_written():
    deep = float("nan")
    for _ in range(180):
        deep = {"a": deep}

    assert b"NaN" in dumps(deep)


# --- properties

INTEGERS = st.integers(-(2**63), 2**63 - 1).map(
    lambda number: number if -(2**31) <= number < 2**31 else Int64(number)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=".\0"), min_size=1
).filter(lambda key: key[0] not in "$_")
BINARIES = st.builds(Binary, st.binary(), st.integers(0, 255).filter(lambda n: n != 4))
DECIMALS = st.decimals(places=6, min_value=-(10**20), max_value=10**20).map(Decimal128)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    INTEGERS,
    st.floats(allow_nan=False),
    st.just(float("nan")),
    TEXT,
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
    DECIMALS,
    BINARIES,
    st.binary(min_size=16, max_size=16).map(lambda data: Binary(data, 4)),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=6)


@given(DOCUMENTS)
def test_every_document_comes_back_byte_for_byte(document):
    assert bson.encode(there_and_back(document)) == bson.encode(document)


@given(DOCUMENTS)
def test_what_is_written_is_json_that_we_would_take(document):
    body = dumps(through_bson(document))

    assert dumps(decode_document(loads(body))) == body


@given(st.integers(-(2**63), 253402300799999))
def test_every_millisecond_comes_back(milliseconds):
    assert there_and_back({"v": date_of(milliseconds)}) == {"v": date_of(milliseconds)}


@given(st.binary())
def test_every_binary_comes_back(data):
    text = base64.b64encode(data).decode()

    assert read({"$binary": {"base64": text, "subType": "80"}}) == Binary(data, 0x80)


# --- real documents


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the sample documents are not at {DATA}")
@pytest.mark.parametrize("name", ["accounts", "customers", "restaurants", "theaters"])
def test_every_sample_document_survives_a_round_trip(name):
    for line in (DATA / f"{name}.ndjson").read_bytes().splitlines():
        document = decode_document(loads(line))
        stored = through_bson(document)

        assert bson.encode(there_and_back(document)) == bson.encode(document)
        assert stored["_id"] == document["_id"]
