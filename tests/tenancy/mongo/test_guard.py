"""The guard of a cluster: it refuses what would only wait, and lets a healthy cluster be."""

import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from pymongo.errors import AutoReconnect, NetworkTimeout, OperationFailure
from pymongo.errors import ServerSelectionTimeoutError as NotSelected

from tenancy.exceptions import ClusterUnavailable, QueryTimeout
from tenancy.mongo import guard as guards
from tenancy.mongo.guard import Guard

pytestmark = pytest.mark.needs_mongod
THREADS = 8
SLOTS = 4
EXTRA = 2
# So long waits who waits at all.
PATIENCE_SECONDS = 30.0


class FakeCluster:
    """Counts its pings, and answers them or not."""

    def __init__(self):
        self.answers = True
        self.pings = 0
        self.slow = threading.Event()
        self.slow.set()

    def ping(self):
        self.pings += 1
        self.slow.wait(PATIENCE_SECONDS)
        if not self.answers:
            raise ClusterUnavailable


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def guard(cluster):
    return Guard(cluster.ping, threads=THREADS, is_alone=lambda: False)


@pytest.fixture
def at_once(monkeypatch):
    """Wait for next to nothing, and believe in no old sign of life."""
    for name in ("ALIVE_SECONDS", "CROWDED_SECONDS", "VERDICT_SECONDS", "FULL_SECONDS"):
        monkeypatch.setattr(guards, name, 0.01)


@contextmanager
def call(guard):
    guard.admit()
    failure = None
    try:
        yield
    except ClusterUnavailable as error:
        failure = error
        raise
    finally:
        guard.leave(failure)


def caused_by(cause, error=ClusterUnavailable):
    failure = error()
    failure.__cause__ = cause
    return failure


def enter_and_leave(guard):
    with call(guard):
        pass


def refused(guard):
    with pytest.raises(ClusterUnavailable) as caught, call(guard):
        pass
    return caught.value


def test_calls_on_a_healthy_cluster_cost_no_command(guard, cluster):
    for _ in range(100):
        with call(guard):
            pass

    assert cluster.pings == 0


def test_cluster_that_was_not_reached_is_not_asked_again_for_a_while(guard, cluster, monkeypatch):
    monkeypatch.setattr(guards, "DOWN_SECONDS", PATIENCE_SECONDS)
    guard.learn(caused_by(NotSelected("10.0.0.7:27017")))
    cluster.slow.clear()

    for _ in range(100):
        refused(guard)

    assert cluster.pings == 0


def test_one_call_asks_whether_it_is_back_and_the_others_do_not_wait(guard, cluster, monkeypatch):
    monkeypatch.setattr(guards, "DOWN_SECONDS", 0.0)
    monkeypatch.setattr(guards, "VERDICT_SECONDS", 2 * PATIENCE_SECONDS)
    guard.learn(caused_by(NotSelected("no")))
    cluster.slow.clear()
    asking = threading.Thread(target=enter_and_leave, args=(guard,))
    asking.start()
    while not cluster.pings:
        time.sleep(0.001)

    refused(guard)
    is_asking = asking.is_alive()
    cluster.slow.set()
    asking.join()

    assert is_asking
    assert cluster.pings == 1
    with call(guard):
        pass


def test_cluster_that_is_still_down_is_left_alone_again(guard, cluster, monkeypatch):
    monkeypatch.setattr(guards, "DOWN_SECONDS", 0.05)
    guard.learn(caused_by(NotSelected("no")))
    cluster.answers = False
    time.sleep(0.06)
    monkeypatch.setattr(guards, "DOWN_SECONDS", 60.0)

    for _ in range(10):
        refused(guard)

    assert cluster.pings == 1


@pytest.mark.parametrize("cause", [NetworkTimeout("timed out"), AutoReconnect("closed")])
def test_lost_connection_makes_the_next_call_ask_first(guard, cluster, cause):
    guard.learn(caused_by(cause))

    for _ in range(2):
        with call(guard):
            pass

    assert cluster.pings == 1


@pytest.mark.parametrize(
    "error",
    [QueryTimeout(), caused_by(OperationFailure("slow", 50), QueryTimeout), ValueError()],
)
def test_answer_that_is_an_error_is_an_answer(guard, cluster, error):
    guard.learn(error)

    with call(guard):
        pass

    assert cluster.pings == 0


def test_stalled_calls_leave_half_of_the_threads(guard, cluster, at_once):
    cluster.answers = False
    with ExitStack() as stalled:
        for _ in range(SLOTS):
            stalled.enter_context(call(guard))

        for _ in range(10):
            refused(guard)

        assert cluster.pings == 1


def test_slow_calls_of_a_cluster_that_answers_leave_a_quarter(guard, cluster, at_once):
    with ExitStack() as slow:
        for _ in range(SLOTS + EXTRA):
            slow.enter_context(call(guard))

        assert "more to do" in refused(guard).detail
    with call(guard):
        pass


def test_only_cluster_may_have_all_threads(cluster, at_once):
    guard = Guard(cluster.ping, threads=THREADS, is_alone=lambda: True)
    with ExitStack() as slow:
        for _ in range(THREADS * 2):
            slow.enter_context(call(guard))


def test_slots_come_back_however_a_call_ends(guard, at_once):
    for _ in range(50):
        with pytest.raises(ClusterUnavailable), call(guard):
            raise ClusterUnavailable

    with ExitStack() as slow:
        for _ in range(SLOTS + EXTRA):
            slow.enter_context(call(guard))


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 1), (3, 2), (4, 3), (64, 48)])
def test_cluster_gets_three_quarters_of_the_threads(cluster, threads, most, at_once):
    guard = Guard(cluster.ping, threads=threads, is_alone=lambda: False)

    with ExitStack() as slow:
        for _ in range(most):
            slow.enter_context(call(guard))
        refused(guard)


def test_many_threads_on_a_healthy_cluster_are_neither_refused_nor_pinged(guard, cluster):
    done = []

    def work():
        for _ in range(200):
            with call(guard):
                time.sleep(0.0005)
        done.append(1)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (len(done), cluster.pings) == (THREADS, 0)
