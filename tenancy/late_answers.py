"""That a write was accepted is said once it is where the organization is.

A thread may stand still between the look at the catalog and its write, and so write to the source
of a move that has switched meanwhile. The move brings that home a moment later; who is answered
before would not find it there.
"""

import time

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from tenancy import catalog
from tenancy.catalog import Tenant
from tenancy.clock import seconds
from tenancy.exceptions import OrganizationNotFound, OutcomeUnknown, Unavailable
from tenancy.mongo import late_writes

WAIT_MAX_SECONDS = 3.0
POLL_SECONDS = 0.02


def is_in_time(tenant: Tenant) -> bool:
    """Return whether no pause can have begun since the snapshot was taken, known to it or not."""
    if tenant.pause_from is not None and tenant.pause_from <= timezone.now():
        return False
    return seconds() - tenant.read_at <= settings.TENANCY_CATALOG_TTL


def came_late(tenant: Tenant) -> bool:
    """Return whether what was written under a snapshot came to a place that was left meanwhile.

    If so, it is at the current place now. Raises OutcomeUnknown if nobody says so within
    WAIT_MAX_SECONDS, or if a pause lasts as long.
    """
    try:
        return _wait_for(tenant)
    except OrganizationNotFound:  # purged: no place is left
        return False
    except (DatabaseError, Unavailable) as error:
        raise OutcomeUnknown from error


def _wait_for(tenant: Tenant) -> bool:
    deadline = time.monotonic() + WAIT_MAX_SECONDS
    now = catalog.get_tenant(tenant.id, max_age=0)
    while now.is_paused:
        _nap(deadline)
        now = catalog.get_tenant(tenant.id, max_age=POLL_SECONDS)
    if now.epoch == tenant.epoch:
        return False
    deadline = time.monotonic() + WAIT_MAX_SECONDS
    question = late_writes.ask(tenant.address)
    while question is not None and not late_writes.is_answered(tenant.address, question):
        _nap(deadline)
    return True


def _nap(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise OutcomeUnknown
    time.sleep(POLL_SECONDS)
