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
from tenancy.clock import CLOCK_SKEW_SECONDS, seconds
from tenancy.exceptions import OrganizationNotFound, OutcomeUnknown, TenancyError
from tenancy.models import Organization
from tenancy.mongo import late_writes
from tenancy.mongo.clients import ClusterCall

WAIT_MAX_SECONDS = 3.0
POLL_SECONDS = 0.02
_SKEW = timedelta(seconds=CLOCK_SKEW_SECONDS)


def is_in_time(tenant: Tenant) -> bool:
    """Return whether no pause can have begun since the snapshot was taken, known to it or not."""
    if tenant.pause_from is not None and tenant.pause_from - _SKEW <= timezone.now():
        return False
    return seconds() - tenant.read_at <= settings.TENANCY_CATALOG_TTL


def came_late(tenant: Tenant) -> bool:
    """Return whether what was written under a snapshot came to a place that was left meanwhile.

    If so, it is at the current place now. Raises OutcomeUnknown if nobody says so within
    WAIT_MAX_SECONDS, or if a pause lasts as long.
    """
    try:
        return _is_elsewhere(tenant) and _is_brought(tenant)
    except OrganizationNotFound:  # purged: no place is left
        return False
    except (django.db.Error, TenancyError) as error:
        raise OutcomeUnknown from error


def _is_elsewhere(tenant: Tenant) -> bool:
    """Return whether the organization has another place than in the snapshot; wait out a pause."""
    now = catalog.get_tenant(tenant.id)
    if now.epoch == tenant.epoch and is_in_time(now):
        return False
    deadline = time.monotonic() + WAIT_MAX_SECONDS
    now = catalog.get_tenant(tenant.id, max_age=0)
    while _may_be_paused(now):
        _nap(deadline)
        now = catalog.get_tenant(tenant.id, max_age=POLL_SECONDS)
    if now.pause_until is not None:
        _outlast(tenant)  # it has lapsed, but whoever has announced it may just be switching
        now = catalog.get_tenant(tenant.id, max_age=0)
    return now.address != tenant.address


def _may_be_paused(tenant: Tenant) -> bool:
    """Return whether a pause is on by the clock of any machine."""
    if tenant.pause_from is None:
        return False
    now, until = timezone.now(), tenant.pause_until
    return tenant.pause_from - _SKEW <= now and (until is None or now < until + _SKEW)


def _outlast(tenant: Tenant) -> None:
    """Wait until nobody is changing the row; who comes later finds the pause lapsed."""
    with transaction.atomic():
        rows = Organization.objects.select_for_update(of=("self",), no_key=True)
        rows.filter(pk=tenant.id).first()


def _is_brought(tenant: Tenant) -> bool:
    """Wait until what was written is at the current place. Raises OutcomeUnknown."""
    age = seconds() - tenant.read_at
    deadline = time.monotonic() + WAIT_MAX_SECONDS
    with ClusterCall(tenant.address.uri):
        question = late_writes.ask(tenant.address)
        is_told = None if question is None else False
        while question is not None and is_told is False:
            _nap(deadline)
            is_told = late_writes.is_answered(tenant.address, question)
    late = settings.TENANCY_CATALOG_TTL + settings.TENANCY_OPERATION_TIMEOUT
    if is_told is None and age > late:  # so late that nobody looked out for it any more
        raise OutcomeUnknown
    return True


def _nap(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise OutcomeUnknown
    time.sleep(POLL_SECONDS)
