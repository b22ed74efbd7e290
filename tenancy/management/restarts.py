"""When a server process that ended is followed by another, and when no more are tried.

One that dies now and then, as when memory runs out, is followed by another at once. One that dies
again and again has ever longer pauses, in which it takes nothing from the others. Only where none
becomes ready, as with settings that cannot work, no attempt is worth it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

# A worker that ends sooner after its start than this may do so again at once.
SOON_SECONDS = 10.0
PAUSE_SECONDS, PAUSE_MAX_SECONDS = 1.0, 30.0
# Of one worker, in a row, and none of them became ready.
ATTEMPTS_MAX = 5


@dataclass
class _Ends:
    """How often in a row a worker ended before it was ready, the last pause, who is due when."""

    unready: int = 0
    pause: float = 0.0
    due: float | None = None


class Restarts:
    """Which workers are to be followed by another, by their numbers, and when."""

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers, self._clock = workers, clock
        self._ends: dict[int, _Ends] = {}

    @property
    def are_in_vain(self) -> bool:
        """Whether each of them was not ready so many times in a row that none ever will be."""
        given_up = [each for each in self._ends.values() if each.unready >= ATTEMPTS_MAX]
        return len(given_up) == self._workers

    def note_end(
        self, number: int, *, born: float, was_ready: bool, is_alone: bool = False
    ) -> float:
        """Say that a worker has ended. Return in how many seconds another is due.

        `is_alone`: there is no other that takes requests. One that did is not missed for long then.
        """
        ends, now = self._ends.setdefault(number, _Ends()), self._clock()
        lived_long = was_ready and now - born >= SOON_SECONDS
        most = PAUSE_SECONDS if is_alone and was_ready else PAUSE_MAX_SECONDS
        longer = min(max(2 * ends.pause, PAUSE_SECONDS), most)
        ends.pause = 0.0 if lived_long else longer
        ends.unready = 0 if was_ready else ends.unready + 1
        ends.due = now + ends.pause
        return ends.pause

    def seconds_left(self) -> float | None:
        """Return in how many seconds the next is due; None while nobody is missing."""
        due = [each.due for each in self._ends.values() if each.due is not None]
        return max(0.0, min(due) - self._clock()) if due else None

    def take_due(self) -> list[int]:
        """Return who is to be followed by another now; each is told of once."""
        now = self._clock()
        taken = [n for n, each in self._ends.items() if each.due is not None and each.due <= now]
        for number in taken:
            self._ends[number].due = None
        return taken
