"""What every way of writing shares: how a document is made ready, and what refuses it."""

from collections.abc import Sequence
from struct import Struct
from typing import Any

from bson import encode
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError

from tenancy.exceptions import (
    Conflict,
    FieldError,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PlanLimitReached,
    TenancyError,
    ValidationFailed,
)
from tenancy.mongo.clients import Document
from tenancy.mongo.errors import driver_errors, refused_writes
from tenancy.mongo.extended_types import CODEC_OPTIONS, RAW_OPTIONS
from tenancy.mongo.reading import ReadableCollection
from tenancy.mongo.revisions import bytes_of_meta

# What is wrong with one write, and says nothing of those beside it.
WRITE_PROBLEMS = (InvalidInput, NotFound, Conflict, PlanLimitReached)
# What a replaced or deleted document was: its `_id`, its `_meta`, and how large it was.
BEFORE = {"_meta": 1, "size": {"$bsonSize": "$$ROOT"}}


# The length of a document in front of its elements, and the NUL behind them.
EMPTY_BYTES = 5
LENGTH = Struct("<i")


class WritableCollection(ReadableCollection):
    """The ground on which the writing halves of a TenantCollection stand."""

    def _room(self, documents: int, size: int) -> None:
        """Raise PlanLimitReached if so much more would be too much."""

    def _size_before(self, before: Document | None) -> int:
        """Return the size of the fields that a document had before it was changed."""
        if before is None:
            return 0
        return int(before["size"]) - bytes_of_meta(before) - self._boundary.id_extra_bytes

    def _ready(self, fields: Document, meta: bytes) -> tuple[Any, int]:
        """Return a document as it is sent, encoded once, and the size of its fields.

        `meta` is the element `_meta`. Raises PayloadTooLarge, and what `check` raises.
        """
        elements = elements_of(self._stored(fields))
        size = self._bounded_size(len(elements))
        self._check(fields)
        return _document_of(elements + meta), size

    def _bounded_size(self, stored_bytes: int) -> int:
        """Return the size of the fields, or refuse them."""
        size = stored_bytes + EMPTY_BYTES - self._boundary.id_extra_bytes
        check_size(size, self._max_bytes)
        return size

    def _insert_unordered(self, documents: Sequence[Any]) -> dict[int, TenancyError]:
        """Insert what is ready; return which were refused, by position, and why.

        Every one is tried, in order: MongoDB takes the documents of a batch one after another, so
        that the first of two with one `_id`, or one unique value, is the one that is stored. (On a
        sharded cluster these are on one shard.)
        """
        if not documents:
            return {}
        with driver_errors(writing=True):
            try:
                self._collection.insert_many(documents, ordered=False, session=self._session)
            except BulkWriteError as error:
                return refused_writes(error)
        return {}


def elements_of(document: Document) -> bytes:
    """Return the BSON of a document's fields, one after another, as they stand inside of it."""
    return encode(document, codec_options=CODEC_OPTIONS)[LENGTH.size : -1]


def check_size(size: int, max_bytes: int) -> None:
    """Raise PayloadTooLarge for fields that have too many bytes of BSON."""
    if size > max_bytes:
        raise PayloadTooLarge(f"The document has {size:,} bytes; {max_bytes:,} are allowed.")


def _document_of(elements: bytes) -> RawBSONDocument:
    return RawBSONDocument(LENGTH.pack(len(elements) + EMPTY_BYTES) + elements + b"\0", RAW_OPTIONS)


def with_id(document_id: Any, fields: Document) -> Document:
    """Return the fields with the id of the path first. Raises ValidationFailed if they differ."""
    if "_id" in fields and not _same_id(fields["_id"], document_id):
        message = "The _id in the body is not the one in the path. An _id never changes."
        raise ValidationFailed(message, errors=[FieldError("/_id", "id_mismatch", message)])
    if "_id" not in fields:
        return {"_id": document_id, **fields}
    return {"_id": document_id, **{key: fields[key] for key in fields if key != "_id"}}


def _same_id(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, type(other)) | isinstance(other, type(one))
