"""Caches with promises: bounded in size, nothing older than the caller allows, read once for all
who ask together."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from django.db import connection

from tenancy.clock import seconds
from tenancy.exceptions import TenancyError

if TYPE_CHECKING:
    from tenancy.second_level import Found, SecondLevel

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# Nobody waits longer than that for what another thread reads: then they read for themselves.
WAIT_MAX_SECONDS = 1.0
NEVER = NOBODY_ELSE = float("-inf")


class Counts(NamedTuple):
    """What a cache has done since the process began, and what it holds.

    hits: it was there; misses: it was read; waits: another thread was reading it; evictions: it
    was dropped for want of room; entries, max_entries: how many it holds, and may.
    """

    hits: int
    misses: int
    waits: int
    evictions: int
    entries: int
    max_entries: int


_counted: dict[str, Callable[[], Counts]] = {}


def all_counts() -> dict[str, Counts]:
    """Return the counts of every cache of this process by its name."""
    return {name: count() for name, count in sorted(_counted.items())}


def show_counts(name: str, count: Callable[[], Counts]) -> None:
    """Have `all_counts` ask this function, too."""
    _counted[name] = count


def in_transaction() -> bool:
    """Return whether this thread sees what nobody else does yet, and what may be undone.

    The transaction that a test case wraps around everything is none of the product's.
    """
    blocks = getattr(connection, "atomic_blocks", ())
    return any(not block._from_testcase for block in blocks)  # noqa: SLF001 -- as `durable` looks


class _Reading(Generic[V]):
    """A read under way, and what came of it for those who wait."""

    __slots__ = ("began", "ended", "error", "has_answer", "is_void", "value", "waiting")

    def __init__(self, began: float) -> None:
        self.began = began
        self.ended = threading.Event()
        self.waiting = 0
        self.is_void = False  # a change was made since it began: nobody joins, nothing is kept
        self.has_answer = False
        self.value: V | None = None
        self.error: Exception | None = None

    @property
    def is_negative(self) -> bool:
        """Whether the answer is that there is no such thing, or that it does not hold."""
        is_refusal = self.error is None or isinstance(self.error, TenancyError)
        return self.has_answer and self.value is None and is_refusal

    def holds_for(self, asked: float, max_age: float) -> bool:
        """Return whether what came of it counts for somebody who asked then, and waited.

        That something is not there, or does not hold, is known by a read alone that began after
        one asked: what has just been made, or made good again, is good at once.
        """
        if self.is_negative:
            return self.began > asked
        return self.has_answer and asked - self.began < max_age  # it may be from Redis, and older

    def outcome(self) -> V | None:
        """Return what was read, or raise why it could not be."""
        if self.error is not None:
            raise self.error
        return self.value


class AgedCache(Generic[K, V]):
    """At most `max_entries` values, each with the time at which its read began.

    The age of a value counts from before it was read, so that the bound holds whatever the read
    took. None is not kept, and neither is an error; an error of the read reaches everybody who
    waits for it. What is read inside a transaction is for its thread alone.

    A hit takes no lock. Hits are counted by `+= 1`, which loses none in CPython 3.11: it switches
    threads where functions are called and loops begin anew, and nowhere else. The rest is exact.
    """

    def __init__(
        self, read: Callable[[K], V | None], *,
        max_entries: int,
        name: str,
        second: "SecondLevel[K, V] | None" = None,
    ) -> None:  # fmt: skip
        self._read, self._second = read, second
        self._max_entries = max_entries
        self._changed = NEVER
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._under_way: dict[K, list[_Reading[V]]] = {}  # the newest last
        self._lock = threading.Lock()
        self._hits = self._misses = self._waits = self._evictions = 0
        show_counts(name, self.counts)

    def find(self, key: K, max_age: float) -> V | None:
        """Return the value, read again when it is `max_age` seconds old or older.

        With 0 it comes from a read that began after this call. Raises what the read does.
        """
        asked = seconds()
        entry = self._entries.get(key)
        if entry is not None and asked - entry[0] < max_age:
            self._hits += 1
            return entry[1]
        return self._find_anew(key, asked, max_age)

    def _find_anew(self, key: K, asked: float, max_age: float) -> V | None:
        if in_transaction():
            with self._lock:
                self._misses += 1
            return self._read(key)
        # What came of the first read may not hold for this caller; then a later one does.
        for bound in (max_age, 0.0, NOBODY_ELSE):
            with self._lock:
                entry = self._entries.get(key)
                if entry is not None and asked - entry[0] < bound:
                    self._hits += 1
                    return entry[1]
                theirs = self._join(key, asked, bound)
                mine = self._begin(key) if theirs is None else None
            if mine is not None:
                return self._run(key, mine, bound)
            if theirs is not None and self._wait(theirs, asked, bound):
                return theirs.outcome()
        raise AssertionError("whoever joins nobody reads")

    def _join(self, key: K, asked: float, max_age: float) -> _Reading[V] | None:
        """Return the newest read under way if it is young enough."""
        under_way = self._under_way.get(key)
        if under_way is None or asked - under_way[-1].began >= max_age:
            return None
        self._waits += 1
        under_way[-1].waiting += 1
        return under_way[-1]

    def _wait(self, reading: _Reading[V], asked: float, max_age: float) -> bool:
        """Return whether something came of it, in time, that counts for this caller."""
        left = asked + WAIT_MAX_SECONDS - seconds()
        return reading.ended.wait(max(0.0, left)) and reading.holds_for(asked, max_age)

    def _begin(self, key: K) -> _Reading[V]:
        self._misses += 1
        mine = _Reading[V](seconds())
        self._under_way.setdefault(key, []).append(mine)
        return mine

    def _run(self, key: K, reading: _Reading[V], max_age: float) -> V | None:
        try:
            if self._second is None or max_age <= 0:
                reading.value = self._read(key)
            else:
                reading.value = self._read_either(key, reading, max_age, self._second)
            reading.has_answer = True
        except Exception as error:
            reading.error, reading.has_answer = error, True
            raise
        finally:
            with self._lock:
                self._land(key, reading)
            reading.ended.set()
        return reading.value

    def _read_either(
        self, key: K, reading: _Reading[V], max_age: float, second: "SecondLevel[K, V]"
    ) -> V | None:
        """Return what Redis has if it is young enough and from after the last change, or read."""
        found = second.find(key)
        if found is not None and found.age < max_age:
            began = reading.began - found.age  # or later: Redis was asked after `reading.began`
            value = self._load(second, found, began) if began > self._changed else None
            if value is not None:
                reading.began = began
                return value
        value = self._read(key)
        if found is not None and value is not None:
            second.keep(key, found.now, value)
        return value

    def _load(self, second: "SecondLevel[K, V]", found: "Found", began: float) -> V | None:
        try:
            return second.load(found.value, began)
        except (ValueError, TypeError):  # it was kept by another version
            return None

    def _land(self, key: K, reading: _Reading[V]) -> None:
        if not reading.is_void:  # else what was read may be from before a change made meanwhile
            self._under_way[key].remove(reading)
            if not self._under_way[key]:
                del self._under_way[key]
            self._keep(key, reading)
        if not reading.waiting:
            reading.error = None  # it holds the frames of this read, and one of these holds it

    def _keep(self, key: K, reading: _Reading[V]) -> None:
        newest = self._entries.get(key)
        if newest is not None and newest[0] > reading.began:
            return
        if reading.is_negative:
            self._entries.pop(key, None)
        if reading.value is None:
            return
        self._entries[key] = (reading.began, reading.value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
            self._evictions += 1

    def forget(self, key: K) -> None:
        """Drop one value, after a change made to it."""
        with self._lock:
            self._changed = seconds()
            self._make_void(self._under_way.pop(key, ()))
            self._entries.pop(key, None)

    def drop(self, **ids: K) -> None:
        """Drop the value whose key is the one id that is given; without any, everything."""
        for key in ids.values():
            self.forget(key)
        if not ids:
            self.clear()

    def forget_if(self, matches: Callable[[V], bool]) -> None:
        """Drop every value that matches: a millisecond for ten thousand values."""
        with self._lock:
            self._make_all_void()
            found = [key for key, (_, value) in self._entries.items() if matches(value)]
            for key in found:
                del self._entries[key]

    def clear(self) -> None:
        """Drop everything, as a new process would have it; what was counted stays."""
        with self._lock:
            self._make_all_void()
            self._entries.clear()

    def _make_all_void(self) -> None:
        self._changed = seconds()
        for under_way in self._under_way.values():
            self._make_void(under_way)
        self._under_way.clear()

    def _make_void(self, readings: Iterable[_Reading[V]]) -> None:
        for reading in readings:
            reading.is_void = True

    def counts(self) -> Counts:
        """Return what it has done since it was made."""
        return Counts(
            self._hits,
            self._misses,
            self._waits,
            self._evictions,
            len(self._entries),
            self._max_entries,
        )
