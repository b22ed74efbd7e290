"""Store a batch of an import: each document for itself, all in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from tenancy.exceptions import (
    AlreadyExists,
    FieldError,
    InvalidInput,
    TenancyError,
    TransactionConflict,
)
from tenancy.mongo.clients import Document
from tenancy.mongo.errors import driver_errors, has_taken_id, refused_writes
from tenancy.mongo.new_ids import new_id
from tenancy.mongo.revisions import first_meta, next_meta
from tenancy.mongo.writing import BEFORE, WritableCollection, elements_of

TAKEN = "A document with this _id exists already."
# What is wrong with one document.
PROBLEMS = (InvalidInput, AlreadyExists)

# What became of a document: True, it is new; False, it replaced another; or why it was refused.
Outcome = bool | TenancyError
Refused = Mapping[int, TenancyError]


class DocumentRefused(Exception):
    """MongoDB refused one document of a batch, so that the whole transaction was undone."""

    def __init__(self, position: int, reason: TenancyError) -> None:
        super().__init__(reason.detail)
        self.position = position
        self.reason = reason


class ImportWriting(WritableCollection):
    """The part of a TenantCollection that imports need."""

    def store_batch(
        self,
        batch: Sequence[Document],
        *,
        replace: bool,
        refused: Refused,
        stop: bool = False,
        dry_run: bool = False,
    ) -> list[Outcome]:
        """Store documents whose `_id`s differ, in the transaction under way. Return what became.

        One that is there already is replaced, or refused. Those `refused` are known to be, and left
        out. With `stop` nothing behind the first one that is refused is looked at: it is the last
        outcome. With `dry_run` nothing is written. Raises DocumentRefused when MongoDB does not
        take one, as for a unique index, and PlanLimitReached when there is no room for all.
        """
        known = [{"_id": fields.get("_id", new_id()), **fields} for fields in batch]
        before = self._find_before([fields["_id"] for fields in known])
        outcomes, ready, grown = list[Outcome](), dict[int, Any](), 0
        for position, fields in enumerate(known):
            old = before.get(fields["_id"])
            try:
                if position in refused:
                    raise refused[position]
                if old is not None and not replace:
                    raise AlreadyExists(TAKEN, errors=[FieldError("/_id", "already_exists", TAKEN)])
                ready[position], size = self._ready_to_import(fields, old)
            except PROBLEMS as error:
                outcomes.append(error)
                if stop:
                    break
            else:
                outcomes.append(old is None)
                grown += size - self._size_before(old)
        if ready and not dry_run:
            self._write_batch(ready, outcomes, [fields["_id"] for fields in known], grown)
        return outcomes

    def _find_before(self, ids: Sequence[Any]) -> dict[Any, Document]:
        """Return of those that are there: `_id`, `_meta` and size."""
        stored = [self._boundary.stored_id(each) for each in ids]
        with driver_errors(writing=False):
            rows = self._collection.find({"_id": {"$in": stored}}, BEFORE, session=self._session)
            found = list(rows.batch_size(len(ids) + 1))
        return {self._boundary.shown_id(row["_id"]): row for row in found}

    def _ready_to_import(self, fields: Document, old: Document | None) -> tuple[Any, int]:
        meta = first_meta(self._by) if old is None else next_meta(old, self._by)
        return self._ready(fields, elements_of({"_meta": meta}))

    def _write_batch(
        self,
        ready: Mapping[int, Any],
        outcomes: Sequence[Outcome],
        ids: Sequence[Any],
        grown: int,
    ) -> None:
        new = [position for position in ready if outcomes[position] is True]
        old = [position for position in ready if outcomes[position] is False]
        self._room(len(new), grown)
        _assert_all_taken(new, self._insert_unordered([ready[each] for each in new]))
        if old:
            writes = [
                ReplaceOne({"_id": self._boundary.stored_id(ids[each])}, ready[each])
                for each in old
            ]
            with driver_errors(writing=True):
                try:
                    self._collection.bulk_write(writes, session=self._session)
                except BulkWriteError as error:
                    _assert_all_taken(old, refused_writes(error))
        self._on_change(len(new), grown)


def _assert_all_taken(positions: Sequence[int], refused: Refused) -> None:
    """Raise what it means that some of the writes, of documents at these positions, were refused.

    An `_id` that was free a moment ago: somebody was faster, and the next look finds it.
    """
    for index, reason in refused.items():
        if has_taken_id(reason):
            raise TransactionConflict
        if not isinstance(reason, PROBLEMS):
            raise reason
        raise DocumentRefused(positions[index], reason)
