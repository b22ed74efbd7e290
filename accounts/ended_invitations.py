"""Remove invitations that ended: they hold addresses of people who may never have come.

An ended invitation is kept for `KEEP_ENDED`, for whoever looks at the list; the audit has the act,
without the address, for good.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import Invitation
from tenancy.lifecycle.signals import housekeeping

KEEP_ENDED = timedelta(days=90)
BATCH_ROWS = 1_000
HOUSEKEEPING_MAX_BATCHES = 10


def prune_invitations(*, keep: timedelta = KEEP_ENDED, max_batches: int | None = None) -> int:
    """Remove invitations that ended longer ago than `keep`; return how many.

    Works in batches of `BATCH_ROWS`. Safe at any time, and in several processes at once.
    """
    has_ended, total, batches = _ended_before(timezone.now() - keep), 0, 0
    while max_batches is None or batches < max_batches:
        rows = Invitation.objects.filter(has_ended).order_by("pk")
        chosen = list(rows.values_list("pk", flat=True)[:BATCH_ROWS])
        if not chosen:
            break
        # Asked again by the statement itself: one that was sent again in between is open.
        total += Invitation.objects.filter(has_ended, pk__in=chosen).delete()[0]
        batches += 1
    return total


def forget_address(email: str) -> None:
    """Remove the invitations of an address that have ended, whoever sent them.

    Open ones stay: they are the offer of an organization to whoever has the mailbox.
    """
    Invitation.objects.filter(_ended_before(timezone.now()), email=email).delete()


def _ended_before(moment: datetime) -> Q:
    return Q(accepted_at__lt=moment) | Q(revoked_at__lt=moment) | Q(expires_at__lt=moment)


@receiver(housekeeping)
def prune_some(**_: Any) -> None:
    """Remove some of what ended long ago."""
    prune_invitations(max_batches=HOUSEKEEPING_MAX_BATCHES)
