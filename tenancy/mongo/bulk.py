"""Many operations on the documents of a collection, one after another or all or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from pymongo import DeleteOne, InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError

from tenancy.exceptions import (
    BulkAborted,
    FieldError,
    PlanLimitReached,
    TenancyError,
    TransactionConflict,
)
from tenancy.mongo.bulk_plan import (
    Change,
    Held,
    Inserts,
    Outcome,
    Plan,
    failure,
    located,
)
from tenancy.mongo.clients import Document
from tenancy.mongo.errors import driver_errors, refused_writes
from tenancy.mongo.inserting import InsertWriting, Note, Numbered, tell_inserts
from tenancy.mongo.once import RecordTaken
from tenancy.mongo.revisions import FIRST_REVISION, meta_of
from tenancy.mongo.writing import (
    BEFORE,
    WRITE_PROBLEMS,
)

BULK_MAX_OPERATIONS = 1_000
# So many documents are read and written by one command; patches have them in memory whole.
STEP_OPERATIONS = 100
# Fewer inserts in a row go with what is beside them.
RUN_MIN_INSERTS = 20
ABORTED_MAX_ERRORS = 100


class _Refused(Exception):
    """MongoDB refused one write of a transaction, which is undone."""

    def __init__(self, position: int, error: TenancyError) -> None:
        super().__init__(position)
        self.position, self.error = position, error


class BulkWriting(InsertWriting):
    """The part of a TenantCollection that does many operations."""

    def bulk(self, changes: Numbered, note: Note, *, in_steps: bool) -> None:
        """Do operations in order, each for itself; `note` is told the outcomes, by their numbers.

        What was told is done, and must not be asked for again by whoever repeats the call. With
        `in_steps`, `note` is called within the transaction that does what it is told, and may
        write, too: then what was noted there holds if, and only if, it was done.

        Raises StalePlacement, OutcomeUnknown and the like; never what is wrong with an operation.
        """
        for is_run, part in _parts(changes, in_steps=in_steps):
            if is_run:
                self._insert_run(part, note)
            else:
                self._in_segments(part, note)

    def insert_together(self, inserts: Inserts, note: Note) -> None:
        """Do the same with inserts, by one command if nothing is against any of them."""
        ready = self._ready_together(inserts)
        if ready is None:
            self.bulk(list(enumerate(inserts)), note, in_steps=False)
            return
        refused = self._insert_counted(*ready)
        if refused:
            tell_inserts(list(enumerate(inserts)), refused, {}, note)
            return
        ids = enumerate(inserts.ids)
        note({n: Outcome("insert", each, "created", FIRST_REVISION) for n, each in ids})

    def bulk_atomically(self, changes: Numbered) -> dict[int, Outcome]:
        """Do all of the operations, in order, or none.

        Raises BulkAborted: its `errors` say which failed, by `/operations/<number>`.
        """
        known = {number: each.error for number, each in changes if each.error is not None}
        if known:
            raise _aborted(changes, known)
        try:
            return self.in_transaction(partial(self._do_all, changes))
        except _Refused as refused:
            failed = {changes[refused.position][0]: refused.error}
            raise _aborted(changes, failed) from refused

    def foresee_atomic(self, changes: Numbered) -> None:
        """Raise BulkAborted if `bulk_atomically` would in a collection with nothing in it.

        No command: nothing needs to be made to find that out.
        """
        plan = Plan({}, by=self._by, ready=self._ready, room=self._room_after)
        done = {number: plan.apply(change) for number, change in changes}
        failed = {number: each.error for number, each in done.items() if each.error is not None}
        if failed:
            raise _aborted(changes, failed)

    def _do_all(self, changes: Numbered) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        for start in range(0, len(changes), STEP_OPERATIONS):
            plan, done = self._plan(changes[start : start + STEP_OPERATIONS])
            failed = {number: each.error for number, each in done.items() if each.error is not None}
            if failed:
                raise _aborted(changes, failed)
            self._write(plan, start)
            outcomes |= done
        return outcomes

    def _insert_run(self, run: Numbered, note: Note) -> None:
        """Insert by one command, outside of a transaction."""
        outcomes: dict[int, Outcome] = {}
        kept, documents, sizes = list[tuple[int, Change]](), list[Any](), list[int]()
        made = self._ready_run([change for _, change in run])
        for each, ready in zip(run, made, strict=True):
            if isinstance(ready, TenancyError):
                outcomes[each[0]] = failure(each[1], ready)
            else:
                kept.append(each)
                documents.append(ready[0])
                sizes.append(ready[1])
        try:
            self._room(len(kept), sum(sizes))
        except PlanLimitReached:
            self._in_segments(run, note)  # where each is asked for itself
            return
        tell_inserts(kept, self._insert_counted(documents, sizes), outcomes, note)

    def _in_segments(self, part: Numbered, note: Note) -> None:
        """Do some operations in each transaction.

        A write that MongoDB refuses ends its transaction: the segment is cut behind it and done
        once more, without it. So each operation is sent twice at most.
        """
        todo, length = list(part), STEP_OPERATIONS
        while todo:
            segment = todo[:length]
            try:
                self.in_transaction(partial(self._do_segment, segment, note))
            except _Refused as refused:
                number, change = segment[refused.position]
                todo[refused.position] = number, change._replace(error=refused.error)
                length = refused.position + 1
            except TransactionConflict as error:
                if length == 1 or isinstance(error, RecordTaken):
                    raise
                length = max(1, length // 8)
            else:
                todo = todo[length:]
                length = min(2 * length, STEP_OPERATIONS)

    def _do_segment(self, segment: Numbered, note: Note) -> None:
        plan, outcomes = self._plan(segment)
        self._write(plan, 0)
        note(outcomes)

    def _plan(self, changes: Numbered) -> tuple[Plan, dict[int, Outcome]]:
        """Return the writes, each with the position of its operation, and the outcomes."""
        held = self._hold([change for _, change in changes if change.error is None])
        plan = Plan(held, by=self._by, ready=self._ready, room=self._room_after)
        outcomes = {}
        for position, (number, change) in enumerate(changes):
            plan.position = position
            outcomes[number] = plan.apply(change)
        if plan.is_doubtful:
            self._confirm_absent()
        return plan, outcomes

    def _hold(self, changes: Sequence[Change]) -> dict[Any, Held]:
        """Return what there is of the documents that operations are about."""
        whole = {change.document_id for change in changes if change.op == "patch"}
        others = {change.document_id for change in changes} - whole
        held = {}
        for found in self._find_ids(others, BEFORE):
            held[found["_id"]] = Held(meta_of(found), self._size_before(found))
        for found in self._find_ids(whole, {"document": "$$ROOT", **BEFORE}):
            fields = self._bare(found["document"])
            fields.pop("_meta", None)
            held[found["_id"]] = Held(meta_of(found), self._size_before(found), fields)
        return held

    def _find_ids(self, ids: set[Any], projection: Document) -> Iterator[Document]:
        if not ids:
            return
        query = {"_id": {"$in": [self._boundary.stored_id(each) for each in ids]}}
        with driver_errors(writing=False):
            for found in self._collection.find(query, projection, session=self._session):
                yield self._bare(found)

    def _room_after(self, documents: int, size: int) -> None:
        """Ask for room beside what the transaction has taken already."""
        before = [sum(each) for each in zip(*self._untold, strict=True)] or [0, 0]
        self._room(documents + before[0], size + before[1])

    def _write(self, plan: Plan, offset: int) -> None:
        """Send the writes of a plan. Raises _Refused for the first that is refused."""
        if not plan.writes:
            return
        with driver_errors(writing=True):
            try:
                self._collection.bulk_write(
                    [self._request(*write[1:]) for write in plan.writes], session=self._session
                )
            except BulkWriteError as error:
                ((at, refusal),) = refused_writes(error).items()
                if not isinstance(refusal, WRITE_PROBLEMS):
                    raise refusal from error
                raise _Refused(offset + plan.writes[at][0], refusal) from error
        self._on_change(plan.documents, plan.bytes)

    def _request(self, kind: str, document_id: Any, raw: Any) -> Any:
        if kind == "insert":
            return InsertOne(raw)
        query = {"_id": self._boundary.stored_id(document_id)}
        return ReplaceOne(query, raw) if kind == "replace" else DeleteOne(query)


def _parts(changes: Numbered, *, in_steps: bool) -> Iterator[tuple[bool, Numbered]]:
    """Split operations into long runs of inserts and what lies between these."""
    waiting: list[tuple[int, Change]] = []
    for is_insert, group in groupby(changes, lambda each: each[1].op == "insert"):
        part = list(group)
        if in_steps or not is_insert or len(part) < RUN_MIN_INSERTS:
            waiting += part
            continue
        if waiting:
            yield False, waiting
        waiting = []
        yield True, part
    if waiting:
        yield False, waiting


def _aborted(changes: Numbered, failed: Mapping[int, TenancyError]) -> BulkAborted:
    errors: list[FieldError] = []
    for number, change in changes:
        if (error := failed.get(number)) is not None:
            whole = FieldError(f"/operations/{number}", error.code, error.detail)
            errors += [*located(number, change, error)] or [whole]
    return BulkAborted(errors=errors[:ABORTED_MAX_ERRORS])
