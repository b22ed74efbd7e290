"""Requests that take minutes hold a thread as long: how many at once one process allows."""

from collections.abc import Callable
from threading import Lock
from uuid import UUID

from django.conf import settings

from tenancy.admission import step_out
from tenancy.clock import seconds
from tenancy.exceptions import TenantBusy

# Whoever has not moved for so long may have to make room. A call of MongoDB ends well before.
STALLED_SECONDS = 20.0
# Exports and imports end in seconds to minutes: who asks every second gets nothing sooner.
RETRY_SECONDS = 5
BUSY = "So many exports and imports are under way that there is no place for one more. Try again."
TAKEN_AWAY = (
    f"Nothing moved for {STALLED_SECONDS:.0f} seconds, and others needed the place. Repeat the"
    " request; an import under the same Idempotency-Key goes on where it stopped."
)


def _busy(detail: str) -> TenantBusy:
    return TenantBusy(detail, extra={"retry_after": RETRY_SECONDS})


class Slot:
    """One request's place. Its holder says when it gets on, and gives the place back."""

    def __init__(self, organization_id: UUID, release: "Callable[[Slot], None]") -> None:
        self.organization_id = organization_id
        self.moved_at = seconds()
        self.is_lost = False
        self._release = release

    def moved(self) -> None:
        """Note that the work gets on. Raises TenantBusy if the place is somebody else's now."""
        if self.is_lost:
            raise _busy(TAKEN_AWAY)
        self.moved_at = seconds()

    def give_back(self) -> None:
        """Leave the place. Safe to repeat."""
        self._release(self)


class Slots:
    """Half of the threads; one organization gets half of these, so that others have some, too.

    A slot without progress is taken away when another organization needs one. What held it has
    its thread still, until it moves or its connection ends: so at most half of the other threads
    are lost that way, and an organization's lost ones count as its own.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._all = set[Slot]()

    def take(self, organization_id: UUID) -> Slot:
        """Return a slot to be given back. Raises TenantBusy."""
        total = max(1, settings.TENANTRY_THREADS // 2)
        with self._lock:
            own = sum(each.organization_id == organization_id for each in self._all)
            if own >= (total + 1) // 2 or not self._make_room(total):
                raise _busy(BUSY)
            slot = Slot(organization_id, self._release)
            self._all.add(slot)
        step_out()
        return slot

    def _make_room(self, total: int) -> bool:
        """Return whether there is a slot, perhaps taken from who has not moved for longest."""
        held = [each for each in self._all if not each.is_lost]
        if len(held) < total:
            return True
        stalled = min(held, key=lambda each: each.moved_at)
        is_bound_reached = len(self._all) - len(held) >= (settings.TENANTRY_THREADS - total) // 2
        if is_bound_reached or seconds() - stalled.moved_at < STALLED_SECONDS:
            return False
        stalled.is_lost = True
        return True

    def _release(self, slot: Slot) -> None:
        with self._lock:
            self._all.discard(slot)

    def forget(self) -> None:
        """Begin anew, as a new process would."""
        with self._lock:
            self._all.clear()


SLOTS = Slots()
