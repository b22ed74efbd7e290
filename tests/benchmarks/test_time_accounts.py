"""The profile: time goes to the part it was spent in, once, and every boundary is still there."""

import pytest

from benchmarks import time_accounts
from benchmarks.request_profile import SERVER, WHOLE, split, table
from benchmarks.time_accounts import BOUNDARIES, PARTS, bounded, find, in_request, spent

VIEW, DRIVER = PARTS.index("view"), PARTS.index("driver")


@pytest.fixture
def clock(monkeypatch):
    """Let a thread's CPU time pass by hand, in microseconds; begin with empty accounts."""
    passed = [0]
    monkeypatch.setattr(time_accounts.time, "thread_time_ns", lambda: passed[0] * 1000)
    monkeypatch.setattr(time_accounts, "_everybodys", [])
    monkeypatch.setattr(time_accounts, "_mine", time_accounts._Account())

    def work(microseconds):
        passed[0] += microseconds

    return work


@pytest.mark.parametrize("target", [each for part in BOUNDARIES.values() for each in part])
def test_every_boundary_is_there(target):
    assert callable(getattr(*find(target)))


def test_time_goes_to_the_part_it_was_spent_in(clock):
    query = bounded(lambda: clock(30), DRIVER)

    def view():
        clock(5)
        query()
        clock(7)

    with in_request():
        clock(100)
        bounded(view, VIEW)()
        clock(11)

    parts, together = spent((0.0, 0.0))
    assert (parts["Django"], parts["view"], parts["driver"]) == (111, 12, 30)
    assert together == 153


def test_what_fails_and_what_calls_itself_is_counted_once(clock):
    def fail():
        clock(3)
        raise ValueError

    inner = bounded(fail, VIEW)
    outer = bounded(inner, VIEW)
    with in_request():
        with pytest.raises(ValueError):
            outer()
        clock(2)

    parts, _ = spent((0.0, 0.0))
    assert (parts["view"], parts["Django"]) == (3, 2)


def test_nothing_is_noted_outside_of_requests(clock):
    bounded(lambda: clock(5), VIEW)()

    assert spent((0.0, 0.0))[1] == 0


def test_cost_of_noting_is_taken_off_where_it_arises(clock):
    with in_request():
        bounded(lambda: clock(5), VIEW)()
        clock(4)

    parts, together = spent((1000.0, 2000.0))
    assert (parts["view"], parts["Django"], together) == (4, 2, 9)


def test_noting_costs_little():
    inside, outside = time_accounts.calibrate()

    assert inside > 0
    assert outside >= 0


def test_server_is_what_the_process_took_beyond_the_application():
    before = {"process": 100, "in_wsgi": 50, "requests": 1, "parts": dict.fromkeys(PARTS, 5)}
    after = {"process": 500, "in_wsgi": 250, "requests": 5, "parts": dict.fromkeys(PARTS, 25)}

    each = split(before, after)

    assert each[SERVER] == 50
    assert {each[part] for part in PARTS} == {5}
    assert each[WHOLE] == 50 + 5 * len(PARTS)
    said = table({"read by id": each}, {"read by id": 90.5})
    assert all(part in said for part in (SERVER, *PARTS, "90.5"))
