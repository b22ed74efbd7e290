"""When a server process that ended is followed by another, and when no more are tried."""

import pytest

from tenancy.management.restarts import ATTEMPTS_MAX, SOON_SECONDS, Restarts


class Clock:
    """A clock that only goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def restarts(clock: Clock) -> Restarts:
    return Restarts(1, clock)


def die(restarts: Restarts, clock: Clock, *, lived: float = 0.0, was_ready: bool = True) -> float:
    """Have the first worker end, wait for the time of the next, and return how long that was."""
    restarts.note_end(0, born=clock.now - lived, was_ready=was_ready)
    pause = restarts.seconds_left()
    assert pause is not None
    clock.now += pause
    assert restarts.take_due() == [0]
    return pause


def test_nobody_is_due_while_all_live(restarts):
    assert (restarts.seconds_left(), restarts.take_due()) == (None, [])


def test_a_worker_that_lived_long_is_followed_at_once(restarts, clock):
    assert [die(restarts, clock, lived=SOON_SECONDS) for _ in range(3)] == [0, 0, 0]


def test_the_pause_grows_with_each_worker_that_dies_soon(restarts, clock):
    assert [die(restarts, clock) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_worker_that_lives_long_ends_the_pauses(restarts, clock):
    pauses = [die(restarts, clock, lived=lived) for lived in (0, 0, SOON_SECONDS, 0)]

    assert pauses == [1, 2, 0, 1]


def test_one_that_died_long_ago_does_not_keep_the_next_waiting(restarts, clock):
    die(restarts, clock)
    restarts.note_end(0, born=clock.now, was_ready=True)

    restarts.note_end(1, born=clock.now - SOON_SECONDS, was_ready=True)

    assert restarts.take_due() == [1]
    assert restarts.seconds_left() == 2


def test_who_was_alone_is_not_missed_for_long(restarts, clock):
    pauses = [restarts.note_end(0, born=clock.now, was_ready=True, is_alone=True) for _ in range(4)]
    assert pauses == [1] * 4
    assert restarts.note_end(0, born=clock.now, was_ready=False, is_alone=True) == 2


def test_it_is_given_up_when_it_was_not_ready_so_many_times_in_a_row(restarts, clock):
    for _ in range(ATTEMPTS_MAX - 1):
        die(restarts, clock, was_ready=False)
    assert not restarts.are_in_vain

    restarts.note_end(0, born=clock.now, was_ready=False)
    assert restarts.are_in_vain


def test_nothing_is_given_up_while_another_may_live(clock):
    restarts = Restarts(2, clock)
    for _ in range(2 * ATTEMPTS_MAX):
        die(restarts, clock, was_ready=False)
    assert not restarts.are_in_vain

    for _ in range(ATTEMPTS_MAX):
        restarts.note_end(1, born=clock.now, was_ready=False)
    assert restarts.are_in_vain


def test_one_that_was_ready_is_a_new_beginning(restarts, clock):
    for was_ready in [*[False] * (ATTEMPTS_MAX - 1), True, *[False] * (ATTEMPTS_MAX - 1)]:
        die(restarts, clock, was_ready=was_ready)

    assert not restarts.are_in_vain


def test_one_that_tries_for_long_and_is_never_ready_waits_for_its_next_attempt(restarts, clock):
    assert die(restarts, clock, lived=SOON_SECONDS * 2, was_ready=False) == 1
