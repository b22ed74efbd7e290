"""What may be stored, and how an id looks in a path."""

import bson
import pytest
from bson.binary import Binary
from bson.int64 import Int64
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from tenancy.exceptions import (
    InvalidDocument,
    InvalidId,
    PayloadTooLarge,
    TenancyError,
    TypeNotAllowed,
)
from tenancy.mongo.document_rules import (
    MAX_DEPTH,
    REFUSED_TYPES,
    decode_document,
    decode_patch,
    format_id,
    is_id,
    parse_id,
)
from tenancy.mongo.extended_json import dumps, loads
from tenancy.mongo.extended_types import WRAPPERS

OID = "59a47286cfa9a3a73e51e72c"
UUID = "3b241101-e2bb-4255-8caf-4136c566a962"
UUID_BINARY = Binary(bytes.fromhex(UUID.replace("-", "")), 4)


def nested(levels, wrap):
    value = 1
    for _ in range(levels):
        value = wrap(value)
    return value


def refused_at(value, decode=decode_document):
    with pytest.raises(InvalidDocument) as caught:
        decode(value)
    return caught.value.errors[0].pointer


# --- shape


@pytest.mark.parametrize("value", [None, 5, "x", [], [{}], True, 1.5])
@pytest.mark.parametrize("decode", [decode_document, decode_patch])
def test_the_top_is_an_object(decode, value):
    assert refused_at(value, decode) == ""


@pytest.mark.parametrize("wrap", [lambda v: {"a": v}, lambda v: [v]], ids=["objects", "arrays"])
def test_the_deepest_level_is_taken_and_the_next_refused(wrap):
    assert decode_document({"v": nested(MAX_DEPTH - 1, wrap)})

    with pytest.raises(InvalidDocument, match="32 levels"):
        decode_document({"v": nested(MAX_DEPTH, wrap)})


def test_a_wrapper_is_a_value_and_not_a_level():
    innermost = {"$date": {"$numberLong": "5"}}
    value = nested(MAX_DEPTH - 1, lambda v: [innermost] if v == 1 else [v])

    assert decode_document({"v": value})


BAD_KEYS = {
    "empty": ({"": 1}, "/"),
    "dot": ({"a.b": 1}, "/a.b"),
    "dollar": ({"$a": 1}, "/$a"),
    "dollar alone": ({"$": 1}, "/$"),
    "NUL": ({"a\0": 1}, "/a\\u0000"),
    "dot at depth": ({"a": [{"b": {"c.d": 1}}]}, "/a/0/b/c.d"),
    "dollar at depth": ({"a": [{"$set": 1}]}, "/a/0/$set"),
    "empty at depth": ({"a": {"": 1}}, "/a/"),
    "operator in a list": ({"a": [{"b": 1, "$where": "1"}]}, "/a/0/$where"),
    "wrapper as document": ({"$oid": OID}, "/$oid"),
    "reserved": ({"_rev": 1}, "/_rev"),
    "underscore alone": ({"_": 1}, "/_"),
}


@pytest.mark.parametrize(("value", "pointer"), BAD_KEYS.values(), ids=BAD_KEYS.keys())
@pytest.mark.parametrize("decode", [decode_document, decode_patch])
def test_a_bad_key_is_refused_by_its_pointer(decode, value, pointer):
    assert refused_at(value, decode) == pointer


def test_underscored_names_below_the_top_are_free():
    assert decode_document({"a": {"_x": 1, "_meta": 2}}) == {"a": {"_x": 1, "_meta": 2}}


@pytest.mark.parametrize("name", REFUSED_TYPES)
def test_a_type_clients_may_not_write_is_refused_and_named(name):
    with pytest.raises(TypeNotAllowed) as caught:
        decode_document({"a": [{"b": {name: "x"}}]})

    assert caught.value.errors[0].pointer == "/a/0/b"
    assert name in caught.value.detail


@pytest.mark.parametrize("name", REFUSED_TYPES)
def test_a_refused_type_cannot_be_the_document(name):
    with pytest.raises(TypeNotAllowed):
        decode_document({name: "x"})


@pytest.mark.parametrize("name", REFUSED_TYPES)
def test_no_wrapper_is_both_read_and_refused(name):
    assert name not in WRAPPERS


def test_code_hidden_at_the_deepest_level_is_found():
    value = nested(MAX_DEPTH - 1, lambda v: {"$code": "x"} if v == 1 else [v])

    with pytest.raises(TypeNotAllowed):
        decode_document({"v": value})


# --- metadata, size, strings


@pytest.mark.parametrize("decode", [decode_document, decode_patch])
def test_metadata_is_dropped_whatever_it_holds(decode):
    assert decode({"a": 1, "_meta": {"$code": "x", "": [float("nan")]}}) == {"a": 1}


def test_what_was_read_can_be_put_back():
    stored = {"_id": ObjectId(OID), "a": 1, "_meta": {"rev": 3}}

    assert decode_document(loads(dumps(stored))) == {"_id": ObjectId(OID), "a": 1}


def test_a_document_at_its_limit_is_taken_and_one_byte_more_refused():
    value = {"a": "x" * 100}
    size = len(bson.encode(value))

    assert decode_document(value, max_bytes=size) == value
    with pytest.raises(PayloadTooLarge, match=rf"{size} bytes.* {size - 1} "):
        decode_document(value, max_bytes=size - 1)


def test_the_default_limit_is_one_mebibyte():
    with pytest.raises(PayloadTooLarge, match="at most 1048576"):
        decode_document({"a": "x" * 1_048_576})


def test_nul_inside_a_string_value_is_kept():
    assert decode_document({"a": "x\0y"}) == {"a": "x\0y"}


def test_integers_beyond_32_bits_are_int64():
    document = decode_document({"a": 2**31 - 1, "b": 2**31, "c": True})

    assert [type(value) for value in document.values()] == [int, Int64, bool]


def test_nulls_in_a_patch_are_kept():
    assert decode_patch({"a": None, "b": {"c": None}}) == {"a": None, "b": {"c": None}}


# --- ids in documents

GOOD_IDS = [
    ({"$oid": OID}, ObjectId(OID)),
    ("a", "a"),
    ("é" * 256, "é" * 256),
    (5, 5),
    (-(2**63), Int64(-(2**63))),
    ({"$numberLong": "5"}, Int64(5)),
    ({"$uuid": UUID}, UUID_BINARY),
]
BAD_IDS = [
    None,
    True,
    1.5,
    "",
    "a\0",
    "é" * 257,
    [],
    {},
    {"a": 1},
    {"$date": "2020-01-01T00:00:00Z"},
    {"$numberDecimal": "1"},
    {"$numberDouble": "NaN"},
    {"$binary": {"base64": "", "subType": "00"}},
]


@pytest.mark.parametrize(("raw", "value"), GOOD_IDS)
def test_an_allowed_id_is_taken(raw, value):
    assert decode_document({"_id": raw}) == {"_id": value}


@pytest.mark.parametrize("raw", BAD_IDS, ids=str)
@pytest.mark.parametrize("decode", [decode_document, decode_patch])
def test_any_other_id_is_refused(decode, raw):
    assert refused_at({"a": 1, "_id": raw}, decode) == "/_id"


# --- ids in paths


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (OID, ObjectId(OID)),
        (OID.upper(), ObjectId(OID)),
        (f"oid:{OID}", ObjectId(OID)),
        (f"str:{OID}", OID),
        ("str:str:a", "str:a"),
        ("int:-5", -5),
        ("int:9223372036854775807", 2**63 - 1),
        (f"uuid:{UUID}", UUID_BINARY),
        (UUID, UUID),
        ("5", "5"),
        ("urn:a", "urn:a"),
        ("OID:x", "OID:x"),
        ("a/b\nc", "a/b\nc"),
    ],
)
def test_a_path_names_an_id(text, value):
    parsed = parse_id(text)

    assert parsed == value
    assert isinstance(parsed, type(value))


IMPOSSIBLE_IDS = [
    "",
    "str:",
    "oid:",
    "oid:xyz",
    f"oid:{OID}0",
    "int:",
    "int:x",
    "int:1.0",
    "int: 1",
    "int:1\n",
    "int:007",
    "int:-0",
    "int:9223372036854775808",
    "int:" + "1" * 5000,
    "int:\u0665",
    "uuid:x",
    f"uuid:{UUID[:-1]}",
    "a\0",
    "str:\0",
    "x" * 513,
    "str:" + "é" * 257,
    "\ud800",
]


@pytest.mark.parametrize("text", IMPOSSIBLE_IDS, ids=lambda text: ascii(text)[:30])
def test_an_impossible_id_is_refused(text):
    with pytest.raises(InvalidId):
        parse_id(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ObjectId(OID), OID),
        (OID, f"str:{OID}"),
        ("plain", "plain"),
        ("int:5", "str:int:5"),
        ("str:", "str:str:"),
        ("uuid:\n", "str:uuid:\n"),
        (".", "str:."),
        ("..", "str:.."),
        (Int64(5), "int:5"),
        (UUID_BINARY, f"uuid:{UUID}"),
    ],
)
def test_an_id_has_one_form_in_a_path(value, text):
    assert format_id(value) == text


TRICKY_TEXT = st.one_of(
    st.text(max_size=128),
    st.from_regex(r"(oid|str|int|uuid):.{0,20}", fullmatch=True),
    st.from_regex(r"[0-9a-fA-F]{24}", fullmatch=True),
    st.sampled_from([".", "..", "oid:", "str:str:"]),
)
IDS = st.one_of(
    TRICKY_TEXT.filter(is_id),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.binary(min_size=16, max_size=16).map(lambda data: Binary(data, 4)),
)


@given(IDS)
def test_every_id_survives_its_path(value):
    parsed = parse_id(format_id(value))

    assert parsed == value
    assert isinstance(parsed, type(value))


@given(st.text() | TRICKY_TEXT)
def test_a_path_never_raises_anything_else(text):
    try:
        parsed = parse_id(text)
    except InvalidId:
        return
    assert is_id(parsed)


# --- any JSON at all

NAMES = st.sampled_from(["_id", "_meta", "a", "", "base64", "subType", *WRAPPERS, *REFUSED_TYPES])
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from([OID, UUID, "2020-01-01T00:00:00Z", "5", "NaN", "1E+6145", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(NAMES | st.text(max_size=3), ANYTHING, max_size=4) | ANYTHING)
def test_no_json_value_raises_anything_else(value):
    try:
        document = decode_document(value)
    except TenancyError:
        return
    assert bson.encode(document)
