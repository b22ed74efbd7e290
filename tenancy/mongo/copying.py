"""Copy: a tenant's placement copied to another one, kept up with its changes, and verified.

Everything that changes after the noted time comes through the change stream as an `_id`; the
document is then read again. So the copy may read what it likes, when it likes, and a batch that is
done twice does no harm. Documents stay raw BSON from end to end.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from typing import Any, NamedTuple

import pymongo

from tenancy.exceptions import AlreadyExists
from tenancy.mongo import late_writes
from tenancy.mongo.changes import QUESTIONS, SENTINELS, TRACES, Change, Changes
from tenancy.mongo.provisioning import create_collection
from tenancy.mongo.raw_collections import END, FIRST, RawCollection, in_batches
from tenancy.mongo.raw_documents import id_of, key_of, key_of_id, spell_id
from tenancy.names import PlacementAddress

ASKED = Change(QUESTIONS, late_writes.MARK)


def deadline(seconds: float) -> AbstractContextManager[None]:
    """Bound everything that is called in the block, together, whatever other bounds it has."""
    return pymongo.timeout(seconds)


class Copied(NamedTuple):
    """A batch was copied: how much, and where the next one starts."""

    documents: int
    size: int
    start: Any


class Compared(NamedTuple):
    """A range was compared: its documents in the source, and how many ids differed."""

    documents: int
    differing: int


class Copy:
    """One copy in progress. `guarded` surrounds whatever is written.

    With `only`, what happens in other collections is none of its business.
    """

    def __init__(
        self,
        source: PlacementAddress,
        target: PlacementAddress,
        changes: Changes,
        guarded: Callable[[], AbstractContextManager[None]],
        *,
        only: frozenset[str] | None = None,
    ) -> None:
        self._only = only
        self._refused: list[tuple[str, str]] = []
        self._is_asked = False
        self._addresses = (source, target)
        self._sides: dict[str, tuple[RawCollection, RawCollection]] = {}
        self.changes = changes
        self._guarded = guarded
        self._unproven: dict[str, dict[bytes, Any]] = defaultdict(dict)
        self._digest = hashlib.sha256()

    def _both(self, logical: str) -> tuple[RawCollection, RawCollection]:
        """Return a logical collection at the source and at the target."""
        if logical not in self._sides:
            source, target = self._addresses
            with self._guarded():
                create_collection(target, logical)  # it may have been declared a moment ago
            self._sides[logical] = RawCollection(source, logical), RawCollection(target, logical)
        return self._sides[logical]

    def takes(self, logical: str) -> bool:
        """Return whether a collection is to be copied."""
        return self._only is None or logical in self._only

    def find_end(self, logical: str) -> Any:
        """Return the `_id` up to which to copy: what is written beyond it later is a change."""
        return self._both(logical)[0].find_last_id()

    def copy_batches(self, logical: str, start: Any, end: Any) -> Iterator[Copied]:
        """Copy `start <= _id <= end`, reading one batch ahead; yield after each batch."""
        source, target = self._both(logical)
        if end == FIRST:  # it was empty when its end was looked for
            yield Copied(0, 0, END)
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(source.read_some, start, end)
            while True:
                documents, following = ahead.result()
                if following is not end:
                    ahead = reader.submit(source.read_some, following, end)
                for batch in in_batches(documents):
                    with self._guarded():
                        target.insert(batch)
                if following is end:
                    break
                yield Copied(len(documents), sum(map(len, documents)), following)
        self.apply([Change(logical, end)])
        yield Copied(len(documents) + 1, sum(map(len, documents)), END)

    def catch_up(self, *, until: Change | None = None) -> tuple[int, bool]:
        """Apply the next changes. Return how many there were, and whether `until` was seen."""
        before = self.changes.token
        changes = self.changes.read_some(until=until)
        try:
            self.apply(changes)
        except BaseException:
            self.changes.go_back(before)
            raise
        return len(changes), until in changes

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the changed documents in the target what they are in the source now."""
        changed = self._by_collection(changes)
        for logical, ids in changed.items():
            self._unproven[logical].update(ids)  # whatever goes wrong below, they are looked at
        for logical, ids in changed.items():
            source, target = self._both(logical)
            for some in source.in_chunks(list(ids.values())):
                with self._guarded():
                    target.replace_ids(some, source.read_ids(some))

    def write_sentinel(self, name: str) -> Change:
        """Write to the source what, once it is seen among the changes, shows that all are seen."""
        source, _ = self._addresses
        with self._guarded():
            RawCollection(source, SENTINELS).write_mark(name)
        return Change(SENTINELS, name)

    def compare(self, logical: str) -> Iterator[Compared]:
        """Compare every range of a collection, byte by byte, while it changes.

        What differs is unproven until `prove` has found it equal.
        """
        source, target = self._both(logical)
        start: Any = FIRST
        while start is not END:
            documents, following = source.read_some(start)
            here, there = _by_key(documents), _by_key(target.read_range(start, following))
            differing = _differences(here, there)
            self._unproven[logical].update(differing)
            for document in documents:
                self._digest.update(document)
            yield Compared(len(documents), len(differing))
            start = following

    def prove(self) -> int:
        """Compare what is unproven, document by document. Return how many differ still."""
        for logical, ids in list(self._unproven.items()):
            source, target = self._both(logical)
            differing: dict[bytes, Any] = {}
            for some in source.in_chunks(list(ids.values())):
                here, there = _by_key(source.read_ids(some)), _by_key(target.read_ids(some))
                differing |= _differences(here, there)
            self._unproven[logical] = differing
        return sum(map(len, self._unproven.values()))

    def mend(self) -> None:
        """Copy what is unproven once more."""
        self.apply(
            [Change(name, each) for name, ids in self._unproven.items() for each in ids.values()]
        )

    def counts(self, logical: str) -> tuple[int, int]:
        """Return how many documents source and target have; both are counted at once."""
        source, target = self._both(logical)
        with ThreadPoolExecutor(1) as other:
            there = other.submit(copy_context().run, target.count)  # under the same deadline
            return source.count(), there.result()

    def begin_digest(self) -> None:
        """Begin to compare from the start."""
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The SHA-256 of the source's documents in the order in which they were compared."""
        return self._digest.hexdigest()

    def catch_late(
        self,
        switched_at_ms: int,
        *,
        until: Change | None = None,
        find_repeated: Callable[[], Set[bytes]] = frozenset,
    ) -> tuple[int, bool]:
        """As `catch_up`, after the switch: a later write at the target stays.

        Of transactions that were repeated there nothing is carried; which these are is asked when
        the changes are known.
        """
        before = self.changes.token
        changes = self.changes.read_some(until=until)
        self._is_asked |= ASKED in changes
        try:
            repeated = find_repeated()
            late = [each for each in changes if each.transaction not in repeated]
            return self._carry_late(late, switched_at_ms), until in changes
        except BaseException:
            self.changes.go_back(before)
            raise

    def carry_newer(self, logicals: Iterable[str], since_ms: int) -> int:
        """Carry over the source's documents that were written after a time; return how many."""
        carried = 0
        for logical in logicals:
            source, target = self._both(logical)
            for document in source.read_newer(since_ms):
                with self._guarded():
                    self._carry(target, document)
                carried += 1
        return carried

    def _carry(self, target: RawCollection, document: bytes) -> None:
        """Carry a late document home; what a unique index refuses is set aside beside it."""
        try:
            target.carry(document)
        except AlreadyExists:
            target.set_aside(document)
            self._refused.append((target.logical, spell_id(id_of(document))))

    def take_refused(self) -> list[tuple[str, str]]:
        """Return which late documents were set aside since the last call: collection and `_id`."""
        refused, self._refused = self._refused, []
        return refused

    def take_asked(self) -> bool:
        """Return whether a late writer has asked, since the last call, for what it has written."""
        asked, self._is_asked = self._is_asked, False
        return asked

    def _by_collection(self, changes: Iterable[Change]) -> dict[str, dict[bytes, Any]]:
        """Return the changed `_id`s of each collection, each once; traces are no documents."""
        found: dict[str, dict[bytes, Any]] = defaultdict(dict)
        for logical, document_id, _ in changes:
            if logical not in TRACES and self.takes(logical):
                found[logical][key_of_id(document_id)] = document_id
        return found

    def _carry_late(self, changes: Iterable[Change], switched_at_ms: int) -> int:
        carried = 0
        for logical, ids in self._by_collection(changes).items():
            source, target = self._both(logical)
            for key, document_id in ids.items():
                late = [each for each in source.read_ids([document_id]) if key_of(each) == key]
                with self._guarded():
                    for document in late:
                        self._carry(target, document)
                    if not late:
                        target.delete_late(document_id, switched_at_ms)
                carried += 1
        return carried


def _by_key(documents: Iterable[bytes]) -> dict[bytes, bytes]:
    return {key_of(document): document for document in documents}


def _differences(here: dict[bytes, bytes], there: dict[bytes, bytes]) -> dict[bytes, Any]:
    """Return the `_id`s of what is not the same on both sides."""
    differing = [key for key in here | there if here.get(key) != there.get(key)]
    return {key: id_of(here.get(key) or there[key]) for key in differing}
