"""A cache with two promises: bounded in size, and nothing older than the caller allows."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from tenancy.clock import seconds

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class AgedCache(Generic[K, V]):
    """At most `max_entries` values, each with the time at which it was asked for.

    The age of a value counts from before it was read, so that the bound holds whatever the read
    took. None is not kept.
    """

    def __init__(self, read: Callable[[K], V | None], *, max_entries: int) -> None:
        self._read = read
        self._max_entries = max_entries
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()
        self._changed = 0.0

    def find(self, key: K, max_age: float) -> V | None:
        """Return the value, read again when it is `max_age` seconds old or older."""
        asked = seconds()
        entry = self._entries.get(key)
        if entry is not None and asked - entry[0] < max_age:
            return entry[1]
        value = self._read(key)
        with self._lock:
            self._keep(key, asked, value)
        return value

    def _keep(self, key: K, asked: float, value: V | None) -> None:
        newest = self._entries.get(key)
        if asked < self._changed or (newest is not None and newest[0] > asked):
            return  # what was read may be from before a change made meanwhile
        if value is None:
            self._entries.pop(key, None)
            return
        self._entries[key] = (asked, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def forget(self, key: K) -> None:
        """Drop one value, after a change made in this process."""
        with self._lock:
            self._changed = seconds()
            self._entries.pop(key, None)

    def forget_if(self, matches: Callable[[V], bool]) -> None:
        """Drop every value that matches: a millisecond for ten thousand values."""
        with self._lock:
            self._changed = seconds()
            found = [key for key, (_, value) in self._entries.items() if matches(value)]
            for key in found:
                del self._entries[key]

    def clear(self) -> None:
        """Drop everything, as a new process would have it."""
        with self._lock:
            self._changed = seconds()
            self._entries.clear()
