"""Windows that slide: each holds the moments of what was counted within its last seconds.

So a limit is exact at every moment. Several windows are taken from together, all or none.
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tenancy.clock import seconds

# For each length of window; of more the one goes that was asked for least recently, full ones last.
MEMORY_MAX_KEYS = 50_000
# How many are looked at for each that is added: so the old ones go, and no request pays for many.
MEMORY_LOOKS = 8


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


@dataclass(slots=True)
class _Kept:
    """The moments of a window, the oldest first, and the limit it had when it was last counted.

    Those before `first` had left it when it was last looked at.
    """

    moments: list[float] = field(default_factory=list)
    limit: int = 0
    first: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.moments) >= self.limit


class MemoryWindows:
    """Windows in the memory of this process.

    Not the `MemoryStorage` of `limits`: that gives up a key's lock when the key is cleared, so that
    attempts at the same time can exceed a limit, has no bound, and starts a thread every 10 ms.
    """

    def __init__(self, *, max_keys: int = MEMORY_MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._lock = threading.Lock()
        # By length of window, then key; what was asked for least recently comes first.
        self._kept: dict[int, OrderedDict[str, _Kept]] = {}

    def take(self, windows: Sequence[Window]) -> Taken:
        """Count one in every window, unless any is full: then in none."""
        now = seconds()
        with self._lock:
            found = [self._find(window, now) for window in windows]
            full = tuple(
                number
                for number, window in enumerate(windows)
                if len(found[number].moments) - found[number].first >= window.limit
            )
            for number in full:
                self._hold(windows[number])
            if not full:
                for window, kept in zip(windows, found, strict=True):
                    self._add(window, kept, now)
            return Taken(full, tuple(map(_standing, windows, found, [now] * len(windows))))

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

    def _find(self, window: Window, now: float) -> _Kept:
        """Return what is kept of a window, or nothing yet, without what has left it."""
        of_length = self._kept.get(window.seconds)
        if of_length is None:
            of_length = self._kept[window.seconds] = OrderedDict()
        kept = of_length.get(window.key) or _Kept()
        kept.first = bisect_right(kept.moments, now - window.seconds)
        if kept.first * 2 > len(kept.moments):  # seldom: nobody moves a long list at every request
            del kept.moments[: kept.first]
            kept.first = 0
        return kept

    def _hold(self, window: Window) -> None:
        """Keep a full window that somebody tries again for as long as one that is counted."""
        kept = self._kept[window.seconds]
        if window.key in kept:
            kept.move_to_end(window.key)

    def _add(self, window: Window, its: _Kept, now: float) -> None:
        kept = self._kept[window.seconds]
        its.moments.append(now)
        its.limit = window.limit
        kept[window.key] = its
        kept.move_to_end(window.key)
        self._make_room(kept, now - window.seconds)
        while len(kept) > self._max_keys:
            kept.popitem(last=False)

    def _make_room(self, kept: OrderedDict[str, _Kept], since: float) -> None:
        """Remove what has aged, and of too many the oldest; full ones get a second chance.

        Else whoever is held by a full window would flush it with other keys.
        """
        for _ in range(MEMORY_LOOKS):
            key, oldest = next(iter(kept.items()))
            has_aged = not oldest.moments or oldest.moments[-1] <= since
            if not has_aged and len(kept) <= self._max_keys:
                return
            if not has_aged and oldest.is_full:
                kept.move_to_end(key)
            else:
                del kept[key]


def _standing(window: Window, kept: _Kept, now: float) -> Standing:
    size = len(kept.moments) - kept.first
    reset = kept.moments[kept.first] + window.seconds - now if size else window.seconds
    return Standing(max(0, window.limit - size), reset)
