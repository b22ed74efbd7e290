"""What the processes of one web server show each other, in memory that they share.

The first of them has it before it forks; each worker then has a row of its own. Where workers are
not forked, as on macOS, each has a board to itself.
"""

import mmap
import threading
from collections.abc import Callable, Sequence

ROWS = 256
COLUMNS = ("in_work", "waiting", "beside", "shed", "lanes", "connections", "processes")
# Seconds that the figures of other processes may be old.
SHOW_SECONDS = 1.0
_CELL_BYTES = 8
_ROWS_BEGIN = 2  # behind the flags


def _begin_of(row: int) -> int:
    return _ROWS_BEGIN + row % ROWS * len(COLUMNS)


class Board:
    """Flags that say that the server is about to stop, and a row of figures for each worker."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _CELL_BYTES * (_ROWS_BEGIN + ROWS * len(COLUMNS)))
        self._cells = memoryview(self._memory).cast("Q")
        self._row = 0

    @property
    def is_stopping(self) -> bool:
        """Whether nobody should come any more."""
        return self._cells[0] != 0

    def announce_stop(self) -> None:
        """Say so to all processes, for good."""
        self._cells[0] = 1

    @property
    def is_ending(self) -> bool:
        """Whether workers end as soon as nobody is being served."""
        return self._cells[1] != 0

    def announce_end(self) -> None:
        """Say so to all processes, for good."""
        self._cells[1] = 1

    def take_row(self, number: int) -> None:
        """Write into this row from now on; what stands there is of a process that has ended."""
        self._row = number % ROWS

    def show(self, figures: Sequence[int]) -> None:
        """Write the figures of this process, one for each of `COLUMNS`."""
        for column, figure in enumerate(figures):
            self._cells[_begin_of(self._row) + column] = figure

    def clear_row(self, number: int) -> None:
        """Take away what a process has written that is no more."""
        begin = _begin_of(number)
        for cell in range(begin, begin + len(COLUMNS)):
            self._cells[cell] = 0

    def is_shown(self, number: int) -> bool:
        """Whether the process with this row has written into it: it has all that it needs."""
        return self._cells[_begin_of(number) + COLUMNS.index("processes")] != 0

    def totals(self) -> dict[str, int]:
        """Return each figure, over all processes."""
        return {
            name: sum(self._cells[_ROWS_BEGIN + column :: len(COLUMNS)])
            for column, name in enumerate(COLUMNS)
        }

    def keep_showing(self, figures: Callable[[], Sequence[int]]) -> None:
        """Write the figures now and every second, from a thread of its own, for good."""
        self.show(figures())
        pause = threading.Event()

        def run() -> None:
            while not pause.wait(SHOW_SECONDS):
                self.show(figures())

        threading.Thread(target=run, name="board", daemon=True).start()


BOARD = Board()
