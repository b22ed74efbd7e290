"""What a change makes void is dropped from the caches of every process, by way of Redis.

Nothing depends on it. Without Redis, or while it does not answer, an entry is dropped elsewhere
when it is as old as its cache allows, and nobody waits: messages are sent and heard by threads of
their own. A message names a kind of entries and ids, nothing else; whoever can send one can make
processes read the catalog again, and that is all.
"""

import os
import threading
from collections.abc import Callable, Collection
from functools import partial
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction

if TYPE_CHECKING:
    from tenancy.redis_channel import Channel

VERSION = 1
MESSAGE_MAX_BYTES = 1_024
EVERYTHING = "everything"
# How long /readyz waits for a channel that has just been opened.
OPENING_SECONDS = 0.5


class Message(NamedTuple):
    """What a process says of itself: entries of this kind, with these ids, are void."""

    sender: str
    kind: str
    ids: dict[str, UUID]

    def write(self) -> bytes:
        """Return it as it is sent."""
        ids = {name: str(id_) for name, id_ in self.ids.items()}
        return orjson.dumps({"v": VERSION, "from": self.sender, "kind": self.kind, "ids": ids})


def read_message(raw: bytes) -> Message:
    """Return what was sent. Raises ValueError for whatever no process of this version sends."""
    if len(raw) > MESSAGE_MAX_BYTES:
        raise ValueError("too long")
    told: Any = orjson.loads(raw)
    if not isinstance(told, dict) or told.get("v") != VERSION:
        raise ValueError("not of this version")
    sender: Any = told.get("from")
    kind: Any = told.get("kind")
    ids: Any = told.get("ids")
    is_message = isinstance(sender, str) and isinstance(kind, str) and isinstance(ids, dict)
    if not is_message:
        raise ValueError("not a message")
    change = _changes.get(kind)
    known = change.ids if change else ()
    if (change is None and kind != EVERYTHING) or not set(ids) <= set(known):
        raise ValueError("of nothing that is cached here")
    return Message(sender, kind, {name: _read_id(id_) for name, id_ in ids.items()})


def _read_id(value: object) -> UUID:
    if not isinstance(value, str):
        raise ValueError("an id is a string")  # noqa: TRY004 -- one error for whatever is sent
    return UUID(value)


class Change:
    """A kind of cached entries that changes make void.

    `drop` is given some of the `ids`, or none, and drops what has them; without any, everything.
    """

    def __init__(self, kind: str, drop: Callable[..., None], *, ids: Collection[str]) -> None:
        self.kind, self.drop, self.ids = kind, drop, ids
        _changes[kind] = self

    def make_known(self, **given: UUID | str) -> None:
        """Drop entries here at once; and here and everywhere when the transaction commits."""
        ids = {name: UUID(str(id_)) for name, id_ in given.items()}
        self.drop(**ids)
        if connection.in_atomic_block:
            transaction.on_commit(partial(self._make_known_now, ids))
        else:
            _tell(self.kind, ids)

    def _make_known_now(self, ids: dict[str, UUID]) -> None:
        self.drop(**ids)  # meanwhile somebody may have read what was before
        _tell(self.kind, ids)


_changes: dict[str, Change] = {}


def drop_everything() -> None:
    """Drop what is cached in this process of every kind that changes."""
    for change in _changes.values():
        change.drop()


def _tell(kind: str, ids: dict[str, UUID]) -> None:
    channel = _find_channel()
    if channel is not None:
        channel.send(Message(channel.sender, kind, ids).write())


def hear(sender: str, raw: bytes) -> bool:
    """Do what a message says that reached the process `sender`; return whether it is one."""
    try:
        message = read_message(raw)
    except ValueError:
        return False
    if message.kind == EVERYTHING and message.sender != sender:
        drop_everything()
    elif message.sender != sender:  # its own was done before it was sent
        _changes[message.kind].drop(**message.ids)
    return True


_channel: "Channel | None" = None
_lock = threading.Lock()


def listen() -> None:
    """Hear what other processes change, from now on; for whoever is about to cache something."""
    channel = _find_channel()
    if channel is not None:
        channel.listen()


def _find_channel() -> "Channel | None":
    channel, url = _channel, settings.REDIS_URL
    if (channel is None and not url) or (
        channel is not None and (channel.url, channel.prefix) == (url, settings.REDIS_PREFIX)
    ):
        return channel
    return _change_channel(url, settings.REDIS_PREFIX)


def _change_channel(url: str, prefix: str) -> "Channel | None":
    """Return the one channel for a URL and prefix; nothing is sent to it yet."""
    global _channel  # noqa: PLW0603 -- one for a process
    with _lock:
        if _channel is not None and (_channel.url, _channel.prefix) != (url, prefix):
            _channel.stop()
            _channel = None
        if _channel is None and url:
            # Late: the client of Redis is a tenth of all that a start imports, and few have one.
            from tenancy.redis_channel import Channel

            _channel = Channel(
                url, prefix, hear=hear, missed=drop_everything, all_of=_everything_by
            )
            # Also where `atexit` is not run: in a worker process that multiprocessing forked.
            Finalize(None, _channel.stop, exitpriority=0)
        return _channel


def _everything_by(sender: str) -> bytes:
    return Message(sender, EVERYTHING, {}).write()


def state() -> str:
    """Return whether changes are told and heard: `ok`, `degraded`, or `off` without Redis."""
    channel = _find_channel()
    if channel is None:
        return "off"
    channel.listen()
    return "ok" if channel.is_open(OPENING_SECONDS) else "degraded"


def counts() -> dict[str, int]:
    """Return how many messages this process has sent, heard and refused, and how often it missed
    some and dropped everything."""
    return {} if _channel is None else _channel.counts()


def stop() -> None:
    """Tell and hear nothing any more, as a process that ends."""
    global _channel
    with _lock:
        channel, _channel = _channel, None
    if channel is not None:
        channel.stop()


def _start_anew() -> None:
    """Leave to the parent process its channel: a fork has none of its threads."""
    global _channel, _lock
    _channel, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_start_anew)
