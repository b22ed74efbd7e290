"""Documents as bytes: the same document comes out, whatever its `_id` is."""

from uuid import UUID

import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, ObjectId, Regex, Timestamp, decode, encode
from bson.datetime_ms import DatetimeMS
from hypothesis import given
from hypothesis import strategies as st

from tenancy.mongo.boundary import Boundary, SharedBoundary
from tenancy.mongo.extended_types import CODEC_OPTIONS
from tenancy.mongo.raw_documents import (
    id_of,
    key_of,
    key_of_id,
    raw_form_of,
    read_id,
    spell_id,
    split_batch,
)

OWNER = Binary(UUID("3b241101-e2bb-4255-8caf-4136c566a962").bytes, 4)
SHARED = SharedBoundary(OWNER, "orders")
IDS = [
    None, True, False, 0, -1, 2**31, Int64(1), 1.0, float("-inf"), "", "a", "ü" * 400,
    ObjectId("5f0000000000000000000000"), UUID_ID := Binary(b"\x00" * 16, 4), Binary(b"", 0),
    Binary(b"old", 2), Decimal128("1.10"), DatetimeMS(-1), DatetimeMS(2**40), {}, {"k": 1},
    {"o": OWNER, "c": "orders", "k": "nested"}, {"a": {"b": [1, {"c": None}]}}, Timestamp(1, 2),
    DBRef("x", 1), Code("f()"), Code("f()", {"x": 1}),
]  # fmt: skip


def raw(document):
    return encode(document, codec_options=CODEC_OPTIONS)


@pytest.mark.parametrize("document_id", IDS, ids=repr)
def test_every_type_of_id_goes_in_and_comes_out(document_id):
    document = raw({"_id": document_id, "a": {"_id": 1}, "k": 2, "_meta": {"rev": 1}})
    form = raw_form_of(SHARED)

    stored = form.stored(document)

    assert stored == raw({**decode(document, CODEC_OPTIONS), "_id": SHARED.stored_id(document_id)})
    assert form.bare(stored) == document
    assert key_of(document) == key_of_id(document_id)


@pytest.mark.parametrize("document_id", IDS, ids=repr)
def test_an_id_is_read_as_it_was_spelled(document_id):
    assert raw({"_id": read_id(spell_id(document_id))}) == raw({"_id": document_id})


def test_in_its_own_collection_a_document_stays_as_it_is():
    document = raw({"_id": 1, "a": 1})
    form = raw_form_of(Boundary())

    assert form.stored(document) is document
    assert form.bare(document) is document


def test_a_document_without_an_id_first_is_refused():
    with pytest.raises(ValueError, match="_id"):
        key_of(raw({"a": 1}))


def test_numbers_that_are_equal_have_keys_of_their_own():
    assert len({key_of_id(1), key_of_id(Int64(1)), key_of_id(1.0)}) == 3


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8)
    | st.floats(allow_nan=True) | st.binary(max_size=9).map(Binary)
    | st.integers(-(2**40), 2**40).map(DatetimeMS)
    | st.just(Regex("a", "i")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abk_", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(st.tuples(VALUES, st.dictionaries(st.text("abc", min_size=1), VALUES)), max_size=5))
def test_a_batch_is_split_where_its_documents_end(rows):
    documents = [
        raw({"_id": _plain(document_id), **{f"f{key}": each for key, each in fields.items()}})
        for document_id, fields in rows
    ]
    form = raw_form_of(SHARED)

    split = list(split_batch(b"".join(form.stored(each) for each in documents)))

    assert [form.bare(each) for each in split] == documents
    assert [raw({"_id": id_of(each)}) for each in documents] == [
        raw({"_id": _plain(document_id)}) for document_id, _ in rows
    ]


def _plain(value):
    """Return a value that can be an `_id`: lists and regular expressions cannot."""
    return str(value) if isinstance(value, list | Regex) else value
