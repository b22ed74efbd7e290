"""All documents of one logical collection as they were at one moment.

MongoDB keeps what a snapshot needs for five minutes. Every read is a command of its own, so that
each can have its own deadline: the time limit of a cursor would count for all of its batches.
"""

from typing import Any

from bson import MinKey

from tenancy.exceptions import StalePlacement
from tenancy.mongo.boundary import boundary_of
from tenancy.mongo.clients import Document, get_client, get_database
from tenancy.mongo.errors import driver_errors
from tenancy.mongo.raw_batches import FiniteList, decode_batch, joined
from tenancy.mongo.raw_documents import key_of_id
from tenancy.mongo.revisions import shown
from tenancy.names import PlacementAddress

BATCH_DOCUMENTS = 2_000
BATCH_BYTES = 2 * 1024 * 1024
# How many documents are read before anything is known of their size.
FIRST_DOCUMENTS = 200


class Snapshot:
    """The documents that a checked filter finds, in `_id` order, some at a time. Close it.

    The first read decides which moment it is. Each further one begins with the last document of
    the one before: it is still there, at that moment, unless the collection was renamed, dropped or
    moved away. So nothing that is cut off looks complete; only of a first read that finds nothing
    the caller has to make sure that the placement is the current one.
    """

    def __init__(
        self, address: PlacementAddress, logical: str, query: Document | None = None
    ) -> None:
        self._boundary = boundary_of(address, logical)
        self._query = self._boundary.within(query or {})
        self._collection = get_database(address)[address.physical(logical)]
        self._session = get_client(address.uri).start_session(snapshot=True)
        self._start: Any = self._boundary.stored_id(MinKey())
        self._is_begun = False
        self._fitting = FIRST_DOCUMENTS
        self.is_at_end = False

    def close(self) -> None:
        """Let MongoDB forget it."""
        self._session.end_session()

    def read_some(self) -> list[Document]:
        """Return the next documents as their user knows them: at most 2,000, or little over 2 MiB.

        `is_at_end` says that there are no more. Raises StalePlacement, TransactionConflict when the
        place is not what it was, and QueryTimeout when the moment is too long ago.
        """
        with driver_errors(writing=False):
            rows, size, has_more = self._read()
        self.is_at_end = not has_more
        if self._is_begun:
            self._drop_known(rows)
        self._is_begun = True
        if not rows:
            return []
        self._start = rows[-1]["_id"]
        self._fitting = max(1, min(BATCH_DOCUMENTS, BATCH_BYTES * len(rows) // max(1, size)))
        return type(rows)(self._shown(row) for row in rows)

    def _drop_known(self, rows: list[Document]) -> None:
        """Take the last document of before off."""
        if not rows or key_of_id(rows[0]["_id"]) != key_of_id(self._start):
            raise StalePlacement
        rows.pop(0)

    def _shown(self, row: Document) -> Document:
        row["_id"] = self._boundary.shown_id(row["_id"])
        return shown(row)

    def _read(self) -> tuple[list[Document], int, bool]:
        """Return the documents from `_start` on, their size, and whether more may follow.

        `min` and `hint` walk the index itself: a `$gt` would see ids of one BSON type only.
        """
        asked = self._fitting + self._is_begun
        cursor: Any = self._collection.find_raw_batches(
            self._query, session=self._session, limit=asked, batch_size=asked
        )
        cursor = cursor.min([("_id", self._start)]).hint([("_id", 1)])
        if self._boundary.end is not None:
            cursor = cursor.max([("_id", self._boundary.end)])
        rows: list[Document] = FiniteList()
        size = 0
        with cursor:
            for batch in cursor:
                rows = joined(rows, decode_batch(batch))
                size += len(batch)
                if len(rows) > self._is_begun:  # if they did not come all at once, they are large
                    break
            return rows, size, cursor.alive or len(rows) == asked
