"""Which threads of a server take requests, and which rest."""

import queue
import threading
import time
from contextlib import suppress

import pytest

from tenancy import lanes as module
from tenancy.lanes import Lanes, stand_aside, stay_awake

WAIT_SECONDS = 20.0
THREADS = 4


class Server:
    """What granian does: threads take requests from one queue, until they are told to end."""

    def __init__(self, lanes, threads=THREADS, may_rest=lambda scope: True):
        self.requests, self.done, self.served_by = queue.SimpleQueue(), queue.SimpleQueue(), []
        self.run = lanes.wrap(self._serve, may_rest)
        self.threads = [threading.Thread(target=self._loop, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _loop(self):
        while (request := self.requests.get()) is not None:
            with suppress(ZeroDivisionError):
                self.run(None, request)

    def _serve(self, protocol, request):
        try:
            request()
        finally:
            self.served_by.append(threading.get_ident())
            self.done.put(None)

    def send(self, *requests):
        for request in requests:
            self.requests.put(request)

    def wait(self, count):
        for _ in range(count):
            self.done.get(timeout=WAIT_SECONDS)


def quick():
    """Take no time."""


def until(holds):
    """Wait until something is so: for threads that are on their way."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def busy(monkeypatch):
    """Give the share of a core that the process is said to take; it keeps the core busy."""
    share, now = [1.0], [0.0]

    def process_time():
        wall = time.perf_counter()
        now[:] = [now[0] + share[0] * (wall - started[0])]
        started[:] = [wall]
        return now[0]

    started = [time.perf_counter()]
    monkeypatch.setattr(module.time, "process_time", process_time)
    return share


def settled(lanes, server):
    """Send quick requests until one thread takes them all."""
    for _ in range(50 * THREADS):
        server.send(quick)
        server.wait(1)
        if lanes.resting == len(server.threads) - 1:
            return
        # Who has not joined takes one sooner or later: the others rest after theirs.
        time.sleep(0.001)
    raise AssertionError("Several threads went on taking requests.")


def test_one_thread_takes_quick_requests_and_the_others_rest(busy):
    lanes = Lanes(THREADS)
    server = Server(lanes)
    settled(lanes, server)
    server.served_by.clear()

    server.send(*[quick] * 50)
    server.wait(50)

    assert len(set(server.served_by)) == 1
    assert (lanes.width, lanes.active, lanes.resting) == (1, 1, THREADS - 1)


def test_who_takes_long_keeps_nobody_out(busy):
    lanes, go_on = Lanes(THREADS), threading.Event()
    server = Server(lanes)
    settled(lanes, server)

    server.send(lambda: go_on.wait(WAIT_SECONDS), quick)
    time.sleep(module.LONG_SECONDS)
    until(lambda: not lanes.look() and len(server.served_by) > 0 and not server.done.empty())

    server.wait(1)  # the quick one, by another thread
    assert not go_on.is_set()
    go_on.set()
    server.wait(1)
    until(lambda: (lanes.active, lanes.resting) == (1, THREADS - 1))


def test_who_says_that_it_will_wait_stands_aside_at_once(busy):
    lanes, go_on = Lanes(THREADS), threading.Event()
    server = Server(lanes)
    settled(lanes, server)

    def waits():
        stand_aside()
        stand_aside()
        go_on.wait(WAIT_SECONDS)

    server.send(waits, *[quick] * 5)
    server.wait(5)  # nobody has had a look

    go_on.set()
    server.wait(1)
    until(lambda: (lanes.active, lanes.resting) == (1, THREADS - 1))


def test_all_threads_may_be_in_long_requests(busy):
    lanes, go_on, begun = Lanes(THREADS), threading.Event(), threading.Semaphore(0)
    server = Server(lanes)
    settled(lanes, server)

    def waits():
        begun.release()
        stand_aside()
        go_on.wait(WAIT_SECONDS)

    server.send(*[waits] * THREADS)

    assert all(begun.acquire(timeout=WAIT_SECONDS) for _ in range(THREADS))
    go_on.set()
    server.wait(THREADS)
    until(lambda: (lanes.active, lanes.resting) == (1, THREADS - 1))


def test_there_are_more_lanes_while_the_processor_idles_and_fewer_when_it_does_not(busy):
    lanes, begun, go_on = Lanes(2), threading.Semaphore(0), threading.Event()
    server = Server(lanes)
    settled(lanes, server)
    busy[0] = 0.1
    for _ in range(100):  # nobody is at work: it idles because nothing is to be done
        lanes.look()
    assert lanes.width == 1

    def waits():
        begun.release()
        go_on.wait(WAIT_SECONDS)

    server.send(waits)
    assert begun.acquire(timeout=WAIT_SECONDS)
    until(lambda: not lanes.look() and lanes.width == 2)
    assert lanes.width == 2

    busy[0] = 1.0
    go_on.set()
    server.wait(1)
    until(lambda: not lanes.look() and lanes.width == 1)
    settled(lanes, server)


def test_a_thread_that_ends_is_missed(busy):
    lanes = Lanes(THREADS)
    server = Server(lanes)
    settled(lanes, server)

    server.send(None)  # to the one that takes requests

    until(lambda: (lanes.active, lanes.resting) == (1, THREADS - 2))
    server.send(*[quick] * 5)
    server.wait(5)


def test_a_thread_does_not_rest_while_the_server_keeps_something_of_the_request(busy):
    lanes = Lanes(THREADS)
    server = Server(lanes, may_rest=lambda scope: scope is quick)
    settled(lanes, server)

    def uploads():
        stand_aside()

    server.send(*[uploads] * 20)
    server.wait(20)
    until(lambda: lanes.active + lanes.resting == THREADS)

    assert lanes.active > 1
    settled(lanes, server)


def test_who_answers_a_request_may_say_that_its_thread_does_not_rest(busy):
    lanes = Lanes(THREADS)
    server = Server(lanes)
    settled(lanes, server)

    def refuses():
        stay_awake()
        stand_aside()

    server.send(*[refuses] * 20)
    server.wait(20)
    until(lambda: lanes.active + lanes.resting == THREADS)

    assert lanes.active > 1
    settled(lanes, server)  # it holds for that request only


def test_an_error_leaves_no_trace(busy):
    lanes = Lanes(THREADS)
    server = Server(lanes)
    settled(lanes, server)

    server.send(*[lambda: 1 / 0] * 5)
    server.wait(5)
    server.send(quick)
    server.wait(1)

    until(lambda: (lanes.active, lanes.resting) == (1, THREADS - 1))


def test_nobody_rests_for_ever(busy, monkeypatch):
    monkeypatch.setattr(module, "REST_SECONDS", 0.05)
    lanes, begun = Lanes(THREADS), threading.Semaphore(0)
    server = Server(lanes)
    go_on = threading.Event()

    def waits():
        begun.release()
        go_on.wait(WAIT_SECONDS)

    server.send(*[quick] * 20)
    server.wait(20)
    server.send(*[waits] * THREADS)  # nobody looks, and nobody stands aside

    assert all(begun.acquire(timeout=WAIT_SECONDS) for _ in range(THREADS))
    go_on.set()
    server.wait(THREADS)


def test_the_watch_sleeps_when_nobody_comes_and_wakes_with_the_next(monkeypatch):
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.01)
    lanes, go_on = Lanes(THREADS), threading.Event()
    lanes.watch()
    server = Server(lanes)
    for _ in range(3):
        until(lambda: not lanes.is_watched)
        server.send(lambda: go_on.wait(WAIT_SECONDS), *[quick] * 3)
        server.wait(3)
        go_on.set()
        server.wait(1)
        go_on.clear()


def test_outside_of_a_server_nothing_stands_aside_or_stays_awake():
    stand_aside()
    stay_awake()


def test_the_lanes_of_a_process_are_counted(monkeypatch):
    monkeypatch.setattr(module, "_watched", [])
    assert module.count() == 0

    Lanes(THREADS).watch()

    assert module.count() == 1


def test_a_request_that_ends_while_it_is_looked_at_took_no_time(busy, monkeypatch):
    """Between two reads of when it began, it may have ended: then that is 0."""
    lanes = Lanes(THREADS)
    readings = iter([time.perf_counter()])

    class Ending:
        is_aside = False
        began = property(lambda self: next(readings, 0.0))

    worker = Ending()
    lanes._out.add(worker)
    lanes.active = 1

    lanes.look()

    assert (worker.is_aside, lanes.active) == (False, 1)
