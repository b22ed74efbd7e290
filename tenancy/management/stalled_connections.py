"""Connections on which nothing moves are ended: each of them may hold a thread of the server.

A thread that reads a body, or sends an answer, waits for the client as long as the connection
lasts; the server below bounds only how long the head of a request may take. So every worker looks
at its own connections now and then. Works on Linux, which tells when something last moved; it
stops nobody who sends, or takes, a byte now and then: see "A proxy in front" in the README.
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

# What was to be sent has not been taken for so long.
UNTAKEN_SECONDS = 20.0
# Nothing came and nothing was to be sent: longer than anything that a request waits for, and than
# the server keeps a connection without any request (30 seconds).
SILENT_SECONDS = 60.0
LOOK_SECONDS = 5.0
FOLDER = "/proc/self/fd"
# struct tcp_info of linux/tcp.h: 8 bytes, then 32 bits each, of which the 10th says how many
# milliseconds ago data was sent last, and the 12th when some came.
TCP_INFO = struct.Struct("=8x 36x I 4x I")


def watch(port: int) -> None:
    """Look at this process's connections to a port, from a thread of its own, for good."""
    if hasattr(socket, "TCP_INFO") and os.path.isdir(FOLDER):
        Thread(target=_look_again_and_again, args=(port,), daemon=True).start()


def _look_again_and_again(port: int) -> None:
    never = Event()
    while not never.wait(LOOK_SECONDS):
        with suppress(OSError):  # as when so many files are open that there is none left to look by
            end_stalled(port)


def end_stalled(
    port: int, *, untaken: float = UNTAKEN_SECONDS, silent: float = SILENT_SECONDS
) -> int:
    """End connections on which nothing has moved for so many seconds. Return how many."""
    ended = 0
    for connection in _connections(port):
        with connection:
            try:
                if _is_stalled(connection, untaken, silent):
                    connection.shutdown(socket.SHUT_RDWR)
                    ended += 1
            except OSError:  # it has just ended by itself
                continue
    return ended


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


def _is_stalled(connection: socket.socket, untaken: float, silent: float) -> bool:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size)
    sent_ms, came_ms = TCP_INFO.unpack(info)
    if _bytes_in(connection, termios.TIOCOUTQ):
        return bool(sent_ms >= untaken * 1000)
    # What came and is not read yet means that it is the server that is at work.
    is_silent = min(sent_ms, came_ms) >= silent * 1000
    return is_silent and not _bytes_in(connection, termios.FIONREAD)


def _bytes_in(connection: socket.socket, queue: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(connection, queue, count)
    return count[0]
