"""Server processes under load, when they stop and when one of them dies: nobody is cut off."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from granian.server import MPServer

from benchmarks.http_client import HttpPlan, request
from tenancy.board import COLUMNS, Board
from tenancy.management import web_processes
from tenancy.management.restarts import ATTEMPTS_MAX
from tenancy.management.web_processes import WebProcesses, _is_read
from tests.tenancy.management.test_serve import ROOT, is_gone, serving, wait_until

pytestmark = [pytest.mark.needs_mongod, pytest.mark.xdist_group("web_processes")]

DOCUMENTS = "/api/v1/collections/main/documents"
SETTINGS = {"TENANTRY_PROCESSES": "2", "RATE_LIMITS": "off", "METRICS_TOKEN": "m"}
WAIT_SECONDS = 60.0
ESTABLISHED = "01"
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a socket ignore others")


class Line:
    """One kept connection; `exchange` returns an answer that is whole, or None."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS)
        self.used = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def exchange(self, sent):
        received = b""
        try:
            self.socket.sendall(sent)
            while not is_whole(received):
                piece = self.socket.recv(65_536)
                if not piece:
                    break
                received += piece
        except ConnectionError:
            pass
        self.used += 1
        assert is_whole(received) or not received, f"cut off: {received!r}"
        return received or None


def is_whole(received):
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = LENGTH.search(head)
    return length is not None and len(body) >= int(length[1])


class Writer(threading.Thread):
    """A client that puts one document after the other until nobody listens any more."""

    def __init__(self, name, port, token):
        super().__init__()
        self.name, self.port, self.token = name, port, token
        self.answered, self.outcomes, self.numbers = set(), Counter(), count()
        self.start()

    def run(self):
        with suppress(ConnectionRefusedError):
            while True:
                with Line(self.port) as line:
                    self.use(line)

    def use(self, line):
        """Send until the connection ends."""
        answer = b""
        while answer is not None and b"connection: close" not in answer.lower():
            id_ = f"{self.name}-{next(self.numbers)}"
            answer = line.exchange(
                request("PUT", f"{DOCUMENTS}/{id_}", token=self.token, body=b'{"n": 1}')
            )
            if answer is None:
                self.outcomes["kept" if line.used > 1 else "new"] += 1
            else:
                assert answer.startswith(b"HTTP/1.1 201"), answer
                self.answered.add(id_)


def begin_upload(port, token):
    """Return a connection over which a part of an import has come, and what is missing."""
    line, lines = Line(port), b'{"_id": "up-1"}\n{"_id": "up-2"}\n'
    headers = {"Content-Type": "application/x-ndjson", "Content-Length": str(len(lines))}
    sent = request("POST", "/api/v1/collections/main/import", token=token, headers=headers)
    own = b"Content-Type: application/json\r\nContent-Length: 0\r\n"
    line.socket.sendall(sent.replace(own, b"") + lines[:20])
    return line, lines[20:]


@linux
def test_who_is_being_served_when_it_stops_gets_a_whole_answer(tmp_path):
    home = tmp_path / "home"
    with serving(home, **SETTINGS) as service:
        token = service.sign_up()
        writers = [Writer(f"w{index}", service.port, token) for index in range(8)]
        upload, rest = begin_upload(service.port, token)
        wait_until(lambda: all(len(each.answered) > 5 for each in writers), "all have written")

        service.process.terminate()
        for writer in writers:
            writer.join(WAIT_SECONDS)
        with upload:
            imported = upload.exchange(rest)
        assert service.ended_with() == 0, service.said

    assert imported.startswith(b"HTTP/1.1 200"), imported
    # Between two answers a connection may be closed, and a request be on its way: it is not done.
    assert sum((each.outcomes for each in writers), Counter())["new"] == 0
    with serving(home, **SETTINGS) as service:
        token = service.log_in()
        found = service.call("POST", "/api/v1/collections/main/count", {"filter": {}}, token)
        assert found["count"] == 2 + sum(len(each.answered) for each in writers)


@linux
def test_a_worker_ends_when_the_first_process_says_so_and_not_by_a_signal_of_others(tmp_path):
    with serving(tmp_path / "home", **SETTINGS) as service:
        token = service.sign_up()
        service.put(token, "d")
        first = service.child("web_processes")
        workers = children(first)

        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        for _ in range(50):
            assert service.has(token, "d")
        assert children(first) == workers

        service.process.terminate()
        assert service.ended_with() == 0, service.said


@linux
def test_a_process_that_dies_is_followed_by_another_and_nobody_else_notices(tmp_path):
    with serving(tmp_path / "home", **SETTINGS) as service:
        token = service.sign_up()
        service.put(token, "d")
        first = service.child("web_processes")
        workers = children(first)
        assert len(workers) == 2

        os.kill(workers[0], signal.SIGKILL)
        for _ in range(50):
            assert service.has(token, "d")
        wait_until(lambda: len(set(children(first)) - set(workers)) == 1, "another has come")

        assert is_gone(workers[0])
        assert workers[1] in children(first)
        with ExitStack() as stack:

            def both_have_connections():
                line = stack.enter_context(Line(service.port))
                assert line.exchange(request("GET", f"{DOCUMENTS}/d", token=token))
                return all(connections_of(pid, service.port) for pid in children(first))

            wait_until(both_have_connections, "both have connections")
        assert figure(service.port, "processes") == 2
        assert service.process.poll() is None


@linux
@pytest.mark.parametrize("processes", [1, 2])
def test_processes_that_die_twice_in_a_row_are_followed_by_others_and_nothing_is_stopped(
    tmp_path, processes
):
    settings = {**SETTINGS, "TENANTRY_PROCESSES": str(processes)}
    with serving(tmp_path / "home", **settings) as service:
        token = service.sign_up()
        service.put(token, "d")
        first, mongod = service.child("web_processes"), service.child("mongod")

        for _ in range(2):
            killed = children(first)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            wait_until(
                lambda killed=killed: len(set(children(first)) - set(killed)) == processes,
                "others have come",
            )
        for _ in range(20):
            assert service.has(token, "d")  # it waits for who answers

        assert (service.child("web_processes"), service.child("mongod")) == (first, mongod)
        assert service.process.poll() is None


def test_an_application_that_cannot_be_loaded_is_given_up_with_the_reason():
    """Without the pauses between the attempts."""
    program = (
        "from tenancy.management import restarts, web_processes\n"
        "restarts.PAUSE_MAX_SECONDS = 0.0\n"
        "web_processes.main(['nowhere:application', '127.0.0.1', '0', '2', '1', '1', '0', '1'])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
        timeout=WAIT_SECONDS, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "No module named 'nowhere'" in done.stderr
    assert f"ended {ATTEMPTS_MAX} times in a row before it was ready" in done.stderr


def connections_of(pid, port):
    """Return the open connections to a port that a process has accepted."""
    inodes = {
        fields[9]
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if int(fields[1].partition(":")[2], 16) == port and fields[3] == ESTABLISHED
    }
    return {each for each in links(pid) if each.removeprefix("socket:[").rstrip("]") in inodes}


def links(pid):
    """Return what a process has open; it may close some of it meanwhile."""
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield os.readlink(each)


def children(pid):
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_of_500_connections_none_is_dropped_and_some_are_sent_away(tmp_path):
    settings = {**SETTINGS, "TENANTRY_THREADS": "1", "TENANTRY_QUEUE": "4"}
    with serving(tmp_path / "home", **settings) as service:
        token = service.sign_up()
        service.put(token, "d")
        read = request("GET", f"{DOCUMENTS}/d", token=token)
        load = HttpPlan(service.port, [read], 500, accepted=frozenset({200, 503})).start()

        turn = load(0.0)

        assert turn.count == 500
        assert turn.statuses.keys() == {200, 503}
        wait_until(lambda: shed(service.port) > 0, "the metrics say so")


def shed(port):
    return figure(port, "requests_shed_total")


def figure(port, name):
    """Return a figure of the metrics."""
    with Line(port) as line:
        scrape = line.exchange(request("GET", "/metrics", token="m")).decode()
    return float(re.search(rf"\ntenantry_{name} (\S+)", scrape)[1])


@pytest.mark.parametrize(
    ("scope", "is_read"),
    [({}, True), ({"CONTENT_LENGTH": "0"}, True), ({"CONTENT_LENGTH": "131072"}, True),
     ({"CONTENT_LENGTH": "131073"}, False), ({"HTTP_TRANSFER_ENCODING": "chunked"}, False),
     ({"CONTENT_LENGTH": "many"}, False)],
)  # fmt: skip
def test_a_thread_may_rest_when_the_body_is_read_for_certain(scope, is_read):
    assert _is_read(scope) == is_read


@pytest.fixture
def server(monkeypatch):
    """The first process, as it is before it has workers."""
    board = Board()
    monkeypatch.setattr(web_processes, "BOARD", board)
    monkeypatch.setattr(web_processes, "_listeners", [])
    made = WebProcesses(drain_seconds=0, target="x", interface="wsgi", workers=3)
    made.pid = os.getpid()
    return made


def test_workers_end_also_where_nobody_asked_for_it(server, monkeypatch):
    """As where one of them never becomes ready."""
    seen = []
    monkeypatch.setattr(
        MPServer, "_stop_workers",
        lambda _: seen.append((web_processes.BOARD.is_stopping, web_processes.BOARD.is_ending)),
    )  # fmt: skip
    monkeypatch.setattr(MPServer, "_stop_ipc", lambda _: None)

    server.shutdown()

    assert seen == [(True, True)]


def test_a_fork_that_is_told_to_stop_stops_nobody_else(server, monkeypatch):
    server.pid = os.getppid()

    server.signal_handler_interrupt()

    assert not web_processes.BOARD.is_stopping


def test_nothing_is_begun_anew_for_the_sake_of_settings(server):
    server.signal_handler_reload()

    assert not server.reload_signal
    assert not server.main_loop_interrupt.is_set()


@pytest.fixture
def dealt(server, monkeypatch):
    """Return among whom connections were dealt, one time after the other."""
    seen = []
    monkeypatch.setattr(web_processes, "deal_among", lambda _, among: seen.append(list(among)))
    monkeypatch.setattr(web_processes, "LOOK_SECONDS", 0.001)
    server._listeners.append(object())
    return seen


def show_worker(row):
    web_processes.BOARD.take_row(row)
    web_processes.BOARD.show([0] * (len(COLUMNS) - 1) + [1])


@linux
def test_no_connection_goes_to_a_worker_that_died_until_another_is_there(
    server, dealt, monkeypatch
):
    for row in (1, 2, 3):
        show_worker(row)
    server.wrks = [SimpleNamespace(birth=0.0)] * 3
    monkeypatch.setattr(MPServer, "_respawn_workers", lambda *_: show_worker(2))  # at once

    server._note_end(1)
    assert dealt == [[0, 2]]
    server._respawn_workers([1])
    wait_until(lambda: len(dealt) == 2, "it is dealt to all")

    assert dealt[1] == [0, 1, 2]


@linux
def test_connections_go_to_workers_that_are_there_as_they_come(server, dealt):
    watching = threading.Thread(target=server._deal_among_more, args=([],))
    watching.start()
    for times, row in enumerate((2, 1, 3), 1):
        show_worker(row)
        wait_until(lambda times=times: len(dealt) == times, "it is dealt to")
    watching.join(WAIT_SECONDS)

    assert dealt == [[1], [0, 1], [0, 1, 2]]


def test_a_kernel_that_takes_no_program_deals_by_itself(server, monkeypatch, caplog):
    def refuse(*_):
        raise OSError("no such option")

    monkeypatch.setattr(web_processes, "deal_among", refuse)
    server._listeners.append(object())

    server._deal([0, 1])

    assert "no such option" in caplog.text
