"""TenantCollection: the only handle to tenant documents.

Every document carries `_meta: {rev, created_at, updated_at, by}`. One without it, put there by
somebody else, reads as revision 0.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from bson import ObjectId, encode
from bson.datetime_ms import DatetimeMS
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
    StalePlacement,
    ValidationFailed,
)
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.errors import DUPLICATE_KEY, STALE_CODES, driver_errors, duplicate_fields
from tenancy.mongo.merge_patch import apply_merge_patch
from tenancy.names import PlacementAddress

PATCH_ATTEMPTS = 32
PATCH_BACKOFF_SECONDS = 0.002
FIRST_REVISION = 1
PAGE_MAX_DOCUMENTS = 1_000
START: Any = object()  # the place before the first document; null may be an `_id`
REVISION_TYPES = ["int", "long"]  # what counts as a revision, whoever wrote it


@dataclass(frozen=True)
class IfMatch:
    """Write only if the document is there, at one of `revisions`; None stands for any."""

    revisions: frozenset[int] | None


@dataclass(frozen=True)
class Page:
    """Some documents in `_id` order, and whether there are more."""

    documents: list[Document]
    has_more: bool


def _meta_of(document: Document) -> Document:
    meta = document.get("_meta")
    return meta if isinstance(meta, dict) else {}


def revision_of(document: Document) -> int:
    """Return the revision of a stored document; 0 for one that has none."""
    revision = _meta_of(document).get("rev")
    return revision if isinstance(revision, int) and not isinstance(revision, bool) else 0


def _now() -> DatetimeMS:
    return DatetimeMS(time.time_ns() // 1_000_000)


def _filter(document_id: Any, if_match: IfMatch | None) -> Document:
    if if_match is None or if_match.revisions is None:
        return {"_id": document_id}
    matches: Document = {"_meta.rev": {"$in": list(if_match.revisions)}}
    if 0 in if_match.revisions:  # what has no revision is at revision 0
        matches = {"$or": [matches, {"_meta.rev": {"$not": {"$type": REVISION_TYPES}}}]}
    return {"_id": document_id, **matches}


def _holds(if_match: IfMatch | None, document: Document) -> bool:
    if if_match is None or if_match.revisions is None:
        return True
    return revision_of(document) in if_match.revisions


def _shown(document: Document) -> Document:
    """Return the document as clients see it: `_meta` last, without who wrote it."""
    meta = {**_meta_of(document), "rev": revision_of(document)}
    meta.pop("by", None)
    document.pop("_meta", None)
    document["_meta"] = meta
    return document


class TenantCollection:
    """One logical collection of one tenant, at one placement.

    Raises StalePlacement when MongoDB, or `confirm_absent`, says that the placement has moved on:
    `tenancy.access` repeats the call at the new one. `confirm_absent` is asked before a document
    is created because none was found.
    """

    def __init__(
        self,
        address: PlacementAddress,
        logical: str,
        *,
        by: str,
        max_bytes: int,
        confirm_absent: Callable[[], None] = lambda: None,
    ) -> None:
        self._confirm_absent = confirm_absent
        self._address = address
        self._name = address.physical(logical)
        self._by = by
        self._max_bytes = max_bytes

    @property
    def _collection(self) -> Collection[Document]:
        return get_database(self._address)[self._name]

    def get(self, document_id: Any) -> Document:
        """Return a document, or raise DocumentNotFound. One command."""
        return _shown(self._read(document_id))

    def list_page(self, *, limit: int, after: Any = START) -> Page:
        """Return at most `limit` (1..1000) documents in `_id` order, after the given `_id`.

        `min` and `hint` walk the index itself: a `$gt` filter would see only ids of one BSON type.
        """
        with driver_errors(writing=False):
            query = {} if after is START else {"_id": {"$ne": after}}
            cursor = self._collection.find(query, sort=[("_id", 1)], limit=limit + 1)
            if after is not START:
                cursor = cursor.min([("_id", after)]).hint([("_id", 1)])
            found = list(cursor.batch_size(limit + 1))
        return Page([_shown(document) for document in found[:limit]], len(found) > limit)

    def insert(self, fields: Document) -> Document:
        """Store a new document; an `_id` is made if it has none. Raises AlreadyExists."""
        document = self._new_document(fields)
        with driver_errors(writing=True):
            self._collection.insert_one(document)
        return _shown(document)

    def insert_many(self, batch: Iterable[Document]) -> int:
        """Store new documents and return how many; one whose `_id` is taken is left as it is."""
        documents = [self._new_document(fields) for fields in batch]
        with driver_errors(writing=True):
            try:
                self._collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                codes = {refused["code"] for refused in error.details["writeErrors"]}
                if codes & STALE_CODES:
                    raise StalePlacement from error
                if codes != {DUPLICATE_KEY} or error.details["writeConcernErrors"]:
                    raise
                return int(error.details["nInserted"])
        return len(documents)

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
        fields, now = _with_id(document_id, fields), _now()
        self._check_size(fields)
        with driver_errors(writing=True):
            before = self._replace(_filter(document_id, if_match), fields, now, upsert=False)
        if before is None and if_match is not None:
            self._explain_mismatch(document_id)
        if before is None:
            self._confirm_absent()
            with driver_errors(writing=True):
                before = self._replace({"_id": document_id}, fields, now, upsert=True)
        created_at = _meta_of(before or {}).get("created_at", now)
        revision = revision_of(before) + 1 if before else FIRST_REVISION
        meta = {"rev": revision, "created_at": created_at, "updated_at": now}
        return {**fields, "_meta": meta}, before is None

    def patch(
        self, document_id: Any, patch: Document, *, if_match: IfMatch | None = None
    ) -> Document:
        """Apply an RFC 7396 merge patch by compare-and-set on the revision.

        Raises DocumentNotFound, PreconditionFailed, or RevisionConflict when others keep winning.
        """
        changes = _with_id(document_id, patch)
        for attempt in range(PATCH_ATTEMPTS):
            current = self._read(document_id)
            if not _holds(if_match, current):
                self._explain_mismatch(document_id)
            merged = self._swap(current, apply_merge_patch(current, changes))
            if merged is not None:
                return _shown(merged)
            time.sleep(random.uniform(0, PATCH_BACKOFF_SECONDS * attempt))  # noqa: S311 -- jitter
        raise RevisionConflict

    def delete(self, document_id: Any, *, if_match: IfMatch | None = None) -> None:
        """Delete a document. Raises DocumentNotFound or PreconditionFailed."""
        with driver_errors(writing=True):
            result = self._collection.delete_one(_filter(document_id, if_match))
        if not result.deleted_count:
            self._explain_mismatch(document_id)

    def _new_document(self, fields: Document) -> Document:
        document = {"_id": fields.get("_id", ObjectId()), **fields}
        self._check_size(document)
        now = _now()
        meta = {"rev": FIRST_REVISION, "created_at": now, "updated_at": now, "by": self._by}
        return {**document, "_meta": meta}

    def _read(self, document_id: Any) -> Document:
        with driver_errors(writing=False):
            document = self._collection.find_one({"_id": document_id})
        if document is None:
            raise DocumentNotFound
        return document

    def _replace(
        self, query: Document, fields: Document, now: DatetimeMS, *, upsert: bool
    ) -> Document | None:
        """Return what was there before (its `_id` and `_meta`), or None."""
        has_revision = {"$in": [{"$type": "$_meta.rev"}, REVISION_TYPES]}
        meta = {
            "rev": {"$add": [{"$cond": [has_revision, "$_meta.rev", 0]}, 1]},
            "created_at": {"$ifNull": ["$_meta.created_at", now]},
            "updated_at": now,
            "by": {"$literal": self._by},
        }
        for is_last in (False, True):
            try:
                return self._collection.find_one_and_update(
                    query,
                    [{"$replaceWith": {"$mergeObjects": [{"$literal": fields}, {"_meta": meta}]}}],
                    projection={"_meta": 1},
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
        merged.pop("_meta", None)
        self._check_size(merged)
        now = _now()
        merged["_meta"] = {
            "rev": revision_of(current) + 1,
            "created_at": _meta_of(current).get("created_at", now),
            "updated_at": now,
            "by": self._by,
        }
        unchanged = IfMatch(frozenset({revision_of(current)}))
        with driver_errors(writing=True):
            result = self._collection.replace_one(_filter(current["_id"], unchanged), merged)
        return merged if result.matched_count else None

    def _explain_mismatch(self, document_id: Any) -> NoReturn:
        """Raise DocumentNotFound, or PreconditionFailed with the current revision."""
        revision = revision_of(self._read(document_id))
        raise PreconditionFailed(
            f"The document is at revision {revision}.", extra={"current": f'"r{revision}"'}
        )

    def _check_size(self, document: Document) -> None:
        """Refuse what is over the limit; `_meta` is ours and does not count."""
        size = len(encode(document))
        if size > self._max_bytes:
            raise PayloadTooLarge(
                f"The document has {size:,} bytes; {self._max_bytes:,} are allowed."
            )


def _with_id(document_id: Any, fields: Document) -> Document:
    """Return the fields with the id of the path first. Raises ValidationFailed if they differ."""
    if "_id" in fields and not _same_id(fields["_id"], document_id):
        message = "The _id in the body is not the one in the path. An _id never changes."
        raise ValidationFailed(message, errors=[FieldError("/_id", "id_mismatch", message)])
    return {"_id": document_id, **{key: fields[key] for key in fields if key != "_id"}}


def _same_id(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, type(other)) | isinstance(other, type(one))
