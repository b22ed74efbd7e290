"""Set right what was counted along: after a process was killed, or an index let documents expire.

Not on the request path.
"""

import random
from functools import reduce
from operator import add
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from tenancy import catalog, usage
from tenancy.access import at_placement
from tenancy.models import Organization, OrganizationStatus, Usage
from tenancy.mongo.measuring import NOTHING, Measure, measure_collection
from tenancy.names import PlacementAddress

COMMAND_SECONDS = 300.0
WORKER_SECONDS = 5.0
REQUEST_SECONDS = 2.0
# The worker takes its few from so many that were not measured for the longest time: one that
# cannot be measured does not keep it from the others.
CANDIDATES = 50


def measure_usage(organization_id: UUID, *, timeout_seconds: float = COMMAND_SECONDS) -> Measure:
    """Measure what an organization uses, and write it down.

    Writes within about a second before and after it may be missing, or counted twice, until the
    next time. `timeout_seconds` is for each collection. Raises what an organization that is not
    served gets, and Unavailable.
    """
    names = catalog.declared_collections(organization_id)

    def measure(address: PlacementAddress) -> Measure:
        usage.flush()
        sizes = [
            measure_collection(address, name, timeout_seconds=timeout_seconds) for name in names
        ]
        return reduce(add, sizes, NOTHING)

    found = at_placement(organization_id, measure)
    Usage.objects.update_or_create(
        pk=organization_id,
        defaults={
            "documents": found.documents, "bytes": found.bytes, "measured_at": timezone.now(),
        },
    )  # fmt: skip
    catalog.forget_tenant(organization_id)
    return found


def least_recently_measured(count: int) -> list[UUID]:
    """Return some of the active organizations that were not measured for the longest time."""
    active = Organization.objects.filter(status=OrganizationStatus.ACTIVE)
    longest = active.order_by(F("usage__measured_at").asc(nulls_first=True), "created_at")
    candidates = list(longest.values_list("pk", flat=True)[:CANDIDATES])
    return random.sample(candidates, min(count, len(candidates)))


def find_collection_size(organization_id: UUID, collection: str) -> Measure | None:
    """Return what a collection holds where MongoDB knows it without reading it, else None."""

    def measure(address: PlacementAddress) -> Measure | None:
        if address.kind == "shared":
            return None
        return measure_collection(address, collection, timeout_seconds=REQUEST_SECONDS)

    return at_placement(organization_id, measure)
