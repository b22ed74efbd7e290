"""How many members an organization has, for those who show what it uses of its plan.

Read from the catalog once in `ACCOUNTS_ROW_TTL`; at once where this process has changed it. What
the plan allows is decided by the rows, not by this.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.dispatch import receiver

from accounts.models import Membership
from tenancy import invalidation
from tenancy.caching import AgedCache
from tenancy.usage import members_counted

CACHE_MAX_COUNTS = 10_000


def _read(organization_id: UUID) -> int:
    invalidation.listen()
    return Membership.objects.filter(organization=organization_id).count()


_counts: AgedCache[UUID, int] = AgedCache(_read, max_entries=CACHE_MAX_COUNTS, name="member_counts")


@receiver(members_counted)
def count_members(organization_id: UUID, **_: Any) -> int:
    """Return how many members an organization has."""
    return _counts.find(organization_id, settings.ACCOUNTS_ROW_TTL) or 0


def forget_member_count(organization_id: UUID) -> None:
    """Have members counted anew: here at once, with Redis soon in every process."""
    _changed.make_known(organization_id=organization_id)


_changed = invalidation.Change("member_counts", _counts.drop, ids={"organization_id"})
