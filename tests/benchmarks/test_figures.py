"""Rows, ratios, bars: what the table of the benchmark says is what was measured."""

import os

import pytest

from benchmarks.comparison import Comparison, Measured, Pace, measure, ratio, together
from benchmarks.figures import NO_BAR, Bar, Figure, figure, heading, missed
from benchmarks.load_process import Turn
from tests.benchmarks.noting import NotingPlan


def turn_of(count, seconds=1.0, cpu_seconds=0.0):
    turn = Turn(seconds=seconds, cpu_seconds=cpu_seconds)
    turn.latencies.extend(number / 1000 for number in range(1, count + 1))
    return turn


@pytest.mark.parametrize(
    ("bar", "value", "is_missed"),
    [
        (Bar(at_least=0.45), 0.449, True),
        (Bar(at_least=0.45), 0.45, False),
        (Bar(at_most=450), 450.1, True),
        (Bar(at_most=450), 450, False),
        (NO_BAR, 0.0, False),
    ],
)
def test_bar_is_missed_on_the_wrong_side_only(bar, value, is_missed):
    found = Figure("x", value, bar=bar)

    assert found.is_missed is is_missed
    assert ("MISSED" in str(found)) is is_missed
    assert found.represent()["missed"] is is_missed
    assert missed([found]) == (["x"] if is_missed else [])


def test_figure_is_the_median_and_says_between_what_it_lay():
    found = figure("read", [0.5, 0.4, 0.9], bar=Bar(at_least=0.45), absolutes={"p50 ms": 3.25})

    assert (found.value, found.spread) == (0.5, (0.4, 0.9))
    for part in ("read", "0.5", "0.4 .. 0.9", ">= 0.45", "p50 ms 3.25"):
        assert part in str(found)


def test_columns_stand_below_their_heading():
    line = str(figure("read", [0.5], bar=Bar(at_least=0.45)))

    assert line.index("0.45") + len("0.45") == len(heading())
    assert line.index("0.5") + len("0.5") == heading().index("value") + len("value")


def test_turn_knows_its_rate_its_percentiles_and_its_cost():
    turn = turn_of(100, seconds=2.0, cpu_seconds=0.005)

    assert (turn.count, turn.rate, turn.cpu_us) == (100, 50.0, 50.0)
    assert turn.milliseconds(0.5) == pytest.approx(51)
    assert turn.milliseconds(0.99) == pytest.approx(100)


def test_turns_together_have_all_that_each_had():
    total = together([turn_of(2, cpu_seconds=1.0), turn_of(3, seconds=2.0)])

    assert (total.count, total.seconds, total.cpu_seconds) == (5, 3.0, 1.0)


def test_ratio_is_of_rates_round_by_round():
    measured = Measured(
        ours=[turn_of(10), turn_of(30)],
        raw=[turn_of(40), turn_of(30, seconds=0.5)],
        server_seconds=[0.002, 0.003],
    )

    assert measured.ratios == [0.25, 0.5]
    assert measured.server_us == pytest.approx([200.0, 100.0])


def test_sides_have_their_turns_alternately_and_none_always_first(tmp_path):
    notes = tmp_path / "notes"
    row = Comparison("x", NotingPlan("o", notes), NotingPlan("r", notes, latency=0.005))

    measured = measure(row, [os.getpid()], Pace(rounds=3, seconds=1.5))

    assert notes.read_text() == "o0.3 r0.3 r1.5 o1.5 o1.5 r1.5 r1.5 o1.5 "
    assert ratio(row, measured).value == 0.5


def test_row_of_long_requests_makes_one_in_each_turn(tmp_path):
    notes = tmp_path / "notes"
    row = Comparison("x", NotingPlan("o", notes), NotingPlan("r", notes), once=True)

    measure(row, [os.getpid()], Pace(rounds=1))

    assert notes.read_text() == "o0 r0 r0 o0 "
