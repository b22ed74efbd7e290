"""What every way of writing shares: how a document is made ready, and what refuses it."""

from collections.abc import Sequence
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
from tenancy.mongo.extended_types import CODEC_OPTIONS
from tenancy.mongo.reading import ReadableCollection
from tenancy.mongo.revisions import bytes_of_meta

# What is wrong with one write, and says nothing of those beside it.
WRITE_PROBLEMS = (InvalidInput, NotFound, Conflict, PlanLimitReached)
# What a replaced or deleted document was: its `_id`, its `_meta`, and how large it was.
BEFORE = {"_meta": 1, "size": {"$bsonSize": "$$ROOT"}}


class WritableCollection(ReadableCollection):
    """The ground on which the writing halves of a TenantCollection stand."""

    def _room(self, documents: int, size: int) -> None:
        """Raise PlanLimitReached if so much more would be too much."""

    def _size_before(self, before: Document | None) -> int:
        """Return the size of the fields that a document had before it was changed."""
        if before is None:
            return 0
        return int(before["size"]) - bytes_of_meta(before) - self._boundary.id_extra_bytes

    def _ready(self, fields: Document, meta: Document, meta_bytes: int) -> tuple[Any, int]:
        """Return a document as it is sent, encoded once, and the size of its fields.

        Raises PayloadTooLarge, and what `check` raises.
        """
        raw = encode({**self._stored(fields), "_meta": meta}, codec_options=CODEC_OPTIONS)
        size = len(raw) - meta_bytes - self._boundary.id_extra_bytes
        if size > self._max_bytes:
            raise PayloadTooLarge(
                f"The document has {size:,} bytes; {self._max_bytes:,} are allowed."
            )
        self._check(fields)
        return RawBSONDocument(raw), size

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


def with_id(document_id: Any, fields: Document) -> Document:
    """Return the fields with the id of the path first. Raises ValidationFailed if they differ."""
    if "_id" in fields and not _same_id(fields["_id"], document_id):
        message = "The _id in the body is not the one in the path. An _id never changes."
        raise ValidationFailed(message, errors=[FieldError("/_id", "id_mismatch", message)])
    return {"_id": document_id, **{key: fields[key] for key in fields if key != "_id"}}


def _same_id(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, type(other)) | isinstance(other, type(one))
