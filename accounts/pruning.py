"""Remove what is known of sessions that ended long ago.

A used refresh token is kept for `KEEP_USED_TOKENS`, so that showing it again ends its session; one
that is older is unknown, and as worthless as any other.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import RefreshToken, Session
from tenancy.lifecycle.signals import housekeeping

KEEP_SESSIONS = timedelta(days=30)
KEEP_USED_TOKENS = timedelta(days=7)
BATCH_ROWS = 1_000
HOUSEKEEPING_MAX_BATCHES = 10


@dataclass(frozen=True)
class Pruned:
    """How many rows were removed."""

    sessions: int = 0
    tokens: int = 0


def prune_sessions(*, keep: timedelta = KEEP_SESSIONS, max_batches: int | None = None) -> Pruned:
    """Remove sessions that ended longer ago than `keep`, and old used refresh tokens.

    Works in batches of `BATCH_ROWS`, so that nobody waits long for a lock. Safe at any time, and
    in several processes at once.
    """
    now = timezone.now()
    ended = Session.objects.filter(Q(revoked_at__lt=now - keep) | Q(expires_at__lt=now - keep))
    used = RefreshToken.objects.filter(used_at__lt=now - KEEP_USED_TOKENS)
    return Pruned(_delete(ended, max_batches), _delete(used, max_batches))


def _delete(rows: QuerySet[Any], max_batches: int | None) -> int:
    """Delete rows batch by batch; return how many of them there were, what hangs on them apart."""
    total = batches = 0
    while max_batches is None or batches < max_batches:
        chosen = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS])
        if not chosen:
            break
        _, deleted = rows.model._default_manager.filter(pk__in=chosen).delete()  # noqa: SLF001
        total += deleted.get(rows.model._meta.label, 0)  # noqa: SLF001
        batches += 1
    return total


@receiver(housekeeping)
def prune_some(**_: Any) -> None:
    """Remove some of what has lapsed."""
    prune_sessions(max_batches=HOUSEKEEPING_MAX_BATCHES)
