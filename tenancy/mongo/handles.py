"""What a handle to one logical collection knows, whoever reads or writes through it."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from bson import encode
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern

from tenancy.exceptions import DocumentNotFound, PayloadTooLarge, TransactionConflict
from tenancy.mongo.boundary import boundary_of
from tenancy.mongo.clients import Document, get_client, get_lenient, get_physical
from tenancy.mongo.errors import driver_errors
from tenancy.mongo.point_reads import find_by_id
from tenancy.names import PlacementAddress

T = TypeVar("T")
TRANSACTION_ATTEMPTS = 16
TRANSACTION_BACKOFF_SECONDS = 0.005


def accept(fields: Document) -> None:
    """Have nothing against a document."""


class Handle:
    """One logical collection of one tenant, at one placement.

    What it takes and gives is the user's view; how a document is stored, `tenancy.mongo.boundary`
    says. `confirm_absent` is asked before a document is created because none was found; it raises
    StalePlacement if the placement is not the current one any more, and is there for others as
    `confirm_placement`. `on_change`
    is told by how many documents, and by how many bytes of their fields, an acknowledged write has
    changed the collection. `check` is shown the fields of every document before it is stored, `_id`
    included and `_meta` not, and raises what is against it.
    """

    def __init__(  # noqa: PLR0913 -- what it is, and what is told of it
        self,
        address: PlacementAddress,
        logical: str,
        *,
        by: str,
        max_bytes: int,
        confirm_absent: Callable[[], None] = lambda: None,
        on_change: Callable[[int, int], None] = lambda documents, size: None,
        check: Callable[[Document], None] = accept,
    ) -> None:
        self._confirm_absent = self.confirm_placement = confirm_absent
        self._tell_change = on_change
        self._check = check
        # Which of many fields without their `_id`s, nothing but JSON or not, need not be shown to
        # `check`, because there is nothing against them.
        self._find_fine: Callable[[Sequence[Document], Sequence[bool]], Sequence[bool]] = getattr(
            check, "find_fine", lambda fields, is_json: [check is accept] * len(fields)
        )
        self._address = address
        self._boundary = boundary_of(address, logical)
        self._is_shared = address.kind == "shared"
        self._name = address.physical(logical)
        self._by = by
        self._max_bytes = max_bytes
        self._session: ClientSession | None = None
        # Whether a write was acknowledged, and whether its call may be repeated all the same.
        self.has_written = self.is_repeatable = False
        self._untold: list[tuple[int, int]] = []
        self._waiting: list[Callable[[], None]] = []

    @property
    def address(self) -> PlacementAddress:
        """Where the collection is."""
        return self._address

    @property
    def session(self) -> ClientSession | None:
        """The session of the transaction that is under way, or None."""
        return self._session

    def in_transaction(self, work: Callable[[], T]) -> T:
        """Return `work()`, all of whose calls on this handle are done together or not at all.

        `work` is repeated, with a fresh view, when others changed the same documents first; inside
        of another transaction it is a part of that. Raises TransactionConflict when others keep
        winning, OutcomeUnknown if the commit was not answered, and what `work` raises: then nothing
        was written.
        """
        if self._session is not None:
            return work()
        conflict = TransactionConflict()
        for attempt in range(TRANSACTION_ATTEMPTS):
            try:
                with self._transaction():
                    result = work()
            except TransactionConflict as error:
                conflict = error
                time.sleep(random.uniform(0, TRANSACTION_BACKOFF_SECONDS * attempt))  # noqa: S311
                continue
            self.has_written = True
            self._tell_changes()
            return result
        raise conflict

    def when_committed(self, do: Callable[[], None]) -> None:
        """Call `do` when the transaction that is under way is committed; without one, now."""
        if self._session is None:
            do()
        else:
            self._waiting.append(do)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        client = get_client(self._address.uri)
        self._untold, self._waiting = [], []
        with driver_errors(writing=True), client.start_session() as session:
            snapshot = ReadConcern("snapshot")
            with session.start_transaction(snapshot, client.write_concern):
                self._session = session
                try:
                    yield
                finally:
                    self._session = None

    def _on_change(self, documents: int, size: int) -> None:
        """Tell of a change, or keep it until the transaction is committed."""
        if self._session is None:
            self.has_written = True
            self._tell_change(documents, size)
        else:
            self._untold.append((documents, size))

    def _tell_changes(self) -> None:
        if self._untold:
            self._tell_change(*map(sum, zip(*self._untold, strict=True)))
        for do in self._waiting:
            do()
        self._untold, self._waiting = [], []

    @property
    def _collection(self) -> Collection[Document]:
        return get_physical(self._address, self._name)

    @property
    def _lenient(self) -> Collection[Document]:
        """The same, for commands whose errors may quote a value, and which show no document."""
        return get_lenient(self._address, self._name)

    def _find_by_id(self, document_id: Any, condition: Document) -> Document:
        return {"_id": self._boundary.stored_id(document_id), **condition}

    def _stored(self, document: Document) -> Document:
        """Return a document as it is stored: `_id` first."""
        return {**document, "_id": self._boundary.stored_id(document["_id"])}

    def _bare(self, document: Document) -> Document:
        """Give a stored document the `_id` that its user knows."""
        document["_id"] = self._boundary.shown_id(document["_id"])
        return document

    def _all_bare(self, documents: list[Document]) -> list[Document]:
        """Do the same for many; in a collection of the tenant's own they have that `_id`."""
        return [self._bare(each) for each in documents] if self._is_shared else documents

    def _read(self, document_id: Any) -> Document:
        """Return a document as it is stored, under the `_id` that its user knows."""
        with driver_errors(writing=False):
            stored_id = self._boundary.stored_id(document_id)
            document = find_by_id(self._collection, stored_id, self._session)
        if document is None:
            raise DocumentNotFound
        return self._bare(document)

    def _check_size(self, document: Document) -> int:
        """Return the size of the fields, or refuse them; `_meta` is ours and does not count."""
        size = len(encode(document))
        if size > self._max_bytes:
            raise PayloadTooLarge(
                f"The document has {size:,} bytes; {self._max_bytes:,} are allowed."
            )
        return size
