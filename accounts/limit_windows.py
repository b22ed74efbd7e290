"""Windows that slide: each holds the moments of what was counted within its last seconds.

So a limit is exact at every moment. Several windows are taken from together, all or none.
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tenancy.clock import seconds

MEMORY_MAX_KEYS = 50_000  # for each length of window; the one that was counted least recently goes


class Window(NamedTuple):
    """At most `limit` within any `seconds`, under one key."""

    key: str
    limit: int
    seconds: int


class Standing(NamedTuple):
    """How many are left in a window, and in how many seconds it has room for one more."""

    left: int
    reset: float


class Taken(NamedTuple):
    """What came of it: which windows were full (by their number), and how each stands now."""

    full: tuple[int, ...]
    standings: tuple[Standing, ...]


class Windows(Protocol):
    """A place where windows are kept."""

    def take(self, windows: Sequence[Window]) -> Taken:
        """Count one in every window, unless any is full: then in none."""

    def forget(self, windows: Sequence[Window]) -> None:
        """Empty the windows."""


class _Counted(NamedTuple):
    """The moments of a window; those before `first` have left it."""

    moments: list[float]
    first: int

    @property
    def size(self) -> int:
        return len(self.moments) - self.first


class MemoryWindows:
    """Windows in the memory of this process.

    Not the `MemoryStorage` of `limits`: that gives up a key's lock when the key is cleared, so that
    attempts at the same time can exceed a limit, has no bound, and starts a thread every 10 ms.
    """

    def __init__(self, *, max_keys: int = MEMORY_MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._lock = threading.Lock()
        # By length of window, then key; what was counted least recently comes first.
        self._kept: dict[int, OrderedDict[str, list[float]]] = {}

    def take(self, windows: Sequence[Window]) -> Taken:
        """Count one in every window, unless any is full: then in none."""
        now = seconds()
        with self._lock:
            counted = [self._count(window, now) for window in windows]
            full = tuple(
                number for number, window in enumerate(windows)
                if counted[number].size >= window.limit
            )  # fmt: skip
            if not full:
                for window, its in zip(windows, counted, strict=True):
                    self._add(window, its.moments, now)
            return Taken(full, tuple(map(_standing, windows, counted, [now] * len(windows))))

    def forget(self, windows: Sequence[Window]) -> None:
        """Empty the windows."""
        with self._lock:
            for window in windows:
                if kept := self._kept.get(window.seconds):
                    kept.pop(window.key, None)

    def clear(self) -> None:
        """Empty every window."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def _count(self, window: Window, now: float) -> _Counted:
        moments = self._kept.setdefault(window.seconds, OrderedDict()).get(window.key, [])
        first = bisect_right(moments, now - window.seconds)
        if first * 2 > len(moments):  # seldom, so that nobody moves a long list at every request
            del moments[:first]
            first = 0
        return _Counted(moments, first)

    def _add(self, window: Window, moments: list[float], now: float) -> None:
        kept = self._kept[window.seconds]
        moments.append(now)
        kept[window.key] = moments
        kept.move_to_end(window.key)
        # Two at most for each that is added: so the old ones go, and no request pays for many.
        for _ in range(2):
            key, oldest = next(iter(kept.items()))
            if len(kept) <= self._max_keys and oldest and oldest[-1] > now - window.seconds:
                break
            del kept[key]


def _standing(window: Window, its: _Counted, now: float) -> Standing:
    reset = its.moments[its.first] + window.seconds - now if its.size else window.seconds
    return Standing(max(0, window.limit - its.size), reset)
