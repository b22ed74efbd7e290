"""RawCollection: a logical collection at a placement, read and written as bytes.

For copies: what goes in and out is raw BSON in the form that the documents' user knows, whatever
the kind of placement. A range is half open, `start <= _id < end`, in BSON's own order of all types.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bson import MaxKey, MinKey, decode
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from tenancy.mongo.boundary import Document, boundary_of
from tenancy.mongo.clients import get_database
from tenancy.mongo.errors import driver_errors, positions_of_taken_ids
from tenancy.mongo.extended_types import CODEC_OPTIONS, RAW_OPTIONS
from tenancy.mongo.fences import STRAY_SUFFIX, carry_document
from tenancy.mongo.raw_documents import id_of, raw_form_of, split_batch
from tenancy.names import PlacementAddress

FIRST, END = MinKey(), MaxKey()
BATCH_DOCUMENTS = 1_000
# A batch should pass a slow link well within the deadline of a call: 2 MiB take 1 s at 16 Mbit/s.
BATCH_BYTES = 2 * 1024 * 1024
# How many documents are read before anything is known of their size.
FIRST_DOCUMENTS = 100
# How many are looked for by their `_id`s at once, before it is known that they are large. Each time
# costs three commands that wait for a majority: with 200, changes were applied half as fast.
CHUNK_IDS = 500


class RawCollection:
    """One logical collection of one tenant, for whoever copies it."""

    def __init__(self, address: PlacementAddress, logical: str) -> None:
        self.logical = logical
        self._boundary = boundary_of(address, logical)
        self._form = raw_form_of(self._boundary)
        self._collection: Collection[Document] = get_database(address)[address.physical(logical)]
        self._fitting = FIRST_DOCUMENTS

    def read_some(self, start: Any, end: Any = END) -> tuple[list[bytes], Any]:
        """Return documents from `start` on, about 1,000 or 2 MiB, and where the next ones start.

        At the end of the range that is `end`.
        """
        limit = self._fitting
        with driver_errors(writing=False):
            with self._find_range(start, end, limit=limit + 1) as cursor:
                found = [self._form.bare(each) for each in split_batch(next(cursor, b""))]
                is_all = not cursor.alive and len(found) <= limit
            self._learn(len(found), sum(map(len, found)))
            if is_all:
                return found, end
            if len(found) == 1:
                return found, self._next_id(id_of(found[0]), end)
        return found[:-1], id_of(found[-1])

    def _learn(self, documents: int, size: int) -> None:
        """Choose how many documents to read at once by the size of the last ones."""
        if size:
            self._fitting = max(1, min(BATCH_DOCUMENTS, BATCH_BYTES * documents // size))

    def in_chunks(self, ids: list[Any]) -> Iterator[list[Any]]:
        """Yield so many `_id`s at a time as their documents may be read at once.

        By the size of those that were read last, the chunk before included.
        """
        place = 0
        while place < len(ids):
            step = min(CHUNK_IDS, self._fitting)
            yield ids[place : place + step]
            place += step

    def _next_id(self, after: Any, end: Any) -> Any:
        """Return the `_id` that follows one which is there, or `end`."""
        rows = self._collection.find({}, {"_id": 1}, limit=2, hint=[("_id", 1)])
        rows = rows.min([("_id", self._boundary.stored_id(after))])
        found = list(rows.max([("_id", self._boundary.stored_id(end))]))
        others = [self._boundary.shown_id(row["_id"]) for row in found[1:]]
        return others[0] if others else end

    def read_range(self, start: Any, end: Any) -> list[bytes]:
        """Return all documents of a range."""
        with driver_errors(writing=False), self._find_range(start, end) as cursor:
            return [self._form.bare(each) for batch in cursor for each in split_batch(batch)]

    def _find_range(self, start: Any, end: Any, limit: int = 0) -> Any:
        # Any: batches are bytes, which the driver types as documents.
        cursor = self._collection.find_raw_batches(
            {}, limit=limit, batch_size=BATCH_DOCUMENTS + 1, hint=[("_id", 1)]
        )
        low, high = self._boundary.stored_id(start), self._boundary.stored_id(end)
        return cursor.min([("_id", low)]).max([("_id", high)])

    def read_ids(self, ids: Sequence[Any]) -> Iterator[bytes]:
        """Yield those documents with one of these `_id`s that are there."""
        documents = size = 0
        with driver_errors(writing=False):
            batches: Any = self._collection.find_raw_batches(self._with_ids(ids))
            for batch in batches:
                found = [self._form.bare(each) for each in split_batch(batch)]
                documents, size = documents + len(found), size + sum(map(len, found))
                yield from found
        self._learn(documents, size)

    def read_newer(self, since_ms: int) -> Iterator[bytes]:
        """Yield the documents that were written after a time, in milliseconds since 1970."""
        newer = self._boundary.within({"_meta.updated_at": {"$gt": DatetimeMS(since_ms)}})
        with driver_errors(writing=False):
            batches: Any = self._collection.find_raw_batches(newer)
            for batch in batches:
                yield from (self._form.bare(each) for each in split_batch(batch))

    def _with_ids(self, ids: Sequence[Any]) -> Document:
        return {"_id": {"$in": [self._boundary.stored_id(each) for each in ids]}}

    def insert(self, documents: Iterable[bytes]) -> None:
        """Store documents; one whose `_id` is taken is left as it is.

        Raises AlreadyExists when a unique index refuses one.
        """
        for batch in in_batches(documents):
            stored = [
                RawBSONDocument(self._form.stored(document), RAW_OPTIONS) for document in batch
            ]
            with driver_errors(writing=True):
                try:
                    self._collection.insert_many(stored, ordered=False)
                except BulkWriteError as error:
                    positions_of_taken_ids(error)

    def replace_ids(self, ids: Sequence[Any], documents: Iterable[bytes]) -> None:
        """Make these documents the only ones with these `_id`s.

        Not in one step: for a target that nobody reads yet.
        """
        documents = list(documents)  # read before anything is deleted
        with driver_errors(writing=True):
            self._collection.delete_many(self._with_ids(ids))
        self.insert(documents)

    def carry(self, document: bytes) -> None:
        """Put a late document in its place, unless what is there was written later."""
        stray = decode(self._form.stored(document), CODEC_OPTIONS)
        with driver_errors(writing=True):
            carry_document(self._collection, stray)

    def set_aside(self, document: bytes) -> None:
        """Keep a late document that a unique index refuses, in a collection beside this one."""
        aside = self._collection.database[self._collection.name + STRAY_SUFFIX]
        stray = decode(self._form.stored(document), CODEC_OPTIONS)
        with driver_errors(writing=True):
            aside.replace_one({"_id": stray["_id"]}, stray, upsert=True)

    def delete_late(self, document_id: Any, before_ms: int) -> None:
        """Delete a document, unless it was written later than `before_ms` (since 1970)."""
        newer = {"_meta.updated_at": {"$gt": DatetimeMS(before_ms)}}
        with driver_errors(writing=True):
            self._collection.delete_one({**self._with_ids([document_id]), "$nor": [newer]})

    def write_mark(self, document_id: Any) -> None:
        """Store a document that has nothing but its `_id`."""
        with driver_errors(writing=True):
            self._collection.insert_one({"_id": self._boundary.stored_id(document_id)})

    def find_last_id(self) -> Any:
        """Return the largest `_id`, or FIRST if there is no document."""
        with driver_errors(writing=False):
            rows = list(
                self._collection.find(self._boundary.within({}), {"_id": 1})
                .sort([("_id", -1)])
                .limit(1)
            )
        return self._boundary.shown_id(rows[0]["_id"]) if rows else FIRST

    def count(self) -> int:
        """Return how many documents there are, by walking the `_id` index."""
        with driver_errors(writing=False):
            return self._collection.count_documents(self._boundary.within({}), hint=[("_id", 1)])


def in_batches(documents: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield batches of at most 1,000 documents and little more than 2 MiB."""
    batch, size = list[bytes](), 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if len(batch) == BATCH_DOCUMENTS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
