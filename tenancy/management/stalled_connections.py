"""Connections on which nothing moves are ended: each of them may hold a thread of the server.

A thread that reads a body, or sends an answer, waits for the client as long as the connection
lasts; the server below bounds only how long the head of a request may take. So every worker looks
at its own connections now and then: also at whose body comes byte by byte. Works on Linux, which
tells when something last moved, and how much.
"""

import array
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import NamedTuple

from tenancy.clock import seconds
from tenancy.connection_balance import BALANCE

# What was to be sent has not been taken for so long.
UNTAKEN_SECONDS = 20.0
# Nothing came and nothing was to be sent: longer than anything that a request waits for, and than
# the server keeps a connection without any request (30 seconds).
SILENT_SECONDS = 60.0
# A request that has been on its way for so long, in so many pieces and at fewer bytes a second, is
# one that is meant to take forever.
SLOW_SECONDS = 30.0
PIECES_MIN = 3
BYTES_A_SECOND_MIN = 500
LOOK_SECONDS = 5.0
FOLDER = "/proc/self/fd"
# struct tcp_info of linux/tcp.h: 8 bytes, then 24 numbers of 32 bits, of which the 10th says how
# many milliseconds ago data was sent last, and the 12th when some came; then numbers of 64 bits, of
# which the 4th says how many bytes have come.
TCP_INFO = struct.Struct("=8x 36x I 4x I 48x 24x Q")


def watch(port: int) -> None:
    """Look at this process's connections to a port, from a thread of its own, for good."""
    if hasattr(socket, "TCP_INFO") and os.path.isdir(FOLDER):
        Thread(target=_look_again_and_again, args=(port,), daemon=True).start()


def _look_again_and_again(port: int) -> None:
    never, slow = Event(), SlowSenders()
    while not never.wait(LOOK_SECONDS):
        with suppress(OSError):  # as when so many files are open that there is none left to look by
            BALANCE.look(end_stalled(port, slow).open)


class Seen(NamedTuple):
    """How many connections there were, and how many of them were ended."""

    open: int
    ended: int


class SlowSenders:
    """Who sends, and gets nothing back: since when, and how much has come, look by look."""

    def __init__(self) -> None:
        self._before: dict[object, _Sending] = {}
        self._now: dict[object, _Sending] = {}

    def are(self, peer: object, sent_seconds: float, came_seconds: float, received: int) -> bool:
        """Return whether bytes come from a peer too slowly, and for long, and none go back.

        So many seconds ago something was sent to it, and something came; so many bytes have come in
        all. Who has sent everything and waits for the answer is not slow.
        """
        if sent_seconds < SLOW_SECONDS:
            return False
        now = seconds()
        known = self._before.get(peer) or _Sending(now, received, received, 0)
        pieces = known.pieces + (received > known.received)
        self._now[peer] = _Sending(known.began, known.received_before, received, pieces)
        took = now - came_seconds - known.began
        came = received - known.received_before
        return pieces >= PIECES_MIN and took >= SLOW_SECONDS and came < BYTES_A_SECOND_MIN * took

    def end_look(self) -> None:
        """Forget those who were not seen since the last look."""
        self._before, self._now = self._now, {}


class _Sending(NamedTuple):
    began: float
    received_before: int
    received: int
    pieces: int


def end_stalled(
    port: int,
    slow: SlowSenders | None = None,
    *,
    untaken: float = UNTAKEN_SECONDS,
    silent: float = SILENT_SECONDS,
) -> Seen:
    """End connections on which nothing has moved for so many seconds, or hardly anything."""
    seen = ended = 0
    slow = slow or SlowSenders()
    for connection in _connections(port):
        seen += 1
        with connection:
            try:
                if _is_stalled(connection, slow, untaken, silent):
                    connection.shutdown(socket.SHUT_RDWR)
                    ended += 1
            except OSError:  # it has just ended by itself
                continue
    slow.end_look()
    return Seen(seen, ended)


def _connections(port: int) -> Iterator[socket.socket]:
    """Yield a handle of its own to each accepted connection."""
    for name in os.listdir(FOLDER):
        found = _open_handle(int(name))
        if found is not None and _is_accepted(found, port):
            yield found
        elif found is not None:
            found.close()


def _open_handle(descriptor: int) -> socket.socket | None:
    """Return a second handle of a socket; None if it is something else, or closed by now."""
    try:
        copy = os.dup(descriptor)
    except OSError:
        return None
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None


def _is_accepted(found: socket.socket, port: int) -> bool:
    try:
        return (
            found.family in {socket.AF_INET, socket.AF_INET6}
            and found.type == socket.SOCK_STREAM
            and found.getsockname()[1] == port
            and not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        )
    except OSError:
        return False


def _is_stalled(
    connection: socket.socket, slow: SlowSenders, untaken: float, silent: float
) -> bool:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size)
    sent_ms, came_ms, received = TCP_INFO.unpack(info)
    if _bytes_in(connection, termios.TIOCOUTQ):
        return bool(sent_ms >= untaken * 1000)
    if _bytes_in(connection, termios.FIONREAD):
        return False  # what came and is not read yet means that it is the server that is at work
    is_silent = min(sent_ms, came_ms) >= silent * 1000
    return is_silent or slow.are(connection.getpeername(), sent_ms / 1000, came_ms / 1000, received)


def _bytes_in(connection: socket.socket, queue: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(connection, queue, count)
    return count[0]
