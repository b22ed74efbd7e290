"""Who is worked on, who waits, who is sent away."""

import threading
from types import SimpleNamespace

import pytest

from tenancy import admission
from tenancy.admission import Gate, Places, SeatedConnections, sit, step_out, threads_needed

PATIENCE_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _no_seat():
    yield
    sit(None)


def gate(seats=1, places=1, patience=PATIENCE_SECONDS):
    return Gate(seats=seats, places=places, patience_seconds=patience)


class Comer(threading.Thread):
    """Somebody who comes to a gate; started when they stand in line or are through."""

    def __init__(self, subject, note=None):
        super().__init__()
        self.subject, self.note, self.seat = subject, note, None
        before = subject.waiting
        self.start()
        while subject.waiting == before and self.is_alive():
            self.join(0.001)

    def run(self):
        self.seat = self.subject.enter()
        if self.note is not None:
            self.note(self)


class Connection:
    def __init__(self):
        self.is_closed, self.shared = False, 0

    def inc_thread_sharing(self):
        self.shared += 1

    def close(self):
        self.is_closed = True


def test_seats_are_taken_the_line_fills_and_the_next_is_refused_at_once():
    subject = gate(seats=2, places=1)
    first, second = subject.enter(), subject.enter()
    waiting = Comer(subject)

    assert (subject.in_work, subject.waiting) == (2, 1)
    assert subject.enter() is None
    assert subject.shed == 1

    subject.leave(first)
    waiting.join(PATIENCE_SECONDS)
    assert waiting.seat is first
    for seat in (waiting.seat, second):
        subject.leave(seat)
    assert (subject.in_work, subject.waiting, subject.shed) == (0, 0, 1)


def test_the_line_is_served_in_the_order_of_coming():
    subject, order = gate(places=5), []
    seat = subject.enter()

    def note(comer):
        order.append(comer)
        subject.leave(comer.seat)

    comers = [Comer(subject, note) for _ in range(5)]
    subject.leave(seat)
    for comer in comers:
        comer.join(PATIENCE_SECONDS)

    assert order == comers


def test_who_waits_too_long_is_refused_and_leaves_the_line():
    subject = gate(patience=0.01)
    seat = subject.enter()

    assert subject.enter() is None
    assert (subject.waiting, subject.shed) == (0, 1)

    subject.leave(seat)
    assert subject.enter() is seat


def have_turns_wait(monkeypatch, wait):
    """Have `wait` called with the seconds where somebody waits for a turn."""

    class Turn(admission._Turn):
        def __init__(self):
            super().__init__()
            self.come = SimpleNamespace(acquire=wait, release=lambda: None)

    monkeypatch.setattr(admission, "_Turn", Turn)


def test_a_seat_that_comes_at_the_last_moment_is_not_lost(monkeypatch):
    subject = gate(patience=0.0)
    seat = subject.enter()

    def wait(timeout):
        subject.leave(seat)
        return False

    have_turns_wait(monkeypatch, wait)

    assert subject.enter() is seat
    assert (subject.in_work, subject.waiting, subject.shed) == (1, 0, 0)


def test_who_cannot_wait_leaves_the_line():
    subject = gate(patience=99_999_999_999.0)
    seat = subject.enter()

    with pytest.raises(OverflowError):
        subject.enter()
    assert subject.waiting == 0

    subject.leave(seat)
    assert subject.enter() is seat


def test_a_seat_that_comes_to_who_cannot_wait_is_not_lost(monkeypatch):
    subject = gate()
    seat = subject.enter()

    def wait(timeout):
        subject.leave(seat)
        raise InterruptedError

    have_turns_wait(monkeypatch, wait)

    with pytest.raises(InterruptedError):
        subject.enter()
    assert (subject.in_work, subject.waiting) == (0, 0)


def test_no_seat_is_lost_or_doubled_among_many_threads():
    subject = gate(seats=3, places=40, patience=0.002)
    inside, most, seated = set(), [], [0]
    barrier, lock = threading.Barrier(24), threading.Lock()

    def come_and_go():
        barrier.wait()
        for _ in range(300):
            seat = subject.enter()
            if seat is None:
                continue
            with lock:
                assert seat not in inside
                inside.add(seat)
                most.append(len(inside))
                seated[0] += 1
            with lock:
                inside.remove(seat)
            subject.leave(seat)

    threads = [threading.Thread(target=come_and_go) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (subject.in_work, subject.waiting) == (0, 0)
    assert max(most) <= 3
    assert seated[0] + subject.shed == 24 * 300


def test_who_steps_out_leaves_a_seat_and_takes_the_connections_along():
    subject = gate(places=0)
    seat, connection = subject.enter(), Connection()
    seat.connections["default"] = connection
    sit(seat)

    step_out()
    step_out()

    assert (subject.in_work, subject.beside) == (0, 1)
    other = subject.enter()
    assert other.connections == {}
    subject.leave(seat)
    assert connection.is_closed
    assert (subject.in_work, subject.beside) == (1, 0)


def test_as_many_step_out_as_there_are_seats_and_the_others_keep_theirs():
    subject = gate(places=0)
    for _ in range(2):
        seat = subject.enter()
        sit(seat)
        step_out()

    assert (subject.in_work, subject.beside) == (1, 1)
    assert subject.enter() is None
    subject.leave(seat)
    assert subject.enter() is seat


def test_connections_are_those_of_the_seat_and_elsewhere_those_of_the_thread():
    elsewhere = SimpleNamespace(default=Connection())
    subject, place = SeatedConnections(elsewhere), gate()
    assert subject.default is elsewhere.default

    seat, opened = place.enter(), Connection()
    sit(seat)
    assert not hasattr(subject, "default")
    subject.default = opened

    def look():
        sit(seat)
        found.append(subject.default)

    found = []
    thread = threading.Thread(target=look)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert found == [opened]
    assert opened.shared == 1
    del subject.default
    assert not hasattr(subject, "default")
    sit(None)
    assert subject.default is elsewhere.default


def test_bodies_on_their_way_have_so_many_places():
    places = Places(1)

    assert (places.take(), places.take()) == (True, False)
    assert places.refused == 1
    places.give_back()
    assert places.take()


def test_threads_leave_room_for_sending_away():
    seats, places = 8, 128

    assert threads_needed(seats, places) > 2 * seats + places + admission.bodies_at_once(places)
