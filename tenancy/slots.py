"""Requests that take minutes hold a thread as long: how many at once one process allows."""

from collections import Counter
from collections.abc import Callable
from threading import Lock
from uuid import UUID

from django.conf import settings

from tenancy.exceptions import TenantBusy

BUSY = "So many exports and imports are under way that there is no place for one more. Try again."


class Slots:
    """Half of the threads; one organization gets half of these, so that others have some, too."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken = Counter[UUID]()

    def take(self, organization_id: UUID) -> Callable[[], None]:
        """Return what gives the slot back, once. Raises TenantBusy."""
        total = max(1, settings.TENANTRY_THREADS // 2)
        with self._lock:
            if self._taken.total() >= total or self._taken[organization_id] >= (total + 1) // 2:
                raise TenantBusy(BUSY)
            self._taken[organization_id] += 1
        left = [organization_id]

        def give_back() -> None:
            with self._lock:
                if left:
                    self._taken[left.pop()] -= 1
                    self._taken += Counter()  # without what is zero

        return give_back

    def forget(self) -> None:
        """Begin anew, as a new process would."""
        with self._lock:
            self._taken = Counter()


SLOTS = Slots()
