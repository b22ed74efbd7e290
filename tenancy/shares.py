"""What one organization may take of a process: half of the seats is left to the others.

Whoever works in MongoDB holds a seat (see `tenancy.admission`). An organization with slow requests
would hold all of them, and everybody else would stand in line behind it. So it has its share of
the seats, unless no other one has come lately: who is alone has them all. What is above the share
waits for a moment. It holds a seat meanwhile, so it is refused sooner if somebody stands in line
for one, and at once if another one has waited in vain and nothing has ended since.

On the way of nearly all that costs one or two microseconds.
"""

from collections import deque
from collections.abc import Callable
from threading import Lock

from tenancy.clock import seconds
from tenancy.exceptions import TenantBusy
from tenancy.lanes import stand_aside

# How long seats are kept for others after one of them has come.
OTHERS_SECONDS = 60.0
# How long one above the share waits at most, and how often it looks whether its seat is wanted.
# Less than the TTL of the catalog: what was just read of the tenant still counts afterwards.
LOOKS = 8
LOOK_SECONDS = 0.05
BUSY = (
    "The organization has as many requests under way as it may have while others want to work, "
    "too. Try again in a moment."
)


class Shares:
    """How many are at work for each organization; `is_wanted` says if somebody waits for a seat.

    An organization is the `int` of its id, of which Python makes a key three times as fast. What is
    kept of it goes with its last request.
    """

    def __init__(self, seats: int, is_wanted: Callable[[], bool]) -> None:
        # No more than the guard of a cluster lets in without a question: there is room there, too.
        self._share = max(1, seats // 2)
        self._is_wanted = is_wanted
        self._lock = Lock()
        self._inside: dict[int, int] = {}
        self._lines: dict[int, deque[Lock]] = {}
        self._stuck: set[int] = set()
        self._last: int | None = None
        self._others_at = float("-inf")

    @property
    def in_work(self) -> dict[int, int]:
        """How many are at work, for each organization that has any."""
        return dict(self._inside)

    def enter(self, owner: int) -> None:
        """Begin to work for an organization; `leave` must follow. Raises TenantBusy."""
        with self._lock:
            if owner != self._last:
                self._note_another(owner)
            inside = self._inside.get(owner, 0)
            if inside < self._share:
                self._inside[owner] = inside + 1
                return
        self._enter_above(owner)

    def leave(self, owner: int) -> None:
        """Say that it is done; the place is handed over if the organization has more to do."""
        with self._lock:
            inside = self._inside[owner] - 1
            if self._stuck:
                self._stuck.discard(owner)
            if self._lines and inside < self._share and self._call_next(owner):
                inside += 1
            if inside:
                self._inside[owner] = inside
            else:
                del self._inside[owner]

    def _note_another(self, owner: int) -> None:
        if self._last is not None:
            self._others_at = seconds()
        self._last = owner

    def _call_next(self, owner: int) -> bool:
        """Return whether somebody waited, who is at work now."""
        line = self._lines.get(owner)
        if line is None:
            return False
        turn = line.popleft()
        if not line:
            del self._lines[owner]
        turn.release()
        return True

    def _enter_above(self, owner: int) -> None:
        turn = Lock()
        turn.acquire()
        with self._lock:
            inside = self._inside.get(owner, 0)
            if inside < self._share or seconds() - self._others_at > OTHERS_SECONDS:
                self._inside[owner] = inside + 1
                return
            if owner in self._stuck:
                raise TenantBusy(BUSY)
            self._lines.setdefault(owner, deque()).append(turn)
        stand_aside()
        if not self._wait(turn) and self._give_up(owner, turn):
            raise TenantBusy(BUSY)

    def _wait(self, turn: Lock) -> bool:
        """Return whether a place was handed over."""
        for _ in range(LOOKS):
            if turn.acquire(timeout=LOOK_SECONDS):
                return True
            if self._is_wanted():
                break
        return False

    def _give_up(self, owner: int, turn: Lock) -> bool:
        """Leave the line. Return False if the turn has come at the last moment."""
        with self._lock:
            line = self._lines.get(owner)
            if line is None or turn not in line:
                return False
            line.remove(turn)
            if not line:
                del self._lines[owner]
            self._stuck.add(owner)
            return True
