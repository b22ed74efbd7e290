"""Where attempts and requests are counted: in the memory of the process, or in Redis.

What is done while Redis does not answer is in `accounts.redis_windows`.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.conf import settings

from accounts.limit_windows import MemoryWindows, Taken, Window

if TYPE_CHECKING:
    from accounts.redis_windows import GuardedWindows

_memory = MemoryWindows()
_guarded: "dict[str, GuardedWindows]" = {}
_lock = threading.Lock()


def _place() -> "MemoryWindows | GuardedWindows":
    url = settings.REDIS_URL
    return (_guarded.get(url) or _connect(url)) if url else _memory


def _connect(url: str) -> "GuardedWindows":
    """Return the one place for a URL; nothing is sent to it yet."""
    # Late: the client of Redis is a tenth of all that a start imports, and most have no Redis.
    from accounts.redis_windows import GuardedWindows, RedisWindows

    with _lock:
        if url not in _guarded:
            _guarded[url] = GuardedWindows(RedisWindows(url), _memory)
        return _guarded[url]


def take(windows: Sequence[Window]) -> Taken:
    """Count one in every window, unless any is full: then in none."""
    return _place().take(windows)


def forget(windows: Sequence[Window]) -> None:
    """Empty the windows."""
    _place().forget(windows)


def state() -> str:
    """Return where limits are counted: `ok` is Redis, `degraded` memory in its stead."""
    if not settings.RATE_LIMITS:
        return "off"
    place = _place()
    if isinstance(place, MemoryWindows):
        return "memory"
    place.look()
    return "degraded" if place.is_degraded else "ok"


def forget_everything() -> None:
    """Begin anew, as a new process would; what Redis has stays there."""
    _memory.clear()
    with _lock:
        _guarded.clear()
