"""Redis behind a cache: what one process has read of the catalog, another need not read again.

Off unless `CACHE_IN_REDIS` is on. The promises of the cache hold for what comes from here, too. An
age is counted by the clock of Redis, from before the catalog was read; the clocks of the machines
bound it, too, should that of Redis be set back. Values are signed with
a key made from `SECRET_KEY`, for the cache and key that they are of: whoever can write in Redis can
take values away, and bring none in. Redis that fails or refuses is left alone until a thread that
looks for it can read and write there.
"""

import hashlib
import hmac
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
from django.conf import settings

from tenancy import invalidation
from tenancy.clock import CLOCK_SKEW_SECONDS

logger = logging.getLogger("tenantry.caches")

K = TypeVar("K")
V = TypeVar("V")

VERSION = 1
TIMEOUT_SECONDS = 0.1
PROBE_SECONDS = 5.0
PROBE_MILLISECONDS = 1  # that what a probe writes stays there
# A value that is larger is cheaper to read from the catalog.
VALUE_MAX_BYTES = 65_536
NEVER = (0.0, 0.0)
DIGEST_BYTES = hashlib.sha256().digest_size


class Moment(NamedTuple):
    """One moment by the clock of Redis and by that of a machine, in seconds since 1970."""

    redis: float
    machine: float


class Found(NamedTuple):
    """What Redis has, and when it was asked; a value of None if there is none to be believed."""

    now: Moment
    read_at: Moment
    value: Any

    @property
    def age(self) -> float:
        """At most so many seconds ago the read began; endless if there is nothing."""
        if self.value is None or self.read_at.redis > self.now.redis:
            return float("inf")
        # Where clocks differ by more, Redis is of less use, and no more than that.
        by_machines = self.now.machine - self.read_at.machine - CLOCK_SKEW_SECONDS
        return max(self.now.redis - self.read_at.redis, by_machines)


class SecondLevel(Generic[K, V]):
    """What Redis keeps for one cache, for `lives()` seconds.

    `spell` returns the text of a key, `dump` what JSON can hold of a value (or nothing, to keep it
    out), `load` the value again, with when its read began; it may raise ValueError or TypeError.
    """

    def __init__(
        self, name: str, *,
        spell: Callable[[K], str],
        dump: Callable[[V], Any],
        load: Callable[[Any, float], V],
        lives: Callable[[], float],
    ) -> None:  # fmt: skip
        self._name = name
        self._spell, self._dump, self._lives = spell, dump, lives
        self.load = load

    def find(self, key: K) -> Found | None:
        """Return what Redis has, and its time; None if it is not asked, or does not answer."""
        if not is_on():
            return None
        invalidation.listen()
        name, bound = self._place(key)
        machine = time.time()
        # Unlike GET it is no error where something of another type is in the place of a value.
        answer = _ask(lambda redis: redis.pipeline(transaction=False).time().mget(name).execute())
        if answer is None:
            return None
        (whole, micro), (sealed,) = answer
        read_at, value = _unseal(sealed, bound)
        return Found(Moment(whole + micro / 1e6, machine), Moment(*read_at), value)

    def keep(self, key: K, read_at: Moment, value: V) -> None:
        """Keep a value whose read began after `read_at`."""
        dumped = self._dump(value)
        if not dumped:
            return
        name, bound = self._place(key)
        sealed = _seal([tuple(read_at), dumped], bound)
        if len(sealed) <= VALUE_MAX_BYTES:
            _ask(lambda redis: redis.set(name, sealed, px=max(1, int(self._lives() * 1_000))))

    def _place(self, key: K) -> tuple[str, bytes]:
        """Return the name in Redis, which tells nothing, and what a value is bound to."""
        bound = f"{VERSION}:{self._name}:{self._spell(key)}".encode()
        name = hmac.digest(_secret(), b"name:" + bound, "sha256").hex()
        return f"{settings.REDIS_PREFIX}:cache:{self._name}:{name}", bound


def is_on() -> bool:
    """Return whether Redis is asked at all."""
    return bool(settings.CACHE_IN_REDIS and settings.REDIS_URL)


def _secret() -> bytes:
    return hmac.digest(settings.SECRET_KEY.encode(), b"tenancy.second_level", "sha256")


def _seal(value: Any, bound: bytes) -> bytes:
    raw = orjson.dumps(value)
    return hmac.digest(_secret(), bound + b"\0" + raw, "sha256") + raw


def _unseal(sealed: Any, bound: bytes) -> tuple[Sequence[float], Any]:
    """Return when and what was sealed; a value of None if it was not by this service for this."""
    if not isinstance(sealed, bytes) or len(sealed) > VALUE_MAX_BYTES:
        return NEVER, None
    digest, raw = sealed[:DIGEST_BYTES], sealed[DIGEST_BYTES:]
    expected = hmac.digest(_secret(), bound + b"\0" + raw, "sha256")
    if not hmac.compare_digest(digest, expected):
        return NEVER, None
    read_at, value = orjson.loads(raw)
    return read_at, value


class _Link:
    """The client of one Redis; once it has failed, a thread looks for it and nobody else does."""

    def __init__(self, url: str) -> None:
        from tenancy.redis_channel import connect  # late, as in tenancy.invalidation

        self.url = url
        self.client = connect(url, TIMEOUT_SECONDS)
        self.is_broken = False
        self._lock = threading.Lock()

    def ask(self, question: Callable[[Any], Any]) -> Any:
        from redis.exceptions import RedisError

        try:
            return question(self.client)
        except (RedisError, OSError) as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            was_broken, self.is_broken = self.is_broken, True
        if not was_broken:
            logger.warning("Redis fails (%s): what is not cached is read from the catalog.", error)
            threading.Thread(target=self._look, name="second-level", daemon=True).start()

    def _look(self) -> None:
        time.sleep(PROBE_SECONDS)
        while self.ask(_probe) is None:
            time.sleep(PROBE_SECONDS)
        self.is_broken = False


_links: dict[str, _Link] = {}
_lock = threading.Lock()


def _probe(redis: Any) -> Any:
    """Do what is done for a cache, so that a server which refuses some of it is found out."""
    asked = redis.pipeline(transaction=False).time()
    name = f"{settings.REDIS_PREFIX}:cache:probe"
    return asked.set(name, b"", px=PROBE_MILLISECONDS).mget(name).execute()


def _ask(question: Callable[[Any], Any]) -> Any:
    """Return the answer of Redis, or None at once while it does not answer."""
    url = settings.REDIS_URL
    link = _links.get(url)
    if link is None:
        with _lock:
            link = _links.setdefault(url, _Link(url))
    return None if link.is_broken else link.ask(question)


def forget_links() -> None:
    """Begin anew, as a new process would; what Redis has stays there."""
    global _lock  # noqa: PLW0603 -- a fork may find it taken
    _lock = threading.Lock()
    _links.clear()


os.register_at_fork(after_in_child=forget_links)
