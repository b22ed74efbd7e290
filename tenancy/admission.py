"""Who is worked on, who waits, who is sent away: so that a process answers under any load.

A process works on as many requests at once as it has *seats*. A few more wait in line, first come
first served and never longer than a bound; whoever finds the line full is refused at once, which
costs next to nothing. What takes minutes, such as an export, *steps out*: its seat is another's.

A seat also holds the connections to the catalog, which Django would open in each of the many
threads that a request may be in: so there are as many as seats.
"""

import os
import threading
from collections import Counter, deque
from typing import Any
from uuid import UUID

from tenancy.lanes import stand_aside
from tenancy.shares import Shares

# What is beside the seats at once; what comes on top keeps its seat.
BESIDE_PER_SEAT = 1
# A body up to this size comes at once: a larger one may take a while.
BODY_MAX_BYTES = 131_072


class Seat:
    """A place to work in, with the connections that were opened there."""

    __slots__ = ("connections", "gate", "is_beside")

    def __init__(self, gate: "Gate") -> None:
        self.gate = gate
        self.is_beside = False
        self.connections: dict[str, Any] = {}


class _Turn:
    __slots__ = ("come", "seat")

    def __init__(self) -> None:
        self.come = threading.Lock()
        self.come.acquire()
        self.seat: Seat | None = None


class Gate:
    """So many seats, so many places in line, and for how many seconds at most.

    `in_work`, `waiting`, `beside` and `shed` are for those who watch. Threads of one process only.
    """

    def __init__(self, *, seats: int, places: int, patience_seconds: float) -> None:
        self._seats, self._places, self._patience = seats, places, patience_seconds
        self._free = [Seat(self) for _ in range(seats)]
        self._line: deque[_Turn] = deque()
        self._lock = threading.Lock()
        self.shares = Shares(seats, lambda: bool(self._line))
        self.beside = 0
        self.shed = 0

    @property
    def in_work(self) -> int:
        """How many seats are taken."""
        return self._seats - len(self._free)

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return len(self._line)

    def enter(self) -> Seat | None:
        """Return a seat for `work_in`, or None: there is no room. It may wait for a while."""
        with self._lock:
            if self._free:
                return self._free.pop()  # the last one left: few connections, and warm ones
            if len(self._line) >= self._places:
                self.shed += 1
                return None
            turn = _Turn()
            self._line.append(turn)
        try:
            stand_aside()  # others come meanwhile: into the line, or to be sent away
            if turn.come.acquire(timeout=self._patience):
                return turn.seat
        except BaseException:  # a turn that stayed in the line would be given a seat for ever
            if seat := self._give_up(turn):
                self.leave(seat)
            raise
        return self._give_up(turn)

    def _give_up(self, turn: _Turn) -> Seat | None:
        """Take a turn out of the line. Return the seat that came to it at the last moment."""
        with self._lock:
            if turn.seat is None:
                self._line.remove(turn)
                self.shed += 1
            return turn.seat

    def leave(self, seat: Seat) -> None:
        """Give a seat to who waits longest. One that is beside is closed."""
        if seat.is_beside:
            with self._lock:
                self.beside -= 1
            _close(seat)
            return
        with self._lock:
            if self._line:
                turn = self._line.popleft()
                turn.seat = seat
                turn.come.release()
            else:
                self._free.append(seat)

    def let_out(self, seat: Seat) -> None:
        """Go on beside the seats; its connections go along, and an empty seat is another's."""
        stand_aside()
        with self._lock:
            if seat.is_beside or self.beside >= self._seats * BESIDE_PER_SEAT:
                return
            self.beside += 1
            seat.is_beside = True
        self.leave(Seat(self))


class Places:
    """So many may be somewhere at once, and nobody waits to be; `refused` counts the others.

    One owner has three quarters of the places at most.
    """

    def __init__(self, count: int) -> None:
        self._count, self._most = count, max(1, 3 * count // 4)
        self._taken = 0
        self._by_owner: Counter[str | None] = Counter()
        self._lock = threading.Lock()
        self.refused = 0

    def take(self, owner: str | None = None, *, counts: bool = True) -> bool:
        """Return whether there is room; `give_back` must follow. `counts`: a refusal does."""
        with self._lock:
            has_room = self._taken < self._count and self._by_owner[owner] < self._most
            if has_room:
                self._taken += 1
                self._by_owner[owner] += 1
            else:
                self.refused += counts
            return has_room

    def give_back(self, owner: str | None = None) -> None:
        """Make room."""
        with self._lock:
            self._taken -= 1
            self._by_owner[owner] -= 1
            if not self._by_owner[owner]:
                del self._by_owner[owner]


class _Here(threading.local):
    seat: Seat | None = None
    owner: int | None = None  # in whose share this thread is


_here = _Here()


def sit(seat: Seat | None) -> None:
    """Have this thread work in a seat, or in none."""
    _here.seat = seat


def connections_of_seat() -> dict[str, Any] | None:
    """Return the connections that were opened in this thread's seat; None where it has no seat."""
    seat = _here.seat
    return None if seat is None else seat.connections


def step_out() -> None:
    """Say that what this thread works on takes long: it goes on beside the seats, if there is room.

    Safe to repeat, and where there is no seat.
    """
    seat = _here.seat
    if seat is not None:
        seat.gate.let_out(seat)


class InShare:
    """Work for an organization, within what it may have of the seats. Raises TenantBusy.

    Who is in no seat, or beside the seats, takes none from anybody; nor does a part of what is
    within it already.
    """

    __slots__ = ("_owner", "_shares")

    def __init__(self, organization_id: UUID) -> None:
        self._owner = organization_id.int
        self._shares: Shares | None = None

    def __enter__(self) -> None:
        seat = _here.seat
        if seat is not None and not seat.is_beside and _here.owner != self._owner:
            seat.gate.shares.enter(self._owner)
            self._shares = seat.gate.shares  # it may be beside the seats by the end
            _here.owner = self._owner

    def __exit__(self, *_: object) -> None:
        if self._shares is not None:
            _here.owner = None
            self._shares.leave(self._owner)


def _close(seat: Seat) -> None:
    """Close the connections of a seat that nobody will take any more."""
    for connection in seat.connections.values():
        connection.close()
    seat.connections.clear()


class SeatedConnections:
    """What Django keeps the connections of each thread in; a thread in a seat has the seat's.

    `elsewhere` is what it was before, for all other threads.
    """

    def __init__(self, elsewhere: Any) -> None:
        object.__setattr__(self, "_elsewhere", elsewhere)

    def __getattr__(self, alias: str) -> Any:
        seat = _here.seat
        if seat is None:
            return getattr(object.__getattribute__(self, "_elsewhere"), alias)
        try:
            return seat.connections[alias]
        except KeyError:
            raise AttributeError(alias) from None

    def __setattr__(self, alias: str, connection: Any) -> None:
        seat = _here.seat
        if seat is None:
            setattr(object.__getattribute__(self, "_elsewhere"), alias, connection)
        else:
            connection.inc_thread_sharing()  # one thread after another, never two
            seat.connections[alias] = connection

    def __delattr__(self, alias: str) -> None:
        seat = _here.seat
        if seat is None:
            delattr(object.__getattribute__(self, "_elsewhere"), alias)
        else:
            seat.connections.pop(alias, None)


# For the health routes, which have seats of their own, and for sending away.
SPARE_THREADS = 24


def bodies_at_once(places: int) -> int:
    """Return of how many requests the body may be on its way, before they stand in line."""
    return max(places, SPARE_THREADS)


def threads_needed(seats: int, places: int) -> int:
    """Return how many threads let all seats be taken, the line be full, and others be refused.

    Beside the seats and the line there are those who stepped out, those whose body is still on its
    way, and some who send others away.
    """
    return seats * (1 + BESIDE_PER_SEAT) + places + bodies_at_once(places) + SPARE_THREADS


os.register_at_fork(after_in_child=lambda: sit(None))
