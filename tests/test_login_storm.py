"""The benchmark of sign-ins runs by itself, and what it measures is there."""

import argparse

import pytest

from benchmarks import login_storm

pytestmark = [pytest.mark.xdist_group("storm"), pytest.mark.needs_mongod, pytest.mark.once]


@pytest.fixture(scope="module")
def figures():
    return login_storm.run(argparse.Namespace(seconds=0.5, rounds=1, tries=10))


def test_readers_go_on_beside_every_storm(figures):
    assert [row["storm"] for row in figures["storms"]] == list(login_storm.STORMS)
    for row in figures["storms"]:
        assert row["logins"] > 0
        assert row["kept"] > 0.1  # of a short moment; `make bench` gives the figure


def test_who_finds_no_room_is_refused(figures):
    small, large = figures["storms"]
    assert small["refused"] == 0
    assert large["refused"] > 0


def test_every_answer_is_the_same_for_known_and_unknown(figures):
    assert [row["path"] for row in figures["times"]] == list(login_storm.TIMED)
    assert all(row["answers"] == 1 for row in figures["times"])
    assert all(row["tries"] >= 10 for row in figures["times"])


def test_report_has_a_line_for_each_figure(figures, capsys):
    login_storm.report(figures)

    text = capsys.readouterr().out
    for word in ("2 loops", "16 loops", login_storm.LOG_IN, login_storm.FORGOT):
        assert text.count(word) == 1
