"""Sockets of one port: connections are dealt out among those who live, and then to nobody."""

import socket
import sys
from contextlib import ExitStack

import pytest

from tenancy.management.listeners import deal_among, let_nobody_in, listen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel deals out on Linux")

WAIT_SECONDS = 60.0
CONNECTIONS = 60


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def listeners(stack):
    return [stack.enter_context(each) for each in listen("127.0.0.1", 0, 3, 128)]


def port_of(listeners):
    return listeners[0].getsockname()[1]


def connect(stack, listeners):
    address = ("127.0.0.1", port_of(listeners))
    return stack.enter_context(socket.create_connection(address, timeout=WAIT_SECONDS))


def accepted(stack, listener):
    """Return the connections that wait at a socket."""
    found = []
    while True:
        try:
            found.append(stack.enter_context(listener.accept()[0]))
        except BlockingIOError:
            return found


@pytest.mark.parametrize("living", [[0, 1, 2], [0, 2], [1]])
def test_connections_come_to_each_of_the_living_and_to_nobody_else(stack, listeners, living):
    deal_among(listeners, living)
    for _ in range(CONNECTIONS):
        connect(stack, listeners)

    counts = [len(accepted(stack, each)) for each in listeners]

    assert sum(counts) == CONNECTIONS
    assert [place for place, count in enumerate(counts) if count] == living


def test_who_waits_for_a_worker_that_died_is_there_for_the_next(stack, listeners):
    deal_among(listeners, [1])
    waiting = connect(stack, listeners)
    waiting.sendall(b"a request")

    deal_among(listeners, [0, 2])

    (connection,) = accepted(stack, listeners[1])
    assert connection.recv(64) == b"a request"


def test_a_port_that_another_service_has_is_not_shared_with_it(listeners):
    with pytest.raises(OSError, match="Address already in use"):
        listen("127.0.0.1", port_of(listeners), 2, 128)


def test_sockets_that_let_nobody_in_still_have_those_who_came_before(stack, listeners):
    deal_among(listeners, [0])
    before = connect(stack, listeners)

    let_nobody_in(listeners)

    late = stack.enter_context(socket.socket())
    late.setblocking(False)
    with pytest.raises(BlockingIOError):
        late.connect(("127.0.0.1", port_of(listeners)))
    before.sendall(b"a request")
    (connection,) = accepted(stack, listeners[0])
    assert connection.recv(64) == b"a request"
    assert [accepted(stack, each) for each in listeners] == [[], [], []]
