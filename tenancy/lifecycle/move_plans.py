"""What a move would be: from where to where, how much, how long, and what is against it."""

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, cast
from uuid import UUID

from django.conf import settings

from tenancy import catalog
from tenancy.exceptions import (
    ClusterFull,
    Conflict,
    OrganizationNotFound,
    PlacementUnsupported,
    ValidationFailed,
)
from tenancy.lifecycle.capacity import assert_capacity
from tenancy.lifecycle.clusters import get_cluster
from tenancy.lifecycle.indexes import declared_indexes
from tenancy.lifecycle.placing import check_residency, check_vacancy, choose_place
from tenancy.models import (
    OPEN,
    Cluster,
    Operation,
    OperationQuerySet,
    Organization,
    OrganizationStatus,
)
from tenancy.mongo.measuring import NOTHING, Measure, measure_collection
from tenancy.names import OWN_DATABASE, Kind, Naming, PlacementAddress, namespace_for

MOVABLE = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)
MEASURE_SECONDS = 60.0
# What copying, comparing and dropping took on two cores, each a little slower than measured.
COPIED_PER_SECOND = 40_000
COMPARED_PER_SECOND = 60_000
FIXED_SECONDS = 7.0  # announcing the pause, and looking out for late writes
PAUSE_SECONDS = 0.06
COUNTED_PER_SECOND = 2_500_000


@dataclass(frozen=True)
class Place:
    """A kind of placement on a cluster, under a namespace."""

    kind: Kind
    cluster: str
    namespace: str

    @property
    def address(self) -> PlacementAddress:
        """The data plane's plain value. Raises NotFound if the cluster was removed."""
        return catalog.address_at(self.kind, get_cluster(self.cluster), self.namespace)

    def is_in_place_of(self, other: "Place") -> bool:
        """Return whether it is where the other is: a database of one's own is one, of either kind.

        Two aliases of one deployment are told by the collections themselves: see `_prepare`.
        """
        rooms = ["database" if each.kind in OWN_DATABASE else each.kind for each in (self, other)]
        return rooms[0] == rooms[1] and self.cluster == other.cluster

    def __str__(self) -> str:
        return f"{self.kind} “{self.namespace}” on cluster “{self.cluster}”"


@dataclass(frozen=True)
class MovePlan:
    """What `move_organization` is going to do."""

    organization: str
    source: Place
    target: Place
    collections: int
    indexes: int
    documents: int
    bytes: int
    seconds: float
    pause_seconds: float
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def place_of(organization: Organization) -> Place:
    """Return where an organization lives."""
    placement = organization.placement
    return Place(cast(Kind, placement.kind), placement.cluster.alias, placement.namespace)


def told(place: dict[str, str]) -> dict[str, str]:
    """Return what the audit says of a place: not the namespace, which may hold a name."""
    return {"kind": place["kind"], "cluster": place["cluster"]}


def leftover_copies(organization_id: UUID | None = None) -> OperationQuerySet:
    """Return the moves that were undone and could not remove what they had copied."""
    rows = Operation.objects.filter(kind="move", state__leftover=True).exclude(status__in=OPEN)
    return rows if organization_id is None else rows.filter(organization_id=organization_id)


def read_organization(organization_id: UUID) -> Organization:
    """Return the row with what planning a move looks at, or raise OrganizationNotFound."""
    rows = Organization.objects.existing().select_related("plan", "placement__cluster")
    row = rows.filter(pk=organization_id).first()
    if row is None:
        raise OrganizationNotFound
    return row


def choose_target(organization: Organization, kind: Kind, alias: str | None) -> Place:
    """Return where a move goes: the named cluster, else the present one if it will do, else the
    one that choosing for a new organization would give.

    Raises ValidationFailed, NotFound, ClusterFull, PlacementUnsupported, or Conflict if the
    organization is there already.
    """
    cluster = get_cluster(alias) if alias is not None else _choose_cluster(organization, kind)
    target = Place(kind, cluster.alias, namespace_at(organization, kind))
    if target.is_in_place_of(place_of(organization)):
        raise Conflict(f"The organization is there already: {place_of(organization)}.")
    check_residency(organization, cluster)
    if kind == "cluster" and alias is not None:  # what was chosen here was vacant a moment ago
        check_vacancy(organization, cluster)
    check_indexes(organization, kind)
    assert_capacity(cluster, *room_of(organization, kind))
    return target


def namespace_at(organization: Organization, kind: Kind) -> str:
    """Return the namespace that an organization has at a kind of placement."""
    naming = cast(Naming, settings.TENANCY_NAMING)
    return namespace_for(organization.pk, str(organization.slug), naming=naming, kind=kind)


def _choose_cluster(organization: Organization, kind: Kind) -> Cluster:
    here = organization.placement.cluster
    if kind != "cluster" and here.dedicated_to_id is None:
        with suppress(ValidationFailed, ClusterFull):
            check_residency(organization, here)
            assert_capacity(here, *room_of(organization, kind))
            return here
    collections, indexes = room_of(organization, kind)
    return choose_place(
        organization.plan, organization.region, kind,
        collections=collections, indexes=indexes,
    )[1]  # fmt: skip


def check_indexes(organization: Organization, kind: Kind) -> None:
    """Refuse to give up silently what the shared collection does not have.

    Raises PlacementUnsupported.
    """
    if kind != "shared":
        return
    for collection, specs in declared_indexes(organization.pk).items():
        for spec in specs:
            if spec.unique or spec.ttl_seconds is not None or spec.options:
                raise PlacementUnsupported(
                    f"The index “{spec.name}” of “{collection}” is unique, expires documents or "
                    "has options of its own: a shared collection has no such index.",
                    hint="Remove the index first, or choose another kind.",
                )


def room_of(organization: Organization, kind: Kind) -> tuple[int, int]:
    """Return how many collections and indexes an organization takes with it."""
    if kind == "shared":
        return 0, 0
    collections = organization.collections.count()
    wanted = sum(map(len, declared_indexes(organization.pk).values()))
    return collections, collections + wanted


def plan_move(organization_id: UUID, kind: Kind, *, cluster: str | None = None) -> MovePlan:
    """Return what moving an organization would be; nothing is changed.

    Raises what `choose_target` raises, and ClusterUnavailable.
    """
    organization = read_organization(organization_id)
    if organization.status not in MOVABLE:
        raise Conflict(f"The organization is {organization.status}: it cannot be moved now.")
    source, target = place_of(organization), choose_target(organization, kind, cluster)
    names = catalog.declared_collections(organization.pk)
    size = measure_place(source, names)
    return MovePlan(
        organization=str(organization.slug),
        source=source,
        target=target,
        collections=len(names),
        indexes=sum(map(len, declared_indexes(organization.pk).values())),
        documents=size.documents,
        bytes=size.bytes,
        seconds=round(
            FIXED_SECONDS
            + size.documents / COPIED_PER_SECOND
            + size.documents / COMPARED_PER_SECOND,
            1,
        ),
        pause_seconds=round(PAUSE_SECONDS + size.documents / COUNTED_PER_SECOND, 3),
        notes=_notes(source, target),
    )


def measure_place(place: Place, names: list[str]) -> Measure:
    """Return how much lies in an organization's collections at a place."""
    sizes = (
        measure_collection(place.address, name, timeout_seconds=MEASURE_SECONDS) for name in names
    )
    return sum(sizes, NOTHING)


def _notes(source: Place, target: Place) -> list[str]:
    notes = []
    if target.kind == "shared":
        notes.append("Indexes are kept as definitions only, and built when it moves out again.")
    if source.kind == "shared" and target.kind != "shared":
        notes.append("Declared indexes are built at the target.")
    if source.kind == "cluster" and source.cluster != target.cluster:
        notes.append(f"The cluster “{source.cluster}” is nobody's afterwards, and closed.")
    return notes
