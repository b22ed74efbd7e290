"""Windows slide and are exact, many at once cannot exceed them, and what is kept is bounded."""

import logging
import threading

import pytest

from accounts import limit_stores, limit_windows, redis_windows
from accounts.limit_windows import MemoryWindows, Window
from accounts.redis_windows import RedisWindows
from tests.redis_servers import running_redis, wait_until
from tests.servers import at_once

pytestmark = pytest.mark.usefixtures("patient_redis")

A, B = Window("a", 3, 60), Window("b", 5, 60)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(limit_windows, "seconds", clock)
    return clock


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
def windows(request):
    """Each place where windows are kept, empty."""
    if request.param == "memory":
        return MemoryWindows()
    place = RedisWindows(request.getfixturevalue("redis_server").url)
    place.reset()
    return place


def test_a_window_is_full_after_its_limit_and_says_when_there_is_room(windows):
    standings = [windows.take([A]).standings[0] for _ in range(3)]

    refused = windows.take([A])

    assert [standing.left for standing in standings] == [2, 1, 0]
    assert (refused.full, refused.standings[0].left) == ((0,), 0)
    assert 55 < refused.standings[0].reset <= 60


def test_several_windows_are_taken_from_together_or_not_at_all(windows):
    for _ in range(3):
        windows.take([A])

    refused = windows.take([B, A])

    assert refused.full == (1,)
    assert windows.take([B]).standings[0].left == 4


def test_every_full_window_is_named(windows):
    one, two = Window("one", 1, 60), Window("two", 1, 60)
    windows.take([one, two])

    assert windows.take([one, B, two]).full == (0, 2)


def test_keys_do_not_share(windows):
    for _ in range(3):
        windows.take([A])

    assert windows.take([Window("another", 3, 60)]).full == ()


def test_a_window_is_empty_once_forgotten(windows):
    for _ in range(3):
        windows.take([A])

    windows.forget([A, B])

    assert windows.take([A]).standings[0].left == 2


def test_a_limit_that_is_lowered_holds_for_what_was_counted(windows):
    for _ in range(3):
        windows.take([A])

    assert windows.take([A._replace(limit=2)]).full == (0,)
    assert windows.take([A._replace(limit=4)]).full == ()


def test_a_limit_of_none_at_all_lets_nobody_through(windows):
    refused = windows.take([Window("never", 0, 60)])

    assert (refused.full, refused.standings[0].left) == ((0,), 0)
    assert refused.standings[0].reset == 60


def test_thirty_two_at_once_cannot_exceed_a_limit(windows):
    for number in range(5):
        window = Window(f"race-{number}", 10, 60)

        answers = at_once([lambda window=window: windows.take([window])] * 32)

        assert sum(not taken.full for taken in answers) == 10


def test_attempts_and_clearing_at_once_break_nothing(windows):
    window = Window("cleared", 2, 60)
    calls = [lambda: windows.take([window])] * 12 + [lambda: windows.forget([window])] * 12

    answers = at_once(calls)

    assert sum(taken is not None for taken in answers) == 12
    assert windows.take([window]).standings[0].left <= 2


def test_redis_lets_through_again_once_the_first_has_left_the_window(redis_server):
    windows, window = RedisWindows(redis_server.url), Window("second", 1, 1)
    windows.take([window])
    assert windows.take([window]).full == (0,)

    wait_until(lambda: not windows.take([window]).full)


def test_keys_in_redis_expire_with_their_window(redis_server):
    windows = RedisWindows(redis_server.url)
    windows.reset()

    windows.take([Window("short", 5, 1), A])

    wait_until(lambda: redis_server.keys() == ["tenantry:limits:a"])


# --- In memory ----------------------------------------------------------------------------------


def test_memory_slides_one_by_one(clock):
    windows = MemoryWindows()
    for _ in range(3):
        windows.take([A])
        clock.now += 10

    clock.now = 1000 + 59.9
    assert windows.take([A]).full == (0,)
    assert windows.take([A]).standings[0].reset == pytest.approx(0.1)
    clock.now = 1060
    assert windows.take([A]).full == ()
    assert windows.take([A]).full == (0,)


def test_no_sixty_seconds_hold_more_than_the_limit(clock):
    windows, granted = MemoryWindows(), []

    for _ in range(2_000):
        clock.now += 0.37
        if not windows.take([A]).full:
            granted.append(clock.now)

    assert len(granted) > 30
    assert all(later - first >= 60 for first, later in zip(granted, granted[3:], strict=False))


def test_memory_gives_back_what_has_aged(clock):
    windows = MemoryWindows()
    for number in range(500):
        windows.take([Window(f"key-{number}", 3, 60)])
    clock.now += 61

    for number in range(300):
        windows.take([Window(f"new-{number}", 3, 60)])

    assert len(windows) == 300


def test_memory_is_bounded_whoever_sends_what():
    windows = MemoryWindows(max_keys=100)

    for number in range(1_000):
        windows.take([Window(f"key-{number}", 3, 3_600), Window(f"key-{number}", 3, 60)])

    assert len(windows) == 200
    assert windows.take([Window("key-999", 3, 60)]).standings[0].left == 1


@pytest.mark.parametrize("tries", [0, 1], ids=["left alone", "tried meanwhile"])
def test_a_full_window_is_not_flushed_by_many_others(tries):
    windows, held = MemoryWindows(max_keys=100), Window("held", 2, 60)
    for _ in range(2):
        windows.take([held])

    refused = []
    for number in range(1_000):
        windows.take([Window(f"key-{number}", 2, 60)])
        refused += [windows.take([held]).full for _ in range(tries)]

    assert {*refused, windows.take([held]).full} == {(0,)}
    assert len(windows) == 100


def test_what_has_aged_goes_before_what_counts(clock):
    windows = MemoryWindows(max_keys=100)
    for number in range(50):
        windows.take([Window(f"aged-{number}", 3, 60)])
    clock.now += 50
    windows.take([Window("counts", 3, 60)])
    clock.now += 11

    for number in range(99):
        windows.take([Window(f"new-{number}", 3, 60)])

    assert windows.take([Window("counts", 3, 60)]).standings[0].left == 1


def test_memory_is_bounded_though_every_window_is_full():
    windows = MemoryWindows(max_keys=100)

    for number in range(1_000):
        windows.take([Window(f"key-{number}", 1, 60)])

    assert len(windows) == 100
    assert windows.take([Window("key-999", 1, 60)]).full == (0,)


def test_counting_in_memory_starts_no_threads():
    windows, before = MemoryWindows(), threading.active_count()

    for number in range(1_000):
        windows.take([Window(f"key-{number % 7}", 100, 60)])

    assert threading.active_count() == before


# --- Where it is counted ------------------------------------------------------------------------


def test_off_memory_and_redis_are_told_apart(settings, redis_server):
    assert limit_stores.state() == "off"
    settings.RATE_LIMITS = True
    assert limit_stores.state() == "memory"
    settings.REDIS_URL = redis_server.url
    assert limit_stores.state() == "ok"


def test_redis_that_was_never_there_is_noticed(settings, tmp_path, caplog):
    settings.RATE_LIMITS, settings.REDIS_URL = True, "redis://127.0.0.1:1/0"

    with caplog.at_level(logging.WARNING, "tenantry.limits"):
        states = {limit_stores.state() for _ in range(5)}

    assert states == {"degraded"}
    assert len(caplog.records) == 1


def test_the_password_of_redis_is_not_logged(settings, caplog):
    settings.RATE_LIMITS, settings.REDIS_URL = True, "redis://me:hunter2@127.0.0.1:1/0"

    limit_stores.take([A])

    assert "Redis fails" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_server_that_takes_no_writes_is_degraded(settings, tmp_path, monkeypatch):
    settings.RATE_LIMITS = True
    monkeypatch.setattr(redis_windows, "PROBE_SECONDS", 0.05)
    with running_redis(tmp_path) as server:
        settings.REDIS_URL = server.url
        server.configure("maxmemory", "1")
        assert limit_stores.state() == "degraded"
        server.configure("maxmemory", "0")

        wait_until(lambda: limit_stores.state() == "ok")


def test_of_many_requests_one_sends_for_redis_and_none_waits(settings, tmp_path, monkeypatch):
    settings.RATE_LIMITS, asked = True, []
    with running_redis(tmp_path) as server:
        settings.REDIS_URL = server.url
        place = limit_stores._place()
        server.freeze()
        limit_stores.take([B])
        place._probe_at = 0.0  # it is time
        take = place.redis.take
        monkeypatch.setattr(
            place.redis,
            "take",
            lambda which: (asked.append(threading.current_thread()), take(which)),
        )

        answers = at_once([lambda: (threading.current_thread(), limit_stores.take([B]))] * 16)

        wait_until(lambda: asked)
        assert len(asked) == 1
        assert asked[0] not in {thread for thread, _ in answers}
        assert sum(not taken.full for _, taken in answers) == B.limit - 1
        asked[0].join()
        server.thaw()
