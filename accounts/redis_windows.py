"""Windows in Redis, and what counts while it does not answer.

Redis that fails or hangs costs the requests that meet it first a short time-out each. From then on
memory counts, and one thread at a time looks every few seconds whether Redis is back.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from django.conf import settings
from limits.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from accounts.limit_windows import MemoryWindows, Standing, Taken, Window, Windows
from tenancy.clock import seconds

logger = logging.getLogger("tenantry.limits")

T = TypeVar("T")

REDIS_TIMEOUT_SECONDS = 0.25
PROBE_SECONDS = 5.0
# It is never full: so each look writes, and a server that takes no writes is found out.
_PROBE = Window("probe", 1_000_000, 1)

# One step in the server, by its own clock: processes whose clocks differ count alike.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local full = false
for number, key in ipairs(KEYS) do
    local limit, seconds = tonumber(ARGV[2 * number - 1]), tonumber(ARGV[2 * number])
    local oldest = redis.call('LINDEX', key, -1)
    while oldest and tonumber(oldest) <= now - seconds do
        redis.call('RPOP', key)
        oldest = redis.call('LINDEX', key, -1)
    end
    full = full or redis.call('LLEN', key) >= limit
end
local answer = {full and 1 or 0}
for number, key in ipairs(KEYS) do
    local seconds = tonumber(ARGV[2 * number])
    if not full then
        redis.call('LPUSH', key, string.format('%.6f', now))
        redis.call('EXPIRE', key, seconds)
    end
    local oldest = redis.call('LINDEX', key, -1)
    answer[2 * number] = redis.call('LLEN', key)
    answer[2 * number + 1] = (oldest and tonumber(oldest) + seconds - now or seconds) * 1000
end
return answer
"""


class RedisWindows(RedisStorage):
    """Windows in one Redis, for every process that counts there. Raises RedisError."""

    def __init__(self, url: str) -> None:
        options = {
            "socket_timeout": REDIS_TIMEOUT_SECONDS,
            "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        super().__init__(url, key_prefix=f"{settings.REDIS_PREFIX}:limits", **options)  # type: ignore[arg-type]
        self._take = self.get_connection().register_script(_TAKE.encode())

    def take(self, windows: Sequence[Window]) -> Taken:
        """Count one in every window, unless any is full: then in none."""
        keys = [self.prefixed_key(window.key) for window in windows]
        bounds = [bound for window in windows for bound in (window.limit, window.seconds)]
        refused, *numbers = cast(list[int], self._take(keys, bounds))
        counts, resets = numbers[::2], numbers[1::2]
        full = tuple(
            number for number, window in enumerate(windows)
            if refused and counts[number] >= window.limit
        )  # fmt: skip
        return Taken(
            full,
            tuple(
                Standing(max(0, window.limit - count), milliseconds / 1000)
                for window, count, milliseconds in zip(windows, counts, resets, strict=True)
            ),
        )

    def forget(self, windows: Sequence[Window]) -> None:
        """Empty the windows."""
        self.get_connection().delete(*(self.prefixed_key(window.key) for window in windows))


@dataclass
class GuardedWindows:
    """Redis while it answers; memory, at once, while it does not."""

    redis: RedisWindows
    memory: MemoryWindows
    is_degraded: bool = False
    _probe_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, windows: Sequence[Window]) -> Taken:
        """Count one in every window, unless any is full: then in none."""
        return self._run(lambda place: place.take(windows))

    def forget(self, windows: Sequence[Window]) -> None:
        """Empty the windows; those in memory as well, which may count next."""
        self._run(lambda place: place.forget(windows))
        self.memory.forget(windows)

    def look(self) -> None:
        """Find out whether Redis takes writes now, unless that was tried a moment ago."""
        self.take([_PROBE])

    def _run(self, act: Callable[[Windows], T]) -> T:
        if not self.is_degraded:
            try:
                return act(self.redis)
            except RedisError as error:
                self._degrade(error)
        elif self._may_probe():
            threading.Thread(target=self._probe, daemon=True).start()
        return act(self.memory)

    def _degrade(self, error: RedisError) -> None:
        with self._lock:
            was_degraded, self.is_degraded = self.is_degraded, True
            self._probe_at = seconds() + PROBE_SECONDS
        if not was_degraded:
            logger.warning("Redis fails (%s): each process counts limits in its memory.", error)

    def _may_probe(self) -> bool:
        """Return whether it is time, to one of those who ask."""
        with self._lock:
            is_time = seconds() >= self._probe_at
            if is_time:
                self._probe_at = seconds() + PROBE_SECONDS
            return is_time

    def _probe(self) -> None:
        try:
            self.redis.take([_PROBE])
        except RedisError:
            return
        with self._lock:
            self.is_degraded = False
        logger.warning("Redis answers again: limits are counted there.")
