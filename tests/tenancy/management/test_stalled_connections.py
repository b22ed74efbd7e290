"""A worker ends the connections on which nothing moves, and no others."""

import os
import socket
import sys
from contextlib import ExitStack

import pytest

from tenancy.management import stalled_connections
from tenancy.management.stalled_connections import SlowSenders, end_stalled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when data came")


@pytest.fixture
def connect():
    """Return what makes a pair of ends, of a client and of the server; and the server's port."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connected():
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            server = stack.enter_context(listener.accept()[0])
            client.setblocking(False)
            server.setblocking(False)
            return client, server

        yield connected, listener.getsockname()[1]


class Clock:
    """Seconds that go by when it is told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(stalled_connections, "seconds", made)
    return made


def has_ended(end):
    try:
        return not end.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False


def fill(end):
    try:
        while True:
            end.send(bytes(1 << 16))
    except BlockingIOError:
        return


def test_a_client_that_sends_nothing_or_reads_nothing_is_let_go(connect):
    connected, port = connect
    silent, _ = connected()
    unreading, server_of_unreading = connected()
    waiting, server_of_waiting = connected()
    fill(server_of_unreading)
    waiting.send(b"a request that the server has not come to")
    assert server_of_waiting.recv(1, socket.MSG_PEEK)

    files = os.listdir("/proc/self/fd")
    assert end_stalled(port).ended == 0
    assert len(os.listdir("/proc/self/fd")) == len(files)
    assert end_stalled(port + 1, untaken=0, silent=0).ended == 0
    assert end_stalled(port, untaken=0, silent=3600).ended == 1
    assert has_ended(server_of_unreading)
    assert not has_ended(silent)
    assert end_stalled(port, untaken=3600, silent=0).ended == 1

    assert has_ended(silent)
    assert not has_ended(waiting)
    assert unreading.recv(1)


@pytest.mark.parametrize(
    ("sent_ago", "pieces", "is_slow"),
    [(40, [1] * 10, True), (40, [0, 0, 0, 0, 0, 1] * 5, True), (40, [300] * 10, True),
     (40, [3_000] * 10, False),
     (40, [0] * 10, False), (3, [1] * 10, False), (40, [1] * 5, False),
     (40, [40, *[0] * 9], False), (40, [0, 900, 0, 10, *[0] * 9], False),
     (40, [90_000, *[1] * 9], False)],
)  # fmt: skip
def test_who_sends_byte_by_byte_is_let_go(clock, sent_ago, pieces, is_slow):
    """One look every five seconds; `pieces` come in between, and so long ago an answer went."""
    slow, received, came_ago, said = SlowSenders(), 1_000, 0, []
    for piece in (0, *pieces):
        received += piece
        came_ago = 0 if piece else came_ago + 5
        said.append(slow.are("peer", sent_ago, came_ago, received))
        slow.end_look()
        clock.pass_by(5)

    assert any(said) == is_slow


def test_who_was_slow_is_measured_anew_behind_an_answer(clock):
    slow, said = SlowSenders(), []
    for look in range(30):
        said.append(slow.are("peer", 1 if look % 6 == 0 else 40, 0, look))
        slow.end_look()
        clock.pass_by(5)

    assert not any(said)


def test_what_came_is_counted_as_the_kernel_does(connect):
    connected, port = connect
    client, server = connected()
    client.send(b"12345")
    assert server.recv(5, socket.MSG_WAITALL) == b"12345"

    class Asked(SlowSenders):
        def are(self, peer, sent_seconds, came_seconds, received):
            asked.append((peer, received))
            return True

    asked = []
    assert end_stalled(port, Asked()) == (1, 1)
    assert (client.getsockname(), 5) in asked
    assert has_ended(client)
