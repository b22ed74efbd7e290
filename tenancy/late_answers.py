"""That a write was accepted is said once it is where the organization is.

A thread may stand still between the look at the catalog and its write, and so write to the source
of a move that has switched meanwhile. The move brings that home a moment later; who is answered
before would not find it there.
"""

import time
from datetime import timedelta

import django.db
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenancy import catalog
from tenancy.catalog import Tenant
from tenancy.clock import CLOCK_SKEW_SECONDS, PAUSE_GRACE_SECONDS, seconds
from tenancy.exceptions import OrganizationNotFound, OutcomeUnknown, TenancyError
from tenancy.models import Organization
from tenancy.mongo import late_writes
from tenancy.mongo.clients import ClusterCall

# Longer than the pause that a move leaves when it dies in it.
WAIT_MAX_SECONDS = 4.0
POLL_SECONDS = 0.02
# So much before its beginning, by this machine's clock, a pause may be past its grace.
_EARLY = timedelta(seconds=CLOCK_SKEW_SECONDS - PAUSE_GRACE_SECONDS)


def is_in_time(tenant: Tenant) -> bool:
    """Return whether no pause can have begun since the snapshot was taken, known to it or not."""
    if tenant.pause_from is not None and tenant.pause_from - _EARLY <= timezone.now():
        return False
    return seconds() - tenant.read_at <= settings.TENANCY_CATALOG_TTL


def came_late(tenant: Tenant) -> bool:
    """Return whether what was written under a snapshot came to a place that was left meanwhile.

    If so, it is at the current place now. Raises OutcomeUnknown if nobody says so within
    WAIT_MAX_SECONDS, or if a pause lasts as long.
    """
    try:
        now = catalog.get_tenant(tenant.id)
        if now.epoch == tenant.epoch and is_in_time(now):
            return False
        now = catalog.get_tenant(tenant.id, max_age=0)
        if now.address == tenant.address and is_in_time(now):
            return False
        return _ask_and_wait(tenant, age=seconds() - tenant.read_at)
    except OrganizationNotFound:  # purged: no place is left
        return False
    except (django.db.Error, TenancyError) as error:
        raise OutcomeUnknown(
            "The write was accepted while the organization was being moved, and whether it has "
            "arrived at the new place could not be found out in time."
        ) from error


def _ask_and_wait(tenant: Tenant, *, age: float) -> bool:
    """Ask at once: a move that is about to switch takes along what it was asked for by then."""
    with ClusterCall(tenant.address.uri):
        question = late_writes.ask(tenant.address)
    if _wait_out(tenant).address == tenant.address:
        return False
    deadline = time.monotonic() + WAIT_MAX_SECONDS
    is_told = None
    if question is not None:
        with ClusterCall(tenant.address.uri):
            while (is_told := late_writes.is_answered(tenant.address, question)) is False:
                _nap(deadline)
    late = settings.TENANCY_CATALOG_TTL + settings.TENANCY_OPERATION_TIMEOUT
    if is_told is None and age > late:  # so late that nobody looked out for it any more
        raise OutcomeUnknown
    return True


def _wait_out(tenant: Tenant) -> Tenant:
    """Return the tenant as it is when no pause is on."""
    deadline = time.monotonic() + WAIT_MAX_SECONDS
    now = catalog.get_tenant(tenant.id, max_age=0)
    while _may_be_paused(now):
        _nap(deadline)
        now = catalog.get_tenant(tenant.id, max_age=POLL_SECONDS)
    if now.pause_until is not None:
        _outlast(tenant)  # it has lapsed, but whoever has announced it may just be switching
        now = catalog.get_tenant(tenant.id, max_age=0)
    return now


def _may_be_paused(tenant: Tenant) -> bool:
    """Return whether a pause is on by the clock of any machine."""
    if tenant.pause_from is None:
        return False
    now, until = timezone.now(), tenant.pause_until
    return tenant.pause_from - _EARLY <= now and (until is None or now < until + _EARLY)


def _outlast(tenant: Tenant) -> None:
    """Wait until nobody is changing the row; who comes later finds the pause lapsed."""
    with transaction.atomic():
        rows = Organization.objects.select_for_update(of=("self",), no_key=True)
        rows.filter(pk=tenant.id).first()


def _nap(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise OutcomeUnknown
    time.sleep(POLL_SECONDS)
