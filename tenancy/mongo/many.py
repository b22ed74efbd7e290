"""Every document that a filter finds is changed, or none: one transaction, and a bound."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import pymongo
from bson import encode
from django.conf import settings
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from tenancy.exceptions import (
    ClusterUnavailable,
    FieldError,
    MaxAffectedExceeded,
    OutcomeUnknown,
    QueryTimeout,
    TenancyError,
    TransactionConflict,
    ValidationFailed,
)
from tenancy.mongo.clients import Document
from tenancy.mongo.document_rules import format_id, is_id
from tenancy.mongo.errors import driver_errors, refused_writes
from tenancy.mongo.extended_types import CODEC_OPTIONS
from tenancy.mongo.merge_patch import apply_merge_patch
from tenancy.mongo.revisions import next_meta
from tenancy.mongo.writing import BEFORE, WRITE_PROBLEMS, WritableCollection, elements_of

T = TypeVar("T")
MANY_MAX_AFFECTED = 10_000
DRY_RUN_IDS = 10
STEP_DOCUMENTS = 100  # read whole and written by one command
STEP_DELETES = 1_000
# This part of an operation timeout the work may take; the rest is for its commit, or its undoing.
WORKING_SHARE = 0.8
TOO_SLOW = (
    "The documents could not all be changed in time. Nothing was changed. Take a narrower filter,"
    " or one that an index serves, and repeat."
)


@dataclass(frozen=True, slots=True)
class Affected:
    """How many documents a filter found, and how many of them were changed, or deleted."""

    matched: int
    changed: int


@dataclass(frozen=True, slots=True)
class Preview:
    """How many documents a filter finds, and the first few `_id`s."""

    matched: int
    ids: list[Any]


class ManyWriting(WritableCollection):
    """The part of a TenantCollection that changes whatever a filter finds.

    `query` is a filter that has been checked. At most `max_affected` documents (1..10,000) may be
    found: for more, MaxAffectedExceeded is raised. What raises, has changed nothing; but
    OutcomeUnknown if the commit was not answered. QueryTimeout: it would have taken too long;
    where it only came to that because others changed the same documents first, TransactionConflict.
    """

    _has_lost = False

    def preview_many(self, query: Document) -> Preview:
        """Return what `update_many` and `delete_many` would find. Nothing is changed."""
        within = self._boundary.within(query)
        with driver_errors(writing=False):
            matched = self._collection.count_documents(within)
            found = self._collection.find(within, {"_id": 1}, limit=DRY_RUN_IDS, sort=[("_id", 1)])
            ids = [self._bare(each)["_id"] for each in found]
        if not matched:
            self._confirm_absent()
        return Preview(matched, ids)

    def update_many(self, query: Document, patch: Document, *, max_affected: int) -> Affected:
        """Apply an RFC 7396 merge patch to every document found.

        One that the patch leaves as it is keeps its revision, and does not count as changed.
        """
        if "_id" in patch:
            message = "An _id never changes."
            raise ValidationFailed(message, errors=[FieldError("/_id", "id_mismatch", message)])
        return self._in_time(lambda: self._update_found(query, patch, max_affected))

    def delete_many(self, query: Document, *, max_affected: int) -> Affected:
        """Delete every document found."""
        return self._in_time(lambda: self._delete_found(query, max_affected))

    def _in_time(self, work: Callable[[], T]) -> T:
        """Return `work()`, done in a transaction, and given up in time for that to be undone."""
        end = time.monotonic() + WORKING_SHARE * settings.TENANCY_OPERATION_TIMEOUT
        if self._session is None:  # else an attempt of the transaction around may have lost already
            self._has_lost = False
        try:
            return self.in_transaction(lambda: self._attempt(work, end))
        except QueryTimeout as error:
            if self._has_lost:
                raise TransactionConflict from error
            raise

    def _attempt(self, work: Callable[[], T], end: float) -> T:
        """Return `work()`. Raises QueryTimeout when the time is over: nothing is committed yet."""
        try:
            with _until(end):
                return work()
        except TransactionConflict:
            self._has_lost = True
            raise
        except (OutcomeUnknown, QueryTimeout) as error:
            raise QueryTimeout(TOO_SLOW) from error
        except ClusterUnavailable as error:
            if time.monotonic() < end:
                raise
            raise QueryTimeout(TOO_SLOW) from error  # a read was on its way

    def _find_affected(
        self, query: Document, projection: Document, max_affected: int
    ) -> list[Document]:
        """Return what is found, as it is stored. Raises MaxAffectedExceeded."""
        within = self._boundary.within(query)
        with driver_errors(writing=False):
            found = list(
                self._collection.find(
                    within, projection, limit=max_affected + 1, session=self._session
                )
            )
        if len(found) > max_affected:
            extra = {"matched_at_least": len(found), "max_affected": max_affected}
            raise MaxAffectedExceeded(extra=extra)
        if not found:
            self._confirm_absent()
        return found

    def _delete_found(self, query: Document, max_affected: int) -> Affected:
        found = self._find_affected(query, BEFORE, max_affected)
        for start in range(0, len(found), STEP_DELETES):
            some = [each["_id"] for each in found[start : start + STEP_DELETES]]
            with driver_errors(writing=True):
                self._collection.delete_many({"_id": {"$in": some}}, session=self._session)
        self._on_change(-len(found), -sum(map(self._size_before, found)))
        return Affected(len(found), len(found))

    def _update_found(self, query: Document, patch: Document, max_affected: int) -> Affected:
        # The ids first: a cursor of the transaction would come across what it has written.
        ids = [each["_id"] for each in self._find_affected(query, {"_id": 1}, max_affected)]
        changed = grown = 0
        for start in range(0, len(ids), STEP_DOCUMENTS):
            sizes = self._update_step(ids[start : start + STEP_DOCUMENTS], patch)
            changed += len(sizes)
            grown += sum(sizes)
        self._room(0, grown)
        self._on_change(0, grown)
        return Affected(len(ids), changed)

    def _update_step(self, ids: Sequence[Any], patch: Document) -> list[int]:
        """Patch some documents; return by how many bytes those that changed have grown."""
        with driver_errors(writing=False):
            query = {"_id": {"$in": ids}}
            found = list(self._collection.find(query, session=self._session))
        writes, sizes, changed = [], [], []
        for stored in found:
            stored_id, current = stored["_id"], self._bare(stored)
            patched = self._patched(current, patch)
            if patched is not None:
                writes.append(ReplaceOne({"_id": stored_id}, patched[0]))
                sizes.append(patched[1])
                changed.append(current["_id"])
        self._replace_all(writes, changed)
        return sizes

    def _patched(self, current: Document, patch: Document) -> tuple[Any, int] | None:
        """Return what a document becomes, and by how much it grows; None if it stays as it is."""
        before = {key: value for key, value in current.items() if key != "_meta"}
        after = apply_merge_patch(before, patch)
        old = encode(before, codec_options=CODEC_OPTIONS)
        if encode(after, codec_options=CODEC_OPTIONS) == old:
            return None
        meta = next_meta(current, self._by)
        try:
            raw, size = self._ready(after, elements_of({"_meta": meta}))
        except WRITE_PROBLEMS as error:
            raise _of_document(error, current["_id"]) from error
        return raw, size - len(old)

    def _replace_all(self, writes: list[ReplaceOne[Any]], ids: list[Any]) -> None:
        if not writes:
            return
        with driver_errors(writing=True):
            try:
                self._collection.bulk_write(writes, session=self._session)
            except BulkWriteError as error:
                ((at, refusal),) = refused_writes(error).items()
                raise _of_document(refusal, ids[at]) from error


def _of_document(error: TenancyError, document_id: Any) -> TenancyError:
    """Return an error that also says which of the documents it is about."""
    if isinstance(error, WRITE_PROBLEMS) and is_id(document_id):
        error.extra["id"] = format_id(document_id)
    return error


def _until(end: float) -> AbstractContextManager[None]:
    """Bound the driver's calls by a time. Raises QueryTimeout when it has passed."""
    left = end - time.monotonic()
    if left <= 0:  # as a bound, 0 would mean none
        raise QueryTimeout
    return pymongo.timeout(left)
