"""Remove what is known of sessions that ended long ago, their refresh tokens with them.

Used tokens of a session that lives are kept as long as it does: whoever shows one ends it.
"""

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import Session
from tenancy.lifecycle.signals import housekeeping

KEEP_SESSIONS = timedelta(days=30)
BATCH_ROWS = 1_000
HOUSEKEEPING_MAX_BATCHES = 10


def prune_sessions(*, keep: timedelta = KEEP_SESSIONS, max_batches: int | None = None) -> int:
    """Remove sessions that ended longer ago than `keep`; return how many.

    Works in batches of `BATCH_ROWS`, so that nobody waits long for a lock. Safe at any time, and
    in several processes at once.
    """
    now, total, batches = timezone.now(), 0, 0
    ended = Session.objects.filter(Q(revoked_at__lt=now - keep) | Q(expires_at__lt=now - keep))
    while max_batches is None or batches < max_batches:
        chosen = list(ended.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS])
        if not chosen:
            break
        Session.objects.filter(pk__in=chosen).delete()
        total += len(chosen)
        batches += 1
    return total


@receiver(housekeeping)
def prune_some(**_: Any) -> None:
    """Remove some of what has lapsed."""
    prune_sessions(max_batches=HOUSEKEEPING_MAX_BATCHES)
