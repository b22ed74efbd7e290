"""TenantCollection: the only handle to tenant documents.

What it takes and gives is the user's view. How a document is stored, `tenancy.mongo.boundary` says.
"""

import random
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NoReturn

from bson import encode
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from tenancy.exceptions import (
    AlreadyExists,
    DocumentNotFound,
    NothingToMatch,
    PreconditionFailed,
    RevisionConflict,
)
from tenancy.mongo.bulk import BulkWriting
from tenancy.mongo.clients import Document
from tenancy.mongo.errors import driver_errors, duplicate_fields, has_taken_id
from tenancy.mongo.importing import ImportWriting
from tenancy.mongo.many import ManyWriting
from tenancy.mongo.merge_patch import apply_merge_patch
from tenancy.mongo.new_ids import new_id
from tenancy.mongo.reading import PAGE_MAX_DOCUMENTS, START, Page
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
from tenancy.mongo.writing import BEFORE, elements_of, with_id

__all__ = ["PAGE_MAX_DOCUMENTS", "START", "Page", "TenantCollection"]

PATCH_ATTEMPTS = 32
PATCH_BACKOFF_SECONDS = 0.002


class TenantCollection(BulkWriting, ManyWriting, ImportWriting):
    """One logical collection of one tenant, at one placement: everything a tenant may do with it.

    Raises StalePlacement when MongoDB, or `confirm_absent`, says that the placement has moved on:
    `tenancy.access` repeats the call at the new one.
    """

    def insert(self, fields: Document) -> Document:
        """Store a new document; an `_id` is made if it has none. Raises AlreadyExists."""
        document, size = self._new_document(fields)
        with driver_errors(writing=True):
            self._collection.insert_one(document, session=self._session)
        self._on_change(1, size)
        return shown(self._bare(document))

    def insert_many(self, batch: Iterable[Document]) -> int:
        """Store new documents and return how many; one whose `_id` is taken is left as it is."""
        meta = elements_of({"_meta": first_meta(self._by)})
        made = [
            self._ready({"_id": fields.get("_id", new_id()), **fields}, meta) for fields in batch
        ]
        refused = self._insert_unordered([document for document, _ in made])
        stored = [size for position, (_, size) in enumerate(made) if position not in refused]
        self._on_change(len(stored), sum(stored))
        for error in refused.values():
            if not has_taken_id(error):
                raise error
        return len(stored)

    def create(self, document_id: Any, fields: Document) -> Document:
        """Store a document under an id that must be free, else raise PreconditionFailed."""
        if self._session is not None:  # a refused insert ends the transaction: it explains nothing
            with suppress(DocumentNotFound):
                self._explain_mismatch(document_id)
        try:
            return self.insert(with_id(document_id, fields))
        except AlreadyExists as error:
            if not has_taken_id(error):
                raise
            self._explain_mismatch(document_id)

    def replace(
        self, document_id: Any, fields: Document, *, if_match: IfMatch | None = None
    ) -> tuple[Document, bool]:
        """Replace a document by one atomic command, or create it unless `if_match` is given.

        Return it and whether it was created. Raises PreconditionFailed.
        """
        fields, at = with_id(document_id, fields), now()
        size = self._check_size(fields)
        self._check(fields)
        with driver_errors(writing=True):
            before = self._replace(fields, at, condition_of(if_match), upsert=False)
        if before is None and if_match is not None:
            self._explain_mismatch(document_id, if_match)
        if before is None:
            self._confirm_absent()
            self._room(1, 0)
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
        _, *changes = with_id(document_id, patch).items()  # a merge would change an id, too
        for attempt in range(PATCH_ATTEMPTS):
            current = self._read_to_match(document_id, if_match)
            if not holds(if_match, current):
                raise _mismatch(current)
            merged = self._swap(current, apply_merge_patch(current, dict(changes)))
            if merged is not None:
                return shown(merged)
            time.sleep(random.uniform(0, PATCH_BACKOFF_SECONDS * attempt))  # noqa: S311 -- jitter
        raise RevisionConflict

    def delete(self, document_id: Any, *, if_match: IfMatch | None = None) -> None:
        """Delete a document. Raises DocumentNotFound or PreconditionFailed."""
        with driver_errors(writing=True):
            before = self._collection.find_one_and_delete(
                self._find_by_id(document_id, condition_of(if_match)),
                projection=BEFORE,
                session=self._session,
            )
        if before is None:
            self._explain_mismatch(document_id, if_match)
        self._on_change(-1, -self._size_before(before))

    def _new_document(self, fields: Document) -> tuple[Document, int]:
        document = {"_id": fields.get("_id", new_id()), **fields}
        size = self._check_size(document)
        self._check(document)
        return {**self._stored(document), "_meta": first_meta(self._by)}, size

    def _replace(
        self, fields: Document, at: Any, condition: Document, *, upsert: bool
    ) -> Document | None:
        """Return what was there before (its `_id`, `_meta` and size), or None."""
        query = self._find_by_id(fields["_id"], condition)
        new = [{"$literal": self._stored(fields)}, {"_meta": next_meta_in_server(at, self._by)}]
        for is_last in (False, True):
            try:
                return self._lenient.find_one_and_update(
                    query,
                    [{"$replaceWith": {"$mergeObjects": new}}],
                    projection=BEFORE,
                    upsert=upsert,
                    return_document=ReturnDocument.BEFORE,
                    session=self._session,
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
        self._check(merged)
        merged["_meta"] = next_meta(current, self._by)
        unchanged = condition_of(IfMatch(frozenset({revision_of(current)})))
        with driver_errors(writing=True):
            result = self._collection.replace_one(
                self._find_by_id(current["_id"], unchanged),
                self._stored(merged),
                session=self._session,
            )
        if not result.matched_count:
            return None
        self._on_change(0, size - old_size)
        return merged

    def _explain_mismatch(self, document_id: Any, if_match: IfMatch | None = None) -> NoReturn:
        """Raise PreconditionFailed with the current revision, or what `_read_to_match` does."""
        raise _mismatch(self._read_to_match(document_id, if_match))

    def _read_to_match(self, document_id: Any, if_match: IfMatch | None) -> Document:
        """Return a document as it is stored. Raises DocumentNotFound, or NothingToMatch."""
        try:
            return self._read(document_id)
        except DocumentNotFound:
            if if_match is None or if_match.is_negated:
                raise
            raise NothingToMatch from None


def _mismatch(current: Document) -> PreconditionFailed:
    revision = revision_of(current)
    return PreconditionFailed(
        f"The document is at revision {revision}.", extra={"current": f'"r{revision}"'}
    )
