"""Writes that may be sent more than once: the record of a key lies beside the documents.

It is written in the transaction that writes the documents, so no crash comes between the two. One
collection for each database in which tenants' documents are holds the records, as
`{_id: {o, c, k}, digest, step, state | answer, refused?, transaction?, carried?, created_at,
expires_at}`: `o` is the organization, `c` who asks, `k` the key; `transaction` is its last here,
as changes name it, `carried` the last one at the place that the organization left. It is no logical
collection of anybody.

A write in one transaction:

    found = Record(organization_id, ask).find(documents.address)  # an Answer: that was it
    documents.in_transaction(lambda: ... found.finish(documents, answer))

Work in several transactions goes on from the `Progress` that was found: see there. Views have
`DataViewSet.write` and `write_in_steps`.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bson import Binary
from bson.binary import UUID_SUBTYPE
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from pymongo import IndexModel
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from tenancy.answers import Answer, Ask
from tenancy.exceptions import (
    IdempotencyInProgress,
    IdempotencyKeyReused,
    TenancyError,
    TransactionConflict,
)
from tenancy.mongo.changes import transaction_of
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.errors import driver_errors
from tenancy.mongo.handles import Handle
from tenancy.names import RECORDS_COLLECTION, PlacementAddress

KEPT_MS = 24 * 3600 * 1000
# So often a process makes sure that a database has the index: it may have been dropped and made
# again meanwhile.
ENSURED_FOR_SECONDS = 3600.0
ENSURED_MAX_DATABASES = 10_000
EXPIRES = "expires_at"
TRANSACTION, CARRIED = "transaction", "carried"
# So many answers to requests that have written nothing are kept for each sender, the newest.
REFUSALS_MAX = 1_000
PRUNE_BATCH = 100
_CODEC: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)


class RecordTaken(TransactionConflict):
    """Another attempt under the same key is writing the record."""


_ensured: OrderedDict[tuple[str, str], float] = OrderedDict()
_ensured_lock = threading.Lock()


def records_of(address: PlacementAddress) -> Collection[Document]:
    """Return the collection of records in an address's database; others' are in it, too."""
    return get_database(address).get_collection(RECORDS_COLLECTION, codec_options=_CODEC)


def make_room(address: PlacementAddress) -> None:
    """Make the collection of records in a database, and the indexes by which they are removed.

    Safe to repeat; not within a transaction.
    """
    with driver_errors(writing=True):
        records_of(address).create_indexes([
            IndexModel([(EXPIRES, 1)], expireAfterSeconds=0),
            IndexModel(
                [("_id.o", 1), ("_id.c", 1), ("created_at", -1)],
                name="refusals",
                partialFilterExpression={"refused": True},
            ),
        ])  # fmt: skip


def _ensure_room(address: PlacementAddress) -> None:
    """Do so at most once an hour for each database."""
    place, at = (address.uri, address.database), time.monotonic()
    if at - _ensured.get(place, -ENSURED_FOR_SECONDS) < ENSURED_FOR_SECONDS:
        return
    make_room(address)
    with _ensured_lock:
        _ensured[place] = at
        _ensured.move_to_end(place)
        while len(_ensured) > ENSURED_MAX_DATABASES:
            _ensured.popitem(last=False)


def owner_id(organization_id: UUID) -> Binary:
    """Return what the `_id`s of an organization's records begin with."""
    return Binary(organization_id.bytes, UUID_SUBTYPE)


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Record:
    """What is known of one key of one sender in one organization."""

    organization_id: UUID
    ask: Ask

    @property
    def stored_id(self) -> Document:
        """The `_id` of the record; the order of the keys matters to equality."""
        owner = owner_id(self.organization_id)
        return {"o": owner, "c": self.ask.scope, "k": self.ask.key}

    def find(self, address: PlacementAddress) -> "Answer | Progress":
        """Return what was answered, or how far an earlier attempt has come. One command.

        Raises IdempotencyKeyReused if the key was sent with something else.
        """
        records = records_of(address)
        with driver_errors(writing=False):
            row = records.find_one({"_id": self.stored_id})
        if row is not None and int(row[EXPIRES]) <= now_ms():
            with driver_errors(writing=True):
                records.delete_one({"_id": self.stored_id, EXPIRES: row[EXPIRES]})
            row = None
        if row is None:
            _ensure_room(address)
            return Progress(self)
        if row["digest"] != self.ask.digest:
            raise IdempotencyKeyReused
        if "answer" in row:
            kept = row["answer"]
            return Answer(kept["status"], bytes(kept["body"]), kept["headers"])
        return Progress(self, step=row["step"], state=row["state"])

    def get_answer(self, address: PlacementAddress) -> Answer:
        """Return what was answered. Raises IdempotencyInProgress if nothing was yet."""
        found = self.find(address)
        if isinstance(found, Answer):
            return found
        raise IdempotencyInProgress


def _forget_oldest_refusals(records: Collection[Document], stored_id: Document) -> None:
    """Keep the newest of a sender's."""
    mine = {"_id.o": stored_id["o"], "_id.c": stored_id["c"], "refused": True}
    with driver_errors(writing=True):
        newest_first = records.find(mine, {"_id": 1}).sort("created_at", -1)
        ids = [row["_id"] for row in newest_first.skip(REFUSALS_MAX).limit(PRUNE_BATCH)]
        if ids:
            records.delete_many({"_id": {"$in": ids}, "refused": True})


def _spell(answer: Answer) -> Document:
    return {"status": answer.status, "headers": dict(answer.headers), "body": Binary(answer.body)}


class Progress:
    """How far the work under one key has come, over all attempts; `state` is {} at first.

    For work in several transactions. Every step does its part and `advance`s in one transaction:

        def step() -> None:
            stored = documents.insert_many(batch)
            progress.advance(documents, {"lines": lines, "stored": before + stored})
        documents.in_transaction(step)

    A repeat after a crash is given the `state` of the last step that was committed, and goes on
    from there; so the answer must follow from the state. `documents` may be another handle in each
    step (one `with_collection` for each: a step has one operation timeout), also at another
    placement. Of two attempts that run at the same time one makes each step; the other one's is
    undone, by IdempotencyInProgress. Without a record (no key was sent) `advance` only remembers.

    A state is plain JSON values, well below 16 MB; it is written anew with each step.
    """

    def __init__(
        self, record: Record | None = None, *, step: int = 0, state: Document | None = None
    ) -> None:
        self._record = record
        self._step = step
        self.state: dict[str, Any] = dict(state or {})
        self.answer: Answer | None = None

    @property
    def is_kept(self) -> bool:
        """Whether there is a key, so that a repeat may come."""
        return self._record is not None

    def advance(self, documents: Handle, state: dict[str, Any]) -> None:
        """Note, in the transaction that is under way, that all up to `state` is done.

        `self.state` is the new one once that is committed. Raises IdempotencyInProgress.
        """
        self._note(documents, {"state": state}, lambda: self._take(state))

    def finish(self, documents: Handle, answer: Answer) -> None:
        """Note the answer: in the transaction of the last step, or after it.

        `self.answer` is set once that is committed. Raises IdempotencyInProgress.
        """

        def take() -> None:
            self._step += 1
            self.answer = answer

        self._note(documents, {"answer": _spell(answer)}, take)

    def _take(self, state: dict[str, Any]) -> None:
        self._step += 1
        self.state = state

    def _note(self, documents: Handle, change: Document, then: Callable[[], None]) -> None:
        if self._record is not None:
            self._write(documents.address, documents.session, change)
        documents.when_committed(then)

    def keep(self, address: PlacementAddress, answer: Answer) -> Answer:
        """Note an answer outside of any transaction. Return it, or what another attempt got.

        Where nothing was written, only the newest REFUSALS_MAX of a sender stay. Raises
        IdempotencyInProgress while another attempt is on and has not got any.
        """
        if self._record is None:
            return answer
        refused = {"refused": True} if self._step == 0 else {}
        try:
            self._write(address, None, {"answer": _spell(answer), **refused})
        except IdempotencyInProgress:
            return self._record.get_answer(address)
        if refused:
            with suppress(TenancyError):  # what is too much now goes with the next one
                _forget_oldest_refusals(records_of(address), self._record.stored_id)
        return answer

    def _write(
        self, address: PlacementAddress, session: ClientSession | None, change: Document
    ) -> None:
        try:
            with driver_errors(writing=True):
                self._swap(records_of(address), session, change)
        except TransactionConflict as error:
            raise RecordTaken from error

    def _swap(
        self, records: Collection[Document], session: ClientSession | None, change: Document
    ) -> None:
        """Insert the record, or change it if it still is at this step.

        Raises IdempotencyInProgress if another attempt was first.
        """
        assert self._record is not None
        now = now_ms()
        fresh = {**change, "step": self._step + 1, EXPIRES: DatetimeMS(now + KEPT_MS)}
        if session is not None:
            fresh[TRANSACTION] = Binary(transaction_of(session))
        if self._step == 0:
            new = {
                "_id": self._record.stored_id, "digest": self._record.ask.digest,
                "created_at": DatetimeMS(now), **fresh,
            }  # fmt: skip
            try:
                records.insert_one(new, session=session)
            except DuplicateKeyError as error:
                raise IdempotencyInProgress from error
            return
        unchanged = {
            "_id": self._record.stored_id,
            "step": self._step,
            "answer": {"$exists": False},
        }
        update: Document = {"$set": fresh}
        if "answer" in change:
            update["$unset"] = {"state": ""}
        if not records.update_one(unchanged, update, session=session).matched_count:
            raise IdempotencyInProgress
