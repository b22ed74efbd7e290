"""Give all documents of a collection, of one moment, as lines: NDJSON in constant memory.

What can be refused is refused before the first byte. Whatever ends an export later can only be said
in its last line: `{"_export": {"error": {"code", "detail"}}}`; the server ends the answer as if
nothing were wrong. A moment cannot be gone on with elsewhere: after a rename or a move MongoDB does
not show the documents at the new name as they were before.
"""

import hashlib
import logging
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any
from uuid import UUID

from tenancy import catalog
from tenancy.access import check_served, with_collection
from tenancy.clock import seconds
from tenancy.exceptions import (
    QueryTimeout,
    StalePlacement,
    TenancyError,
    TenantBusy,
    TransactionConflict,
)
from tenancy.mongo import extended_json
from tenancy.mongo.clients import ClusterCall
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.exporting import Snapshot
from tenancy.slots import SLOTS, Slot

logger = logging.getLogger("tenantry.exports")

# MongoDB keeps the documents of one moment for so long (minSnapshotHistoryWindowInSeconds).
MAX_SECONDS = 300.0
MOVED = "The collection was renamed, moved or dropped during the export. Start again."
BROKEN_OFF = (StalePlacement, TransactionConflict)
Render = Callable[[list[dict[str, Any]]], bytes]


class Export:
    """The lines of an export, many at a time. Iterate once; close it in any case.

    `count` and `sha256` are those of the lines given so far, each with its line feed; with `footer`
    the last line has them: `{"_export": {"count", "sha256"}}`. `error` is what it ended with.
    """

    def __init__(
        self,
        organization_id: UUID,
        snapshot: Snapshot,
        first: list[dict[str, Any]],
        *,
        uri: str,
        footer: bool = False,
        render: Render = extended_json.dumps_lines,
    ) -> None:
        self._organization_id = organization_id
        self._snapshot = snapshot
        self._uri = uri
        self._footer = footer
        self._render = render
        self._digest = hashlib.sha256()
        self._ends_at = seconds() + MAX_SECONDS
        self._first = first
        self._chunks: Generator[bytes] | None = None  # made late: it refers to this
        self._slot: Slot | None = None
        self._check_allowed: Callable[[], None] = lambda: None
        self.count = 0
        self.error: TenancyError | None = None

    @property
    def sha256(self) -> str:
        """The digest of the lines so far, in hexadecimal."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next lines."""
        if self._chunks is None:
            self._chunks = self._run(self._first)
            self._first = []
        return next(self._chunks)

    def hold(self, slot: Slot) -> None:
        """Give it back when this is closed, or forgotten."""
        self._slot = slot
        weakref.finalize(self, slot.give_back)

    def ask_first(self, check_allowed: Callable[[], None]) -> None:
        """Read nothing more once this raises: whoever exports may not any longer."""
        self._check_allowed = check_allowed

    def close(self) -> None:
        """End the snapshot. Safe to repeat."""
        if self._chunks is not None:
            self._chunks.close()
        self._snapshot.close()
        if self._slot is not None:
            self._slot.give_back()

    def _run(self, found: list[dict[str, Any]]) -> Generator[bytes]:
        try:
            while True:
                if found:
                    yield self._lines_of(found)
                if self._snapshot.is_at_end:
                    break
                found = self._read()
        except TenancyError as error:
            self.error = TenantBusy(MOVED) if isinstance(error, BROKEN_OFF) else error
        except Exception as error:
            logger.exception("An export of organization %s failed", self._organization_id)
            self.error = TenancyError()
            self.error.__cause__ = error
        if self.error is not None:
            told = {"code": self.error.code, "detail": self.error.detail}
            yield extended_json.dumps_lines([{"_export": {"error": told}}])
        elif self._footer:
            whole = {"count": self.count, "sha256": self.sha256}
            yield extended_json.dumps_lines([{"_export": whole}])

    def _read(self) -> list[dict[str, Any]]:
        """Return the next documents, unless who asks, or the organization, is not served any more.

        That they are asked for means that somebody has read those before.
        """
        if self._slot is not None:
            self._slot.moved()
        if seconds() > self._ends_at:
            raise QueryTimeout("The export took longer than 5 minutes.")
        self._check_allowed()
        check_served(catalog.get_tenant(self._organization_id))
        with ClusterCall(self._uri):
            return self._snapshot.read_some()

    def _lines_of(self, found: list[dict[str, Any]]) -> bytes:
        lines = self._render(found)
        self.count += len(found)
        self._digest.update(lines)
        return lines


def open_export(
    organization_id: UUID,
    collection: str,
    *,
    by: str,
    query: dict[str, Any] | None = None,
    footer: bool = False,
    render: Render = extended_json.dumps_lines,
) -> Export:
    """Return the export of what a checked filter finds; its first documents are read already.

    Raises CollectionNotFound, TenantBusy when too many are under way, and what the first read does.
    """
    slot = SLOTS.take(organization_id)
    try:
        export = begin_export(
            organization_id, collection, by=by, query=query, footer=footer, render=render
        )
    except BaseException:
        slot.give_back()
        raise
    export.hold(slot)
    return export


def begin_export(
    organization_id: UUID, collection: str, *, by: str, query: Any = None, **options: Any
) -> Export:
    """The same for whoever has a process to himself."""

    def begin(documents: TenantCollection) -> Export:
        snapshot = Snapshot(documents.address, collection, query)
        try:
            first = snapshot.read_some()
            if not first:
                documents.confirm_placement()
        except BaseException:
            snapshot.close()
            raise
        return Export(organization_id, snapshot, first, uri=documents.address.uri, **options)

    return with_collection(organization_id, collection, begin, by=by)
