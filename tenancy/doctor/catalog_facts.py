"""What the catalog says, in a number of queries that does not grow with organizations."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.db.models import Q

from tenancy.doctor.findings import RoomKind, room_kind
from tenancy.lifecycle.deletion import PURGE
from tenancy.lifecycle.indexes import spec_of
from tenancy.lifecycle.move_plans import leftover_copies
from tenancy.models import (
    OPEN,
    Collection,
    Index,
    Operation,
    OperationStatus,
    Organization,
    OrganizationStatus,
    SlugReservation,
)
from tenancy.mongo.indexes import IndexSpec
from tenancy.names import NAMESPACE_PREFIX, SLUG_MAX_CHARACTERS, namespace_of_slug

T = TypeVar("T")

CHUNK = 2_000
LOOKUP_CHUNK = 500  # SQLite takes a limited number of values in one query
_ID_IN_NAMESPACE = re.compile(rf"{NAMESPACE_PREFIX}([0-9a-f]{{32}})")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_COLUMNS = (
    "pk", "slug", "status", "pause_from", "purge_after", "region",
    "placement__kind", "placement__cluster__alias", "placement__namespace",
)  # fmt: skip
LASTING = frozenset((OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED))


class OrganizationFacts(NamedTuple):
    """What the doctor needs to know of an organization. A purged one has no place."""

    id: UUID
    slug: str | None
    status: str
    pause_from: datetime | None
    purge_after: datetime | None
    region: str
    placed_as: str | None
    cluster: str | None
    namespace: str | None

    @property
    def label(self) -> str:
        """The slug, or the id of a tombstone."""
        return self.slug or str(self.id)

    @property
    def kind(self) -> RoomKind:
        """What its placement looks like in MongoDB."""
        return room_kind(self.placed_as or "collection")

    @property
    def is_lasting(self) -> bool:
        """Whether it is neither being made nor on its way out."""
        return self.status in LASTING


def read_organizations() -> dict[UUID, OrganizationFacts]:
    """Return every organization that is not purged."""
    return {row.id: row for row in _read_facts(~Q(status=OrganizationStatus.PURGED))}


def _read_facts(condition: Q) -> Iterator[OrganizationFacts]:
    rows = Organization.objects.filter(condition).order_by().values_list(*_COLUMNS)
    return map(OrganizationFacts._make, rows.iterator(chunk_size=CHUNK))


def read_declared() -> dict[UUID, dict[str, datetime]]:
    """Return the logical collections of every organization, and since when they are declared."""
    declared: dict[UUID, dict[str, datetime]] = defaultdict(dict)
    rows = Collection.objects.order_by().values_list("organization_id", "name", "created_at")
    for organization_id, name, created_at in rows.iterator(chunk_size=CHUNK):
        declared[organization_id][name] = created_at
    return declared


def read_indexes() -> dict[tuple[UUID, str], list[IndexSpec]]:
    """Return the declared indexes of every collection, without those that cannot be built."""
    found: dict[tuple[UUID, str], list[IndexSpec]] = defaultdict(list)
    rows = Index.objects.filter(failure="").select_related("collection").order_by("pk")
    for row in rows.iterator(chunk_size=CHUNK):
        found[row.collection.organization_id, row.collection.name].append(spec_of(row))
    return found


def read_shared() -> list[tuple[str, UUID, str]]:
    """Return what should be in shared collections: cluster, organization, logical collection."""
    rows = Collection.objects.filter(organization__placement__kind="shared").order_by()
    columns = ("organization__placement__cluster__alias", "organization_id", "name")
    return list(rows.values_list(*columns).iterator(chunk_size=CHUNK))


def read_operations(began: datetime) -> list[Operation]:
    """Return the operations that are open, or were changed since then."""
    rows = Operation.objects.filter(Q(status__in=OPEN) | Q(updated_at__gte=began))
    return list(rows.order_by("not_before", "created_at").iterator(chunk_size=CHUNK))


def read_failed_purges() -> dict[UUID, UUID]:
    """Return the purges that were given up, by organization."""
    rows = Operation.objects.filter(
        kind=PURGE.name,
        status=OperationStatus.FAILED,
        organization__status=OrganizationStatus.DELETING,
    ).order_by("created_at")
    pairs = rows.values_list("organization_id", "pk")
    return {organization: operation for organization, operation in pairs if organization}


def read_leftovers() -> list[Operation]:
    """Return the moves that were undone and could not remove what they had copied."""
    return list(leftover_copies())


def find_former(namespaces: Iterable[str]) -> dict[str, OrganizationFacts]:
    """Return whose namespaces are or were, by the slugs that are kept and the ids in the names.

    One query for every 500 of them.
    """
    names = sorted(set(namespaces))
    owners = {name: UUID(match[1]) for name in names if (match := _id_in(name))}
    slugs = [slug for name in names if (slug := slug_at(name))]
    for chunk in _chunks(slugs):
        reserved = SlugReservation.objects.filter(slug__in=chunk)
        for slug, organization_id in reserved.values_list("slug", "organization_id"):
            owners[namespace_of_slug(slug)] = organization_id
    rows = {
        row.id: row
        for chunk in _chunks(set(owners.values()))
        for row in _read_facts(Q(pk__in=chunk))
    }
    return {name: rows[owner] for name, owner in owners.items() if owner in rows}


def slug_at(namespace: str) -> str | None:
    """Return the slug that naming `name` gives this namespace, or None if there is none."""
    slug = namespace.removeprefix(NAMESPACE_PREFIX).replace("_", "-")
    is_slug = _SLUG.fullmatch(slug) and len(slug) <= SLUG_MAX_CHARACTERS
    return slug if is_slug and namespace_of_slug(slug) == namespace else None


def id_at(namespace: str) -> UUID | None:
    """Return the organization's id that a namespace consists of, or None."""
    match = _id_in(namespace)
    return UUID(match[1]) if match else None


def _id_in(namespace: str) -> re.Match[str] | None:
    return _ID_IN_NAMESPACE.fullmatch(namespace)


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, LOOKUP_CHUNK)):
        yield chunk
