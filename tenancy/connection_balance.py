"""Connections, spread evenly over the processes of one web server.

A kept connection stays with the process that accepted it. Chance gives one process more of them
than another, and one that follows a process that died has none at first: its clients went to the
others, and stay. So a process that is busy, and has more connections than its share, closes those
above it with their next answers; the clients come again, and may come to another process.
"""

import math
import time

from tenancy.board import BOARD, Board

# Of one core: whoever does less has time for all of its connections.
BUSY_SHARE = 0.5
# Of an even share: to spread more evenly is not worth a new connection.
TOLERANCE = 0.1


class ConnectionBalance:
    """What one process has open, and how many of these it had better not have."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._wall, self._cpu = time.monotonic(), time.process_time()
        self._excess = 0
        self.connections = 0

    def look(self, connections: int) -> None:
        """Compare what is open now with what the board says of all processes.

        To be called every few seconds. Only what was there at the look before counts, too: by now
        the others have shown what came to them in the same moment.
        """
        wall, cpu = time.monotonic(), time.process_time()
        is_busy = cpu - self._cpu >= BUSY_SHARE * (wall - self._wall)
        self._wall, self._cpu = wall, cpu
        lasting, self.connections = min(self.connections, connections), connections
        totals = self._board.totals()
        share = totals["connections"] / max(totals["processes"], 1)
        above = lasting - share
        self._excess = math.floor(above) if is_busy and above > TOLERANCE * share else 0

    def sends_away(self) -> bool:
        """Whether the connection of this request is one of those to be closed after its answer."""
        if self._excess <= 0:
            return False
        self._excess -= 1
        return True


BALANCE = ConnectionBalance(BOARD)
