"""What processes show each other in the memory that they share."""

import os

import pytest
from django.test import Client

from tenancy.api import health
from tenancy.board import COLUMNS, Board


def in_fork(function):
    """Run a function in a process forked from this one, to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_a_forked_process_hears_of_the_stop():
    board = Board()
    assert not board.is_stopping

    in_fork(board.announce_stop)

    assert board.is_stopping
    assert not board.is_ending

    in_fork(board.announce_end)

    assert board.is_ending
    assert set(board.totals().values()) == {0}


def test_figures_of_all_processes_are_added_up():
    board = Board()
    board.show([1, 2, 3, 4, 5, 6, 1])

    def show():
        board.take_row(7)
        board.show([10, 20, 30, 40, 50, 60, 1])

    in_fork(show)

    assert board.totals() == dict(zip(COLUMNS, [11, 22, 33, 44, 55, 66, 2], strict=True))


def test_a_worker_that_follows_another_takes_its_row():
    board = Board()
    for figures in ([5, 5, 5, 5, 5, 5, 1], [1, 0, 0, 6, 1, 2, 1]):
        board.take_row(1)
        board.show(figures)

    assert list(board.totals().values()) == [1, 0, 0, 6, 1, 2, 1]


def test_what_a_dead_process_has_written_is_taken_away():
    board = Board()
    board.take_row(2)
    board.show([5, 5, 5, 5, 5, 5, 1])
    assert board.is_shown(2)

    board.clear_row(2)

    assert not board.is_shown(2)
    assert set(board.totals().values()) == {0}


@pytest.mark.django_db
@pytest.mark.needs_mongod
def test_nobody_is_sent_to_a_service_that_stops(monkeypatch):
    stopping = Board()
    stopping.announce_stop()
    monkeypatch.setattr(health, "BOARD", stopping)

    answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["status"] == "stopping"
    assert Client().get("/livez").status_code == 200
