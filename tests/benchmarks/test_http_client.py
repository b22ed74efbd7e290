"""The load client reads whole answers, counts them, and fails on what is not one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.http_answers import Answer, BrokenAnswer
from benchmarks.http_client import HttpPlan, request
from benchmarks.load_process import LoadFailed, LoadProcess

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"
)


@contextmanager
def serving(answer: bytes, step: int = 0, seen: list[bytes] | None = None) -> Iterator[int]:
    """Answer every request on a port with these bytes, `step` of them at a time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, answer, step, seen), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener, answer, step, seen):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection, answer, step, seen), daemon=True).start()


def _answer(connection, answer, step, seen):
    with connection, suppress(ConnectionError):  # whoever has seen enough goes
        while asked := connection.recv(65_536):
            if seen is not None:
                seen.append(asked)
            if b" /close " in asked:
                return
            for at in range(0, len(answer), step or len(answer)):
                connection.sendall(answer[at : at + (step or len(answer))])
            if b"Connection: close" in answer:
                return


@pytest.mark.parametrize("step", [1, 2, 7, 0])
@pytest.mark.parametrize(("raw", "length"), [(OK, 5), (CHUNKED, 13)])
def test_answer_ends_where_it_ends_however_it_is_cut(raw, length, step):
    answer = Answer()
    pieces = [raw[at : at + (step or len(raw))] for at in range(0, len(raw), step or len(raw))]

    for _ in range(2):  # one instance reads one answer after another
        assert [answer.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert (answer.status, answer.body_bytes) == (200, length)


def test_answer_without_a_body_is_whole_after_its_head():
    answer = Answer()

    assert answer.feed(b"HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n")
    assert (answer.status, answer.body_bytes) == (204, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        OK + b"!",
        CHUNKED + b"!",
        CHUNKED.replace(b"A\r\n", b"zz\r\n"),
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 70,
    ],
)
def test_what_is_no_whole_answer_is_broken(raw):
    with pytest.raises(BrokenAnswer):
        Answer().feed(raw)


@pytest.mark.parametrize(("raw", "length"), [(OK, 5), (CHUNKED, 13)])
def test_load_reads_every_body_to_its_end(raw, length):
    with (
        serving(raw, step=9) as port,
        LoadProcess(HttpPlan(port, [request("GET", "/")], connections=3)) as load,
    ):
        turn = load.run(0.2)

    assert turn.count >= 3
    assert turn.statuses == {200: turn.count}
    assert turn.body_bytes == length * turn.count
    assert 0 < turn.milliseconds(0.5) <= turn.milliseconds(0.99)
    assert turn.cpu_seconds > 0
    assert turn.seconds >= 0.2


def test_load_of_no_time_is_one_request_of_each_connection():
    with serving(OK) as port:
        turn = HttpPlan(port, [request("GET", "/")], connections=5).start()(0.0)

    assert turn.count == 5


def test_status_that_is_not_accepted_fails_the_turn():
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
    with (
        serving(refusal) as port,
        LoadProcess(HttpPlan(port, [request("GET", "/")])) as load,
        pytest.raises(LoadFailed, match="404"),
    ):
        load.run(0.2)


def test_connection_that_is_closed_in_the_middle_fails_the_turn():
    plan_requests = [request("GET", "/"), request("GET", "/close")]
    with (
        serving(OK) as port,
        LoadProcess(HttpPlan(port, plan_requests, connections=1)) as load,
        pytest.raises(LoadFailed, match="closed"),
    ):
        load.run(0.2)


def test_what_is_accepted_is_counted_and_after_a_429_a_connection_waits():
    limited = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"
    plan_requests = [request("POST", "/", body=b"{}")]
    with serving(limited) as port:
        make = HttpPlan(port, plan_requests, 2, accepted=frozenset({200, 429})).start()

        assert make(0.3).statuses == {429: 2}


def test_numbered_requests_count_for_each_connection_and_for_all_over_all_turns():
    seen: list[bytes] = []
    template = request("PUT", "/%(connection)d/%(nth)d", body=b'{"n": "%(number)06d"}')
    with serving(OK, seen=seen) as port:
        make = HttpPlan(port, [template], connections=2, numbered=True).start()
        for _ in range(3):
            make(0.0)

    lines = sorted(each.split()[1] for each in seen)
    assert lines == [b"/0/1", b"/0/2", b"/0/3", b"/1/1", b"/1/2", b"/1/3"]
    assert sorted(each[-8:-2] for each in seen) == [b"%06d" % number for number in range(6)]


def test_load_process_that_dies_fails_the_turn():
    with (
        serving(OK) as port,
        LoadProcess(HttpPlan(port, [request("GET", "/")])) as load,
    ):
        load._process.kill()
        with pytest.raises(LoadFailed):
            load.run(0.1)


def test_a_connection_that_an_answer_ends_is_made_anew():
    last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with (
        serving(last) as port,
        LoadProcess(HttpPlan(port, [request("GET", "/")], connections=2)) as load,
    ):
        turn = load.run(0.2)

    assert turn.count > 2
    assert turn.statuses == {200: turn.count}
