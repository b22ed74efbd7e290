"""Announce a pause, so that it begins everywhere at once and lasts only as long as its work."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenancy import catalog
from tenancy.clock import CLOCK_SKEW_SECONDS
from tenancy.exceptions import TenantBusy
from tenancy.models import Organization
from tenancy.operations import Run

ANNOUNCE_ATTEMPTS = 20


def pause_lead_seconds() -> float:
    """Return how long before its beginning a pause is announced."""
    return float(settings.TENANCY_CATALOG_TTL) + CLOCK_SKEW_SECONDS


def announce_pause(run: Run, *, max_seconds: float | None = None) -> None:
    """Announce a pause: every process has re-read the row at least once when it begins.

    With `max_seconds` it lapses by itself: its operation may not take effect after that.

    A commit that took longer than the allowance would leave somebody uninformed, so the
    announcement is then made again. Only the holder of the operation's lease can announce.
    """
    for _ in range(ANNOUNCE_ATTEMPTS):
        asked = timezone.now()
        pause_from = asked + timedelta(seconds=pause_lead_seconds())
        pause_until = pause_from + timedelta(seconds=max_seconds) if max_seconds else None
        with transaction.atomic():
            run.renew()
            Organization.objects.filter(pk=run.organization_id).update(
                pause_from=pause_from, pause_until=pause_until
            )
        catalog.forget_tenant(run.organization_id)
        if (timezone.now() - asked).total_seconds() <= CLOCK_SKEW_SECONDS:
            return
    raise TenantBusy("The catalog is too slow to announce a pause in time.")


def end_pause(organization: Organization) -> None:
    """Let data requests go on."""
    Organization.objects.filter(pk=organization.pk).update(pause_from=None, pause_until=None)
    catalog.forget_tenant(organization.pk)
