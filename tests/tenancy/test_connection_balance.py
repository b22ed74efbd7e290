"""A busy process with more than its share of the connections sends what is above it away."""

import pytest

from tenancy import connection_balance
from tenancy.board import COLUMNS, Board
from tenancy.connection_balance import ConnectionBalance

OTHER_ROW = 7


class Clock:
    """Seconds that go by, and how many of them the process was at work."""

    def __init__(self, monkeypatch):
        self.wall = self.cpu = 100.0
        monkeypatch.setattr(connection_balance.time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(connection_balance.time, "process_time", lambda: self.cpu)

    def pass_by(self, busy):
        self.wall += 5
        self.cpu += 5 * busy


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def show(board, row, connections):
    board.take_row(row)
    board.show([{"connections": connections, "processes": 1}.get(name, 0) for name in COLUMNS])


def sent_away(clock, own, other, busy=1.0):
    """Return how many answers of a process say that it was the last over their connection.

    `own` is what it has at one look after the other, `other` what another process shows.
    """
    board = Board()
    balance = ConnectionBalance(board)
    for connections in own:
        clock.pass_by(busy)
        show(board, OTHER_ROW, other)
        show(board, 1, balance.connections)
        balance.look(connections)
    return [balance.sends_away() for _ in range(200)].count(True)


@pytest.mark.parametrize(
    ("own", "other", "count"),
    [(16, 0, 8), (15, 1, 7), (9, 7, 1), (8, 8, 0), (8, 7, 0), (1, 0, 0), (2, 0, 1), (0, 16, 0),
     (105, 95, 0), (120, 80, 20)],
)  # fmt: skip
def test_what_is_above_the_share_is_sent_away(clock, own, other, count):
    assert sent_away(clock, [own, own, own], other) == count


def test_a_process_with_time_to_spare_keeps_whoever_it_has(clock):
    assert sent_away(clock, [16, 16, 16], 0, busy=0.3) == 0


def test_who_has_only_just_come_is_not_counted_before_the_others_are(clock):
    assert sent_away(clock, [0, 100], 0) == 0


def test_a_process_alone_sends_nobody_away(clock):
    board = Board()
    balance = ConnectionBalance(board)
    for _ in range(3):
        clock.pass_by(1.0)
        show(board, 1, balance.connections)
        balance.look(50)

    assert not balance.sends_away()
