"""The records of an organization's keys, when it moves to another database: they go along.

A write that was sent to the source right before the switch may be committed there after it, when
its sender has given up and repeated it at the target, where no record was yet. Its record then
meets the repeat's: the record of the repeat stays, and of that transaction nothing is carried, for
all of it has been done again. Within one database both are after the same record: one gets it.
Only where changes can no longer be followed, transactions are not known, and a document whose `_id`
was made twice is carried beside the other.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from uuid import UUID

from bson import MaxKey
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from django.conf import settings
from pymongo import ReplaceOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from tenancy.mongo.clients import Document
from tenancy.mongo.errors import DUPLICATE_KEY, driver_errors
from tenancy.mongo.once import (
    CARRIED,
    EXPIRES,
    KEPT_MS,
    TRANSACTION,
    make_room,
    now_ms,
    owner_id,
    records_of,
)
from tenancy.names import PlacementAddress

Guarded = Callable[[], AbstractContextManager[None]]

BATCH_RECORDS = 200
BATCH_BYTES = 4_000_000
FORGET_BATCH = 1_000
# The clocks of two processes may differ by as much.
SKEW_MS = 2_000
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS
)


class CarriedRecords:
    """What one runner has carried of an organization's records, from one database to another one.

    `bring` is called again and again: the first time it carries all, from then on what was written
    since. A record says when it was written by when it expires; it is written within one operation
    timeout of that. Within one database there is nothing to do.
    """

    def __init__(
        self,
        source: PlacementAddress,
        target: PlacementAddress,
        organization_id: UUID,
        guarded: Guarded,
    ) -> None:
        self._places = source, target
        self._owner = owner_id(organization_id)
        self._guarded = guarded
        self._since_ms = 0
        self._known: dict[bytes, int] = {}
        self.repeated = set[bytes]()

    def bring(self) -> int:
        """Carry what is new. Return how many records that were.

        Records of the last seconds are read again; only those that are new, or have changed, are
        written. The transactions at the source that were done again at the target are in `repeated`
        from then on.
        """
        source, target = self._places
        if (source.cluster, source.database) == (target.cluster, target.database):
            return 0
        began, carried = now_ms(), 0
        for batch in self._new():
            if not self._since_ms and not carried:
                make_room(target)
            with self._guarded(), driver_errors(writing=True):
                self.repeated |= _put(records_of(target), batch)
            self._known |= {bytes(row["_id"].raw): int(row[EXPIRES]) for row in batch}
            carried += len(batch)
        self._since_ms = (
            began + KEPT_MS - SKEW_MS - round(settings.TENANCY_OPERATION_TIMEOUT * 1000)
        )
        self._known = {key: at for key, at in self._known.items() if at >= self._since_ms}
        return carried

    def _new(self) -> Iterator[list[RawBSONDocument]]:
        records = records_of(self._places[0]).with_options(_RAW)
        wanted: Document = {"_id": _range(self._owner), EXPIRES: {"$gt": DatetimeMS(now_ms())}}
        if self._since_ms:  # by the index of the times, whose end this is
            wanted = {EXPIRES: {"$gte": DatetimeMS(self._since_ms)}, "_id.o": self._owner}
        batch, size = list[RawBSONDocument](), 0
        with driver_errors(writing=False):
            for row in records.find(wanted):
                if self._known.get(bytes(row["_id"].raw)) == int(row[EXPIRES]):
                    continue
                batch.append(row)
                size += len(row.raw)
                if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch


def forget(address: PlacementAddress, organization_id: UUID, guarded: Guarded) -> int:
    """Remove an organization's records from a database. Return how many."""
    records, mine = records_of(address), {"_id": _range(owner_id(organization_id))}
    removed = 0
    while True:
        with guarded(), driver_errors(writing=True):
            ids = [row["_id"] for row in records.find(mine, {"_id": 1}, limit=FORGET_BATCH)]
            if ids:
                removed += records.delete_many({"_id": {"$in": ids}}).deleted_count
        if len(ids) < FORGET_BATCH:
            return removed


def _range(owner: object) -> Document:
    return {"$gte": {"o": owner}, "$lt": {"o": owner, "c": MaxKey()}}


def _put(records: Collection[Document], batch: list[RawBSONDocument]) -> set[bytes]:
    """Put records in their place, but where one is that has come as far.

    Return the transactions of those whose work was done again, by the record that is there.
    """
    puts = [ReplaceOne(_gives_way(row), _carried(row), upsert=True) for row in batch]
    try:
        records.bulk_write(puts, ordered=False)
    except BulkWriteError as error:
        problems = error.details["writeErrors"]
        if {each["code"] for each in problems} != {DUPLICATE_KEY}:
            raise
        return _find_repeated(records, [batch[each["index"]] for each in problems])
    return set()


def _gives_way(row: RawBSONDocument) -> Document:
    """Return which record at the target gives way to the source's.

    One that knows fewer steps, or was carried, and not written since, and is older.
    """
    carried = {TRANSACTION: None, EXPIRES: {"$lt": row[EXPIRES]}}
    return {"_id": row["_id"], "$or": [{"step": {"$lt": row["step"]}}, carried]}


def _carried(row: RawBSONDocument) -> Document:
    record = dict(row)
    last = record.pop(TRANSACTION, None)
    return record if last is None else {**record, CARRIED: last}


def _find_repeated(records: Collection[Document], rows: list[RawBSONDocument]) -> set[bytes]:
    """Return the transactions of records whose place is taken by another attempt that has written.

    It is the same one if it went on from what was carried before.
    """
    ours = {bytes(row["_id"].raw): row for row in rows if row.get(TRANSACTION) is not None}
    taken = records.with_options(_RAW).find({"_id": {"$in": [row["_id"] for row in ours.values()]}})
    found = set[bytes]()
    for other in taken:
        row = ours[bytes(other["_id"].raw)]
        mine, theirs = bytes(row[TRANSACTION]), other.get(TRANSACTION)
        is_same = CARRIED in other and bytes(other[CARRIED]) == mine
        if theirs is not None and not is_same and other["digest"] == row["digest"]:
            found.add(mine)
    return found
