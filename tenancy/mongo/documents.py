"""TenantCollection: the only handle to tenant documents.

What it takes and gives is the user's view. How a document is stored, `tenancy.mongo.boundary` says.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from bson import ObjectId, encode
from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from tenancy.exceptions import (
    AlreadyExists,
    DocumentNotFound,
    FieldError,
    PayloadTooLarge,
    PreconditionFailed,
    RevisionConflict,
    ValidationFailed,
)
from tenancy.mongo.boundary import boundary_of
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.errors import driver_errors, duplicate_fields, positions_of_taken_ids
from tenancy.mongo.merge_patch import apply_merge_patch
from tenancy.mongo.revisions import (
    FIRST_REVISION,
    IfMatch,
    bytes_of_meta,
    condition_of,
    first_meta,
    holds,
    meta_of,
    next_meta,
    next_meta_in_server,
    now,
    revision_of,
    shown,
)
from tenancy.names import PlacementAddress

PATCH_ATTEMPTS = 32
PATCH_BACKOFF_SECONDS = 0.002
PAGE_MAX_DOCUMENTS = 1_000
START: Any = object()  # the place before the first document; null may be an `_id`
# What a replaced or deleted document was: its `_id`, its `_meta`, and how large it was.
_BEFORE = {"_meta": 1, "size": {"$bsonSize": "$$ROOT"}}


@dataclass(frozen=True)
class Page:
    """Some documents in `_id` order, and whether there are more."""

    documents: list[Document]
    has_more: bool


class TenantCollection:
    """One logical collection of one tenant, at one placement.

    Raises StalePlacement when MongoDB, or `confirm_absent`, says that the placement has moved on:
    `tenancy.access` repeats the call at the new one. `confirm_absent` is asked before a document
    is created because none was found. `on_change` is told by how many documents, and by how many
    bytes of their fields, an acknowledged write has changed the collection.
    """

    def __init__(
        self,
        address: PlacementAddress,
        logical: str,
        *,
        by: str,
        max_bytes: int,
        confirm_absent: Callable[[], None] = lambda: None,
        on_change: Callable[[int, int], None] = lambda documents, size: None,
    ) -> None:
        self._confirm_absent = confirm_absent
        self._on_change = on_change
        self._address = address
        self._boundary = boundary_of(address, logical)
        self._name = address.physical(logical)
        self._by = by
        self._max_bytes = max_bytes

    @property
    def _collection(self) -> Collection[Document]:
        return get_database(self._address)[self._name]

    def get(self, document_id: Any) -> Document:
        """Return a document, or raise DocumentNotFound. One command."""
        return shown(self._read(document_id))

    def list_page(self, *, limit: int, after: Any = START, query: Document | None = None) -> Page:
        """Return at most `limit` (1..1000) documents in `_id` order, after the given `_id`.

        `query` is a filter that has been checked. `min` and `hint` walk the index itself: a `$gt`
        filter would see only ids of one BSON type.
        """
        wanted, start = self._boundary.within(query or {}), self._boundary.stored_id(None)
        if after is not START:
            start = self._boundary.stored_id(after)
            wanted = {"$and": [{"_id": {"$ne": start}}, wanted]}
        with driver_errors(writing=False):
            cursor = self._collection.find(wanted, sort=[("_id", 1)], limit=limit + 1)
            if after is not START:
                cursor = cursor.min([("_id", start)]).hint([("_id", 1)])
            if after is not START and self._boundary.end is not None:
                cursor = cursor.max([("_id", self._boundary.end)])
            found = [shown(self._bare(document)) for document in cursor.batch_size(limit + 1)]
        return Page(found[:limit], len(found) > limit)

    def count(self, query: Document | None = None) -> int:
        """Return how many documents a checked filter finds; exact, by counting."""
        with driver_errors(writing=False):
            return self._collection.count_documents(self._boundary.within(query or {}))

    def aggregate(self, stages: Iterable[Document]) -> Iterator[Document]:
        """Return what checked pipeline stages make of the documents; only its own are in reach."""
        with driver_errors(writing=False):
            yield from self._collection.aggregate(self._boundary.pipeline(stages))

    def insert(self, fields: Document) -> Document:
        """Store a new document; an `_id` is made if it has none. Raises AlreadyExists."""
        document, size = self._new_document(fields)
        with driver_errors(writing=True):
            self._collection.insert_one(document)
        self._on_change(1, size)
        return shown(self._bare(document))

    def insert_many(self, batch: Iterable[Document]) -> int:
        """Store new documents and return how many; one whose `_id` is taken is left as it is."""
        made = [self._new_document(fields) for fields in batch]
        refused: set[int] = set()
        with driver_errors(writing=True):
            try:
                self._collection.insert_many([document for document, _ in made], ordered=False)
            except BulkWriteError as error:
                refused = positions_of_taken_ids(error)
        stored = [size for index, (_, size) in enumerate(made) if index not in refused]
        self._on_change(len(stored), sum(stored))
        return len(stored)

    def create(self, document_id: Any, fields: Document) -> Document:
        """Store a document under an id that must be free, else raise PreconditionFailed."""
        try:
            return self.insert(_with_id(document_id, fields))
        except AlreadyExists as error:
            if [problem.pointer for problem in error.errors] != ["/_id"]:
                raise
            self._explain_mismatch(document_id)

    def replace(
        self, document_id: Any, fields: Document, *, if_match: IfMatch | None = None
    ) -> tuple[Document, bool]:
        """Replace a document by one atomic command, or create it unless `if_match` is given.

        Return it and whether it was created. Raises DocumentNotFound or PreconditionFailed.
        """
        fields, at = _with_id(document_id, fields), now()
        size = self._check_size(fields)
        with driver_errors(writing=True):
            before = self._replace(fields, at, condition_of(if_match), upsert=False)
        if before is None and if_match is not None:
            self._explain_mismatch(document_id)
        if before is None:
            self._confirm_absent()
            with driver_errors(writing=True):
                before = self._replace(fields, at, {}, upsert=True)
        self._on_change(int(before is None), size - self._size_before(before))
        created_at = meta_of(before or {}).get("created_at", at)
        revision = revision_of(before) + 1 if before else FIRST_REVISION
        meta = {"rev": revision, "created_at": created_at, "updated_at": at}
        return {**fields, "_meta": meta}, before is None

    def patch(
        self, document_id: Any, patch: Document, *, if_match: IfMatch | None = None
    ) -> Document:
        """Apply an RFC 7396 merge patch by compare-and-set on the revision.

        Raises DocumentNotFound, PreconditionFailed, or RevisionConflict when others keep winning.
        """
        _, *changes = _with_id(document_id, patch).items()  # a merge would change an id, too
        for attempt in range(PATCH_ATTEMPTS):
            current = self._read(document_id)
            if not holds(if_match, current):
                self._explain_mismatch(document_id)
            merged = self._swap(current, apply_merge_patch(current, dict(changes)))
            if merged is not None:
                return shown(merged)
            time.sleep(random.uniform(0, PATCH_BACKOFF_SECONDS * attempt))  # noqa: S311 -- jitter
        raise RevisionConflict

    def delete(self, document_id: Any, *, if_match: IfMatch | None = None) -> None:
        """Delete a document. Raises DocumentNotFound or PreconditionFailed."""
        with driver_errors(writing=True):
            before = self._collection.find_one_and_delete(
                self._find_by_id(document_id, condition_of(if_match)), projection=_BEFORE
            )
        if before is None:
            self._explain_mismatch(document_id)
        self._on_change(-1, -self._size_before(before))

    def _find_by_id(self, document_id: Any, condition: Document) -> Document:
        return {"_id": self._boundary.stored_id(document_id), **condition}

    def _stored(self, document: Document) -> Document:
        """Return a document as it is stored: `_id` first."""
        return {**document, "_id": self._boundary.stored_id(document["_id"])}

    def _bare(self, document: Document) -> Document:
        """Give a stored document the `_id` that its user knows."""
        document["_id"] = self._boundary.shown_id(document["_id"])
        return document

    def _size_before(self, before: Document | None) -> int:
        """Return the size of the fields that a document had before it was changed."""
        if before is None:
            return 0
        return int(before["size"]) - bytes_of_meta(before) - self._boundary.id_extra_bytes

    def _new_document(self, fields: Document) -> tuple[Document, int]:
        document = {"_id": fields.get("_id", ObjectId()), **fields}
        size = self._check_size(document)
        return {**self._stored(document), "_meta": first_meta(self._by)}, size

    def _read(self, document_id: Any) -> Document:
        with driver_errors(writing=False):
            document = self._collection.find_one(self._find_by_id(document_id, {}))
        if document is None:
            raise DocumentNotFound
        return self._bare(document)

    def _replace(
        self, fields: Document, at: Any, condition: Document, *, upsert: bool
    ) -> Document | None:
        """Return what was there before (its `_id`, `_meta` and size), or None."""
        query = self._find_by_id(fields["_id"], condition)
        new = [{"$literal": self._stored(fields)}, {"_meta": next_meta_in_server(at, self._by)}]
        for is_last in (False, True):
            try:
                return self._collection.find_one_and_update(
                    query,
                    [{"$replaceWith": {"$mergeObjects": new}}],
                    projection=_BEFORE,
                    upsert=upsert,
                    return_document=ReturnDocument.BEFORE,
                )
            except DuplicateKeyError as error:
                # Two creators at once: the one that lost finds the document and replaces it.
                if is_last or duplicate_fields(error) != ["_id"]:
                    raise
        return None

    def _swap(self, current: Document, merged: Document) -> Document | None:
        """Replace `current` by `merged` if it is still at its revision, else return None."""
        old_size = len(encode(current)) - bytes_of_meta(current)
        merged.pop("_meta", None)
        size = self._check_size(merged)
        merged["_meta"] = next_meta(current, self._by)
        unchanged = condition_of(IfMatch(frozenset({revision_of(current)})))
        with driver_errors(writing=True):
            result = self._collection.replace_one(
                self._find_by_id(current["_id"], unchanged), self._stored(merged)
            )
        if not result.matched_count:
            return None
        self._on_change(0, size - old_size)
        return merged

    def _explain_mismatch(self, document_id: Any) -> NoReturn:
        """Raise DocumentNotFound, or PreconditionFailed with the current revision."""
        revision = revision_of(self._read(document_id))
        raise PreconditionFailed(
            f"The document is at revision {revision}.", extra={"current": f'"r{revision}"'}
        )

    def _check_size(self, document: Document) -> int:
        """Return the size of the fields, or refuse them; `_meta` is ours and does not count."""
        size = len(encode(document))
        if size > self._max_bytes:
            raise PayloadTooLarge(
                f"The document has {size:,} bytes; {self._max_bytes:,} are allowed."
            )
        return size


def _with_id(document_id: Any, fields: Document) -> Document:
    """Return the fields with the id of the path first. Raises ValidationFailed if they differ."""
    if "_id" in fields and not _same_id(fields["_id"], document_id):
        message = "The _id in the body is not the one in the path. An _id never changes."
        raise ValidationFailed(message, errors=[FieldError("/_id", "id_mismatch", message)])
    return {"_id": document_id, **{key: fields[key] for key in fields if key != "_id"}}


def _same_id(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, type(other)) | isinstance(other, type(one))
