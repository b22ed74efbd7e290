"""Values over HTTP: none is lost between a client and MongoDB, and `?types=plain` is for people."""

import json

import bson
import pytest
from bson.binary import Binary
from bson.codec_options import DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tenancy.mongo.extended_types import CODEC_OPTIONS
from tests.http import DOCUMENTS, refused, send
from tests.http import document_url as url
from tests.places import PLACES

OID = "59a47286cfa9a3a73e51e72c"
UUID_TEXT = "3b241101-e2bb-4255-8caf-4136c566a962"
VALUES = {
    "at": {"$date": "2024-05-01T12:00:00Z"},
    "ms": {"$date": "2024-05-01T12:00:00.120Z"},
    "oid": {"$oid": OID},
    "price": {"$numberDecimal": "1.10"},
    "big": {"$numberLong": "9007199254740993"},
    "uuid": {"$uuid": UUID_TEXT},
    "data": {"$binary": {"base64": "YWJj", "subType": "00"}},
    "nan": [{"$numberDouble": "NaN"}, None, 1.5],
}
PLAIN = {
    "at": "2024-05-01T12:00:00Z",
    "ms": "2024-05-01T12:00:00.120Z",
    "oid": OID,
    "price": "1.10",
    "big": "9007199254740993",
    "uuid": UUID_TEXT,
    "data": "YWJj",
    "nan": ["NaN", None, 1.5],
}
EVERY_MILLISECOND = CODEC_OPTIONS.with_options(
    datetime_conversion=DatetimeConversion.DATETIME_MS
)  # dates as numbers: none is out of range


@pytest.fixture(params=["collection-name", "shared"])
def place(request, settings):
    """The two ways in which documents are stored: under their own `_id`, and under a larger one."""
    chosen = PLACES[request.param]
    settings.TENANCY_NAMING = chosen.naming
    return chosen


def fields_of(document):
    return {key: document[key] for key in document if key[0] != "_"}


# --- for people


def test_every_answer_with_documents_can_be_plain(alice):
    made = send(alice, "PUT", url("a") + "?types=plain", VALUES)
    patched = send(alice, "PATCH", url("a") + "?types=plain", {"x": 1})
    posted = send(alice, "POST", DOCUMENTS + "?types=plain", {**VALUES, "_id": "b"})
    listed = alice.get(DOCUMENTS + "?types=plain").json()["data"]
    lines = b"".join(alice.get("/api/v1/collections/main/export?types=plain").streaming_content)

    assert [each.status_code for each in (made, patched, posted)] == [201, 200, 201]
    shown = [made.json(), posted.json(), *listed[1:], alice.get(url("b") + "?types=plain").json()]
    assert [fields_of(each) for each in shown] == [PLAIN] * 4
    assert fields_of(patched.json()) == fields_of(listed[0]) == PLAIN | {"x": 1}
    assert [json.loads(line) for line in lines.splitlines()] == listed
    assert listed[0]["_meta"]["created_at"].endswith("Z")


def test_without_loss_is_the_default_and_can_be_asked_for(alice):
    send(alice, "PUT", url("a"), VALUES)

    for query in ("", "?types=lossless"):
        assert fields_of(alice.get(url("a") + query).json()) == VALUES


def test_other_types_are_refused_before_anything_is_done(alice):
    send(alice, "PUT", url("b"), {})

    answer = send(alice, "PUT", url("a") + "?types=plane", {"x": 1})

    assert "Did you mean “plain”?" in refused(answer, 400, "invalid_parameter")["detail"]
    refused(alice.get(url("a")), 404, "not_found")


# --- without loss

INTEGERS = st.integers(-(2**63), 2**63 - 1).map(Int64)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=".\0"), min_size=1, max_size=5
).filter(lambda key: key[0] not in "$_")
SCALARS = st.one_of(
    st.none(), st.booleans(), INTEGERS, TEXT, st.floats(allow_nan=False),
    st.just(float("nan")), st.binary(min_size=12, max_size=12).map(ObjectId),
    st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
    st.integers(-(2**45), 2**48).map(DatetimeMS),
    st.decimals(places=4, min_value=-(10**9), max_value=10**9).map(Decimal128),
    st.builds(Binary, st.binary(max_size=9), st.integers(0, 255).filter(lambda n: n != 4)),
    st.uuids().map(Binary.from_uuid),
)  # fmt: skip
STORED = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=12,
    ),
    max_size=5,
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
AT_MOST = hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def with_wide_integers(value):
    """Return a value with all integers in 64 bits: the width is not kept, and may not be."""
    if isinstance(value, dict):
        return {key: with_wide_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_wide_integers(item) for item in value]
    return Int64(value) if type(value) is int else value


def in_mongodb(stored):
    """Return the fields of the only document, with every date, as BSON."""
    (document,) = stored.with_options(EVERY_MILLISECOND).find()
    fields = {key: item for key, item in document.items() if key not in ("_id", "_meta")}
    return bson.encode(with_wide_integers(fields), codec_options=EVERY_MILLISECOND)


def test_what_is_read_and_sent_back_is_stored_as_it_was(alice, stored):
    send(alice, "PUT", url("x"), {})

    @AT_MOST
    @given(STORED)
    def check(fields):
        alice.delete(url("x"))
        stored.insert_one({"_id": "x", **fields})
        before = in_mongodb(stored)

        read = alice.get(url("x"))
        put = send(alice, "PUT", url("x"), read.content)

        assert (read.status_code, put.status_code) == (200, 200)
        assert in_mongodb(stored) == before
        assert fields_of(put.json()) == fields_of(read.json())

    check()


def test_json_that_is_sent_is_read_again(alice):
    @AT_MOST
    @given(st.dictionaries(KEYS, JSON_VALUES, max_size=5))
    def check(fields):
        posted = send(alice, "POST", DOCUMENTS, fields)

        assert posted.status_code == 201
        assert fields_of(posted.json()) == fields
        assert fields_of(alice.get(posted["Location"]).json()) == fields

    check()
