"""What there is: the catalog and MongoDB, read once each."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from tenancy import catalog
from tenancy.lifecycle.deletion import PURGE
from tenancy.lifecycle.renaming import RENAME
from tenancy.models import (
    OPEN,
    Cluster,
    Collection,
    Operation,
    OperationStatus,
    Organization,
    OrganizationStatus,
    SlugReservation,
)
from tenancy.mongo import provisioning
from tenancy.mongo.provisioning import PhysicalCollection
from tenancy.names import (
    NAMESPACE_PREFIX,
    SLUG_MAX_CHARACTERS,
    PlacementAddress,
    namespace_of_slug,
)

T = TypeVar("T")

CHUNK = 2_000
LOOKUP_CHUNK = 500  # SQLite takes a limited number of values in one query
_ID_IN_NAMESPACE = re.compile(rf"{NAMESPACE_PREFIX}([0-9a-f]{{32}})")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_COLUMNS = (
    "pk", "slug", "status", "pause_from", "purge_after",
    "placement__kind", "placement__cluster__alias", "placement__namespace",
)  # fmt: skip


class OrganizationFacts(NamedTuple):
    """What the doctor needs to know of an organization."""

    id: UUID
    slug: str | None
    status: str
    pause_from: datetime | None
    purge_after: datetime | None
    kind: str | None
    cluster: str | None
    placed_at: str | None

    @property
    def label(self) -> str:
        """The slug, or the id of a tombstone."""
        return self.slug or str(self.id)

    @property
    def namespace(self) -> str | None:
        """The prefix of its collections, if it is on the default cluster beside others."""
        is_here = self.kind == "collection" and self.cluster == Cluster.DEFAULT
        return self.placed_at if is_here else None

    @property
    def is_lasting(self) -> bool:
        """Whether it is neither being made nor on its way out."""
        return self.status in {OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED}


@dataclass
class Survey:
    """The state of things. MongoDB is read first, the catalog after it.

    So whatever an operation changed in between is known: its row is still open, or was updated
    since the survey began, and its organization is left alone.
    """

    began: datetime
    physical: list[PhysicalCollection]
    organizations: dict[UUID, OrganizationFacts]
    declared: dict[UUID, dict[str, datetime]]
    operations: list[Operation]
    failed_purges: dict[UUID, UUID]
    former: dict[str, OrganizationFacts]

    @cached_property
    def homes(self) -> dict[str, OrganizationFacts]:
        """Organizations by the namespace that is theirs now."""
        return {row.namespace: row for row in self.organizations.values() if row.namespace}

    @cached_property
    def real_names(self) -> frozenset[str]:
        """The physical names at which there is a collection and not a view."""
        return frozenset(found.name for found in self.physical if not found.is_view)

    @cached_property
    def busy(self) -> frozenset[UUID]:
        """Organizations that an operation is at, or was at since the survey began."""
        return frozenset(
            row.organization_id
            for row in self.operations
            if row.organization_id is not None
            and (row.updated_at >= self.began or (row.blocking and not is_planned(row)))
        )

    @cached_property
    def purging(self) -> frozenset[UUID]:
        """Organizations with a purge that is planned or under way."""
        return frozenset(
            row.organization_id
            for row in self.operations
            if row.organization_id is not None and row.kind == PURGE.name and row.status in OPEN
        )

    @cached_property
    def guarded(self) -> frozenset[str]:
        """Namespaces that renames have left or are going to, until they have cleaned up."""
        return frozenset(
            row.params[side]
            for row in self.operations
            if row.kind == RENAME.name
            for side in ("old_namespace", "new_namespace")
        )


def is_planned(operation: Operation) -> bool:
    """Return whether it is a purge whose time has not come."""
    return (
        operation.kind == PURGE.name
        and operation.step == PURGE.steps[0].name
        and operation.lease_until is None
        and operation.not_before > timezone.now()
    )


def namespace_of(physical: str) -> str:
    """Return the namespace that a physical name would be under. No namespace has a dot."""
    return physical.partition(".")[0]


def slug_at(namespace: str) -> str | None:
    """Return the slug that naming `name` gives this namespace, or None if there is none."""
    slug = namespace.removeprefix(NAMESPACE_PREFIX).replace("_", "-")
    is_slug = _SLUG.fullmatch(slug) and len(slug) <= SLUG_MAX_CHARACTERS
    return slug if is_slug and namespace_of_slug(slug) == namespace else None


def tenants_address() -> PlacementAddress:
    """Return the database of the default cluster in which namespaces are prefixes."""
    uri = catalog.default_uri()
    database = settings.TENANCY_DATABASE
    return PlacementAddress("collection", Cluster.DEFAULT, database, NAMESPACE_PREFIX, uri)


def take_survey() -> Survey:
    """Read everything: one command, and a number of queries that does not grow with tenants.

    Only what belongs to no tenant takes one more query for every 500 names. Raises Unavailable.
    """
    began = timezone.now()
    prefixed = {"name": {"$regex": f"^{NAMESPACE_PREFIX}"}}
    physical = provisioning.list_physical(tenants_address(), prefixed)
    organizations = {row.id: row for row in _read_facts(~Q(status=OrganizationStatus.PURGED))}
    homes = {row.namespace for row in organizations.values()}
    unknown = {namespace_of(found.name) for found in physical} - homes
    return Survey(
        began=began,
        physical=physical,
        organizations=organizations,
        declared=_read_declared(),
        operations=_read_operations(began),
        failed_purges=_read_failed_purges(),
        former=_find_former(sorted(unknown)),
    )


def _read_facts(condition: Q) -> Iterator[OrganizationFacts]:
    rows = Organization.objects.filter(condition).order_by().values_list(*_COLUMNS)
    return map(OrganizationFacts._make, rows.iterator(chunk_size=CHUNK))


def _read_declared() -> dict[UUID, dict[str, datetime]]:
    declared: dict[UUID, dict[str, datetime]] = defaultdict(dict)
    rows = Collection.objects.order_by().values_list("organization_id", "name", "created_at")
    for organization_id, name, created_at in rows.iterator(chunk_size=CHUNK):
        declared[organization_id][name] = created_at
    return declared


def _read_operations(began: datetime) -> list[Operation]:
    rows = Operation.objects.filter(Q(status__in=OPEN) | Q(updated_at__gte=began))
    return list(rows.order_by("not_before", "created_at").iterator(chunk_size=CHUNK))


def _read_failed_purges() -> dict[UUID, UUID]:
    rows = Operation.objects.filter(
        kind=PURGE.name,
        status=OperationStatus.FAILED,
        organization__status=OrganizationStatus.DELETING,
    ).order_by("created_at")
    pairs = rows.values_list("organization_id", "pk")
    return {organization: operation for organization, operation in pairs if organization}


def _find_former(namespaces: list[str]) -> dict[str, OrganizationFacts]:
    """Return whose the namespaces were, by the slugs that are kept and the ids in the names."""
    owners = {name: UUID(match[1]) for name in namespaces if (match := _id_in(name))}
    slugs = [slug for name in namespaces if (slug := slug_at(name))]
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


def _id_in(namespace: str) -> re.Match[str] | None:
    return _ID_IN_NAMESPACE.fullmatch(namespace)


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, LOOKUP_CHUNK)):
        yield chunk
