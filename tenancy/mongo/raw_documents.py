"""Documents as the bytes that MongoDB sends: split, told apart by `_id`, given another `_id`.

A copy that never decodes a document cannot change it. The bytes are BSON, as
https://bsonspec.org/spec.html lays it out: a length, elements (type, name, value), a zero.
"""

import base64
from collections.abc import Iterator
from typing import Any

from bson import decode, encode

from tenancy.mongo.boundary import Boundary, SharedBoundary
from tenancy.mongo.extended_types import CODEC_OPTIONS

_LENGTH = 4
_ID_NAME = b"_id\x00"
_VALUE = _LENGTH + 1 + len(_ID_NAME)  # where the value of the first element begins
# Values of a fixed size, by type; the others begin with their length.
_FIXED = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16,
    0x7F: 0, 0xFF: 0,
}  # fmt: skip
# What the length of a value does not count, by type.
_BESIDE_LENGTH = {0x02: 4, 0x03: 0, 0x05: 5, 0x0D: 4, 0x0E: 4, 0x0F: 0}


def split_batch(batch: bytes) -> Iterator[bytes]:
    """Return the documents of a raw batch, which has them end to end."""
    place = 0
    while place < len(batch):
        end = place + _length_at(batch, place)
        yield batch[place:end]
        place = end


def _length_at(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + _LENGTH], "little")


def _end_of_id(document: bytes) -> int:
    """Return where the value of `_id` ends. MongoDB stores `_id` first, always."""
    kind = document[_LENGTH]
    if document[_LENGTH + 1 : _VALUE] != _ID_NAME:
        raise ValueError("A stored document begins with its _id.")
    if kind in _FIXED:
        return _VALUE + _FIXED[kind]
    return _VALUE + _length_at(document, _VALUE) + _BESIDE_LENGTH[kind]


def key_of(document: bytes) -> bytes:
    """Return what tells one `_id` from another: its type and its bytes."""
    return document[_LENGTH : _LENGTH + 1] + document[_VALUE : _end_of_id(document)]


def key_of_id(document_id: Any) -> bytes:
    """Return the key of the documents with this `_id`."""
    return key_of(encode({"_id": document_id}, codec_options=CODEC_OPTIONS))


def id_of(document: bytes) -> Any:
    """Return the `_id` of a raw document."""
    return decode(_framed(document[_LENGTH : _end_of_id(document)]), CODEC_OPTIONS)["_id"]


def spell_id(document_id: Any) -> str:
    """Return an `_id` of any type as text, for `read_id`."""
    return base64.b64encode(encode({"_id": document_id}, codec_options=CODEC_OPTIONS)).decode()


def read_id(spelled: str) -> Any:
    """Return the `_id` that `spell_id` has spelled."""
    return decode(base64.b64decode(spelled), CODEC_OPTIONS)["_id"]


def _framed(elements: bytes) -> bytes:
    return (len(elements) + _LENGTH + 1).to_bytes(_LENGTH, "little") + elements + b"\x00"


class RawForm:
    """How documents of the tenant's own collection are stored: as their user knows them."""

    def bare(self, document: bytes) -> bytes:
        """Return a stored document with the `_id` that its user knows."""
        return document

    def stored(self, document: bytes) -> bytes:
        """Return a document as it is stored."""
        return document


class SharedRawForm(RawForm):
    """How documents of the shared collection are stored: see `SharedBoundary`."""

    def __init__(self, boundary: SharedBoundary) -> None:
        frame = encode({"o": boundary.owner, "c": boundary.logical})
        self._before = frame[_LENGTH:-1]  # the elements `o` and `c`
        self._key = _VALUE + _LENGTH + len(self._before)  # where `k` begins in a stored document

    def bare(self, document: bytes) -> bytes:
        """Return the document with `_id.k` in the place of `_id`."""
        end = _end_of_id(document)
        kind, value = document[self._key : self._key + 1], document[self._key + 3 : end - 1]
        return _framed(kind + _ID_NAME + value + document[end:-1])

    def stored(self, document: bytes) -> bytes:
        """Return the document with `{o, c, k}` in the place of `_id`."""
        end = _end_of_id(document)
        key = document[_LENGTH : _LENGTH + 1] + b"k\x00" + document[_VALUE:end]
        return _framed(b"\x03" + _ID_NAME + _framed(self._before + key) + document[end:-1])


def raw_form_of(boundary: Boundary) -> RawForm:
    """Return how documents inside a boundary are stored, as bytes."""
    return SharedRawForm(boundary) if isinstance(boundary, SharedBoundary) else RawForm()
