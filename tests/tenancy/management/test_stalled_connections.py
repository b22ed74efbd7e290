"""A worker ends the connections on which nothing moves, and no others."""

import os
import socket
import sys
from contextlib import ExitStack

import pytest

from tenancy.management.stalled_connections import end_stalled

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
    assert end_stalled(port) == 0
    assert len(os.listdir("/proc/self/fd")) == len(files)
    assert end_stalled(port + 1, untaken=0, silent=0) == 0
    assert end_stalled(port, untaken=0, silent=3600) == 1
    assert has_ended(server_of_unreading)
    assert not has_ended(silent)
    assert end_stalled(port, untaken=3600, silent=0) == 1

    assert has_ended(silent)
    assert not has_ended(waiting)
    assert unreading.recv(1)
