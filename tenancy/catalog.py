"""Find a tenant. Reads only; a cached tenant is at most `TENANCY_CATALOG_TTL` old."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from tenancy import encryption, invalidation, second_level
from tenancy.caching import AgedCache
from tenancy.clock import seconds
from tenancy.exceptions import (
    ClusterUnavailable,
    CollectionNotFound,
    OrganizationNotFound,
    Undecryptable,
)
from tenancy.models import (
    Cluster,
    Collection,
    Organization,
    OrganizationStatus,
    Placement,
    SchemaMode,
)
from tenancy.names import OWN_DATABASE, Kind, PlacementAddress

CACHE_MAX_TENANTS = 10_000
MOMENTS = ("created_at", "pause_from", "pause_until", "purge_after")


class SchemaReference(NamedTuple):
    """Which schema a collection has, and what is done about documents that do not satisfy it."""

    digest: str
    mode: str


@dataclass(frozen=True)
class Tenant:
    """An organization as the current boundary: a snapshot of its catalog rows.

    `documents` and `bytes` are what the catalog knew of their use at `read_at`, by `clock.seconds`.
    `schemas` has the collections whose schema is applied; the texts are elsewhere. `rows` is what
    it was made of, if Redis keeps that: in these the URI of its cluster is encrypted.
    """

    id: UUID
    name: str
    slug: str
    status: OrganizationStatus
    plan: str
    region: str
    max_document_bytes: int
    max_collections: int
    max_documents: int | None
    max_bytes: int | None
    max_members: int | None
    requests_per_minute: int | None
    burst: int | None
    documents: int
    bytes: int
    read_at: float
    created_at: datetime
    pause_from: datetime | None
    pause_until: datetime | None
    purge_after: datetime | None
    two_factor_required: bool
    epoch: int
    address: PlacementAddress
    collections: frozenset[str]
    schemas: Mapping[str, SchemaReference] = field(hash=False, default_factory=dict)
    rows: "tuple[_Row, ...]" = field(compare=False, repr=False, default=())

    @property
    def is_paused(self) -> bool:
        """Whether an announced pause has begun, by this machine's clock."""
        if self.pause_from is None:
            return False
        now = timezone.now()
        return self.pause_from <= now and (self.pause_until is None or now < self.pause_until)


def embedded_uri_file() -> Path:
    """Return where `serve` writes the URI of the embedded server while it runs."""
    return settings.TENANTRY_HOME / "mongod" / "uri"


def default_uri() -> str:
    """Return the URI of the default cluster, or raise ClusterUnavailable with what to do."""
    if settings.MONGODB_URI:
        return settings.MONGODB_URI
    try:
        return embedded_uri_file().read_text().strip()
    except FileNotFoundError:
        raise ClusterUnavailable(
            "No MongoDB: the embedded server is not running and MONGODB_URI is not set.",
            hint="Start the service with `make run`, or set MONGODB_URI.",
        ) from None


def database_of(cluster: Cluster) -> str:
    """Return the database of a cluster's shared and own collections."""
    return cluster.database or settings.TENANCY_DATABASE


def cluster_address(cluster: Cluster) -> tuple[str, str]:
    """Return the URI and database of a cluster, or raise ClusterUnavailable with what to do."""
    database = database_of(cluster)
    if cluster.alias == Cluster.DEFAULT:
        return default_uri(), database
    try:
        return encryption.decrypt(cluster.uri_encrypted), database
    except Undecryptable as error:
        raise ClusterUnavailable(
            f"The URI of cluster “{cluster.alias}” cannot be decrypted.",
            hint="Add the key that it was encrypted with to FIELD_ENCRYPTION_KEYS, or give the URI "
            f"again: manage.py change_cluster {cluster.alias} --uri-file FILE.",
        ) from error


def address_of(placement: Placement) -> PlacementAddress:
    """Return a placement row as the data plane's plain value."""
    return address_at(cast(Kind, placement.kind), placement.cluster, placement.namespace)


def address_at(kind: Kind, cluster: Cluster, namespace: str) -> PlacementAddress:
    """Return what the address is, or would be, of a namespace placed there."""
    uri, database = cluster_address(cluster)
    home = namespace if kind in OWN_DATABASE else database
    return PlacementAddress(kind, cluster.alias, home, namespace, uri)


class _Row(NamedTuple):
    """What one query reads of an organization, once for each of its collections."""

    id: UUID
    name: str
    slug: str
    status: str
    region: str
    created_at: datetime
    pause_from: datetime | None
    pause_until: datetime | None
    purge_after: datetime | None
    two_factor_required: bool
    plan: str
    max_document_bytes: int
    max_collections: int
    max_documents: int | None
    max_bytes: int | None
    max_members: int | None
    requests_per_minute: int | None
    burst: int | None
    documents: int | None
    bytes: int | None
    epoch: int
    kind: Kind
    namespace: str
    cluster: str
    uri_encrypted: str
    database: str
    collection: str | None
    schema_digest: str | None
    schema_mode: str | None


# Made once: putting the query together would take longer than the answer does.
_ROWS = (
    Organization.objects.existing()
    .order_by()
    .values_list(
        "pk", "name", "slug", "status", "region", "created_at", "pause_from", "pause_until",
        "purge_after", "two_factor_required",
        "plan__code", "plan__max_document_bytes", "plan__max_collections", "plan__max_documents",
        "plan__max_bytes", "plan__max_members", "plan__requests_per_minute", "plan__burst",
        "usage__documents", "usage__bytes", "placement__epoch",
        "placement__kind", "placement__namespace", "placement__cluster__alias",
        "placement__cluster__uri_encrypted", "placement__cluster__database", "collections__name",
        "collections__schema_digest", "collections__schema_mode",
    )
)  # fmt: skip


def _schemas(rows: list[_Row]) -> dict[str, SchemaReference]:
    return {
        str(row.collection): SchemaReference(str(row.schema_digest), row.schema_mode)
        for row in rows
        if row.schema_mode is not None and row.schema_mode != SchemaMode.OFF
    }


def _snapshot(rows: list[_Row], read_at: float) -> Tenant:
    row = rows[0]
    cluster = Cluster(alias=row.cluster, uri_encrypted=row.uri_encrypted, database=row.database)
    return Tenant(
        id=row.id,
        name=row.name,
        slug=row.slug,
        status=OrganizationStatus(row.status),
        plan=row.plan,
        max_document_bytes=row.max_document_bytes,
        region=row.region,
        max_collections=row.max_collections,
        max_documents=row.max_documents,
        max_bytes=row.max_bytes,
        max_members=row.max_members,
        requests_per_minute=row.requests_per_minute,
        burst=row.burst,
        documents=row.documents or 0,
        bytes=row.bytes or 0,
        read_at=read_at,
        created_at=row.created_at,
        pause_from=row.pause_from,
        pause_until=row.pause_until,
        purge_after=row.purge_after,
        two_factor_required=row.two_factor_required,
        epoch=row.epoch,
        address=address_at(row.kind, cluster, row.namespace),
        collections=frozenset(row.collection for row in rows if row.collection is not None),
        schemas=_schemas(rows),
        rows=tuple(rows) if second_level.is_on() else (),
    )


def _read_tenant(organization_id: UUID) -> Tenant | None:
    invalidation.listen()
    read_at = seconds()
    rows = [_Row._make(row) for row in _ROWS.filter(pk=organization_id)]
    return _snapshot(rows, read_at) if rows else None


def _load(kept: Any, read_at: float) -> Tenant:
    rows = [_Row._make(row) for row in kept]
    first = rows[0]._asdict()
    read: Any = {name: datetime.fromisoformat(first[name]) for name in MOMENTS if first[name]}
    return _snapshot([rows[0]._replace(id=UUID(first["id"]), **read), *rows[1:]], read_at)


_behind = second_level.SecondLevel[UUID, Tenant](
    "tenants", spell=str, dump=lambda tenant: [tuple(row) for row in tenant.rows], load=_load,
    lives=lambda: settings.TENANCY_CATALOG_TTL,
)  # fmt: skip
_cache: AgedCache[UUID, Tenant] = AgedCache(
    _read_tenant, max_entries=CACHE_MAX_TENANTS, name="tenants", second=_behind
)


def get_tenant(organization_id: UUID, *, max_age: float | None = None) -> Tenant:
    """Return a tenant at most `max_age` (default: the TTL) seconds old, or raise NotFound."""
    age = settings.TENANCY_CATALOG_TTL if max_age is None else max_age
    tenant = _cache.find(organization_id, age)
    if tenant is None:
        raise OrganizationNotFound
    return tenant


def forget_tenant(organization_id: UUID) -> None:
    """Make the next `get_tenant` read the catalog: here now, with Redis soon in every process."""
    _changed.make_known(organization_id=organization_id)


def clear_cache() -> None:
    """Forget every tenant: here now, with Redis soon in every process."""
    _changed.make_known()


_changed = invalidation.Change("tenants", _cache.drop, ids={"organization_id"})


def find_organization(slug: str) -> Organization | None:
    """Return the organization that has this slug now, or None."""
    return Organization.objects.existing().filter(slug=slug).first()


def get_organization(slug: str) -> Organization:
    """Return the organization that has this slug now, or raise OrganizationNotFound."""
    row = find_organization(slug)
    if row is None:
        raise OrganizationNotFound(f"There is no organization “{slug}”.")
    return row


def get_collection(organization_id: UUID, name: str) -> Collection:
    """Return the row of a logical collection, or raise CollectionNotFound."""
    row = Collection.objects.filter(organization_id=organization_id, name=name).first()
    if row is None:
        raise CollectionNotFound(f"There is no collection “{name}”.")
    return row


def declared_collections(organization_id: UUID) -> list[str]:
    """Return the names of an organization's logical collections, sorted."""
    rows = Collection.objects.filter(organization_id=organization_id)
    return sorted(rows.values_list("name", flat=True))
