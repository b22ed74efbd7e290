"""What the bytes of documents tell of their numbers."""

import math

from bson import Decimal128, ObjectId, encode
from bson.binary import Binary
from hypothesis import given
from hypothesis import strategies as st

from tenancy.mongo.extended_json import dumps, dumps_lines
from tenancy.mongo.raw_batches import FiniteList, decode_batch, joined

VALUES = st.recursive(
    st.none() | st.floats() | st.text() | st.integers(-(2**31), 2**31 - 1) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\x01é"), inner),
    max_leaves=12,
)


def is_finite(value):
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    return not isinstance(value, list) or all(map(is_finite, value))


@given(st.lists(st.fixed_dictionaries({"v": VALUES}), max_size=5))
def test_no_number_that_json_lacks_is_overlooked(documents):
    found = decode_batch(b"".join(map(encode, documents)))

    assert len(found) == len(documents)
    assert is_finite(documents) or type(found) is list


def test_ordinary_documents_are_known_to_be_finite():
    documents = [{"_id": 1, "n": 1.5, "big": 1e308, "none": None, "d": Decimal128("NaN")}]

    assert type(decode_batch(b"".join(map(encode, documents)))) is FiniteList


def test_bytes_that_look_like_such_a_number_are_looked_through():
    looks = {"_id": 1, "b": Binary(b"\x01n\x00\x00\x00\x00\x00\x00\x00\xf0\x7f", 0), "none": None}

    found = decode_batch(encode(looks))

    assert type(found) is list
    assert b'"none":null' in dumps_lines(found)


def test_numbers_that_json_lacks_are_spelled_beside_nulls():
    rows = [{"_id": n, "v": v, "none": None} for n, v in enumerate([math.nan, -math.inf, 1.0])]

    lines = dumps_lines(decode_batch(b"".join(map(encode, rows))))

    assert lines.splitlines() == [
        b'{"_id":0,"v":{"$numberDouble":"NaN"},"none":null}',
        b'{"_id":1,"v":{"$numberDouble":"-Infinity"},"none":null}',
        b'{"_id":2,"v":1.0,"none":null}',
    ]


def test_batches_are_finite_together_if_both_are():
    finite, other = FiniteList([{"_id": 1}]), [{"_id": 2, "v": math.nan}]

    assert type(joined(finite, FiniteList())) is FiniteList
    assert type(joined(finite, other)) is type(joined(other, finite)) is list
    assert joined(finite, other) == [*finite, *other]


def test_lines_written_together_are_those_that_are_written_one_by_one():
    inner = [{"_id": 1}, {"_id": 2}]
    plain = [{"_id": 1, "a": '},{"_id":'}, {"_id": ObjectId(), "b": [{}]}, {"_id": None}]
    for documents in (
        plain, plain[:1], [], [{"_id": 1, "a": inner}, {"_id": 2}], [{"_id": 1, "a": inner}],
        [{"a": inner}, {"_id": 2}], [{"_id": 1, "a": inner}, {"b": 1}], [{}, {"a": inner}], [{}],
    ):  # fmt: skip
        for is_plain in (False, True):
            one_by_one = [dumps(each, plain=is_plain) + b"\n" for each in documents]
            together = dumps_lines(FiniteList(documents), plain=is_plain)
            assert together == b"".join(one_by_one), documents
