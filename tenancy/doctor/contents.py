"""What lies on a cluster: every trace of a tenant, read by a bounded number of commands."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from tenancy.doctor.findings import RoomKind
from tenancy.doctor.sites import Site
from tenancy.mongo import inventory, provisioning
from tenancy.mongo.indexes import IndexSpec, list_indexes
from tenancy.mongo.inventory import SharedRange
from tenancy.names import (
    COLLECTION_NAME,
    NAMESPACE_PREFIX,
    SHARED_COLLECTION,
    PlacementAddress,
    logical_collection,
    namespace_of_id,
)

# Readers of indexes beside each other on one cluster: what waits for the network is little then.
READERS = 4


class Room(NamedTuple):
    """Where one tenant's data lies, or could lie."""

    kind: RoomKind
    scope: str
    namespace: str


@dataclass(frozen=True)
class Trace:
    """A logical collection of whoever's, in a room: a collection, a view, or a shared range."""

    room: Room
    address: PlacementAddress
    physical: str
    logical: str | None
    view_on: str | None = None

    @property
    def is_view(self) -> bool:
        """Whether it is a view."""
        return self.view_on is not None

    @property
    def where(self) -> str:
        """Its name, for people."""
        if self.room.kind == "collection":
            return self.physical
        if self.room.kind == "database":
            return f"database {self.room.namespace}: {self.physical}"
        name = "no collection" if self.logical is None else self.logical
        return f"{SHARED_COLLECTION}: {self.room.namespace.removeprefix(NAMESPACE_PREFIX)}: {name}"


@dataclass
class Contents:
    """What was found at a site. `indexes` are those of each trace that has any."""

    traces: list[Trace] = field(default_factory=list)
    indexes: dict[tuple[Room, str], list[IndexSpec]] = field(default_factory=dict)
    has_shared: bool = False
    nobodys: bool = False


class Expected(NamedTuple):
    """What is looked at in a site, and what should be in its shared collection."""

    database: bool
    deployment: bool
    shared: list[tuple[UUID, str]]


def namespace_of(physical: str) -> str:
    """Return the namespace that a physical name would be under. No namespace has a dot."""
    return physical.partition(".")[0]


def read_contents(site: Site, expected: Expected, taken: frozenset[str]) -> Contents:
    """Return what lies at a site. `taken` are databases that are nobody's own.

    One command for all collections of the shared database, one for each tenant's own database, one
    for each 1,000 shared tenants, and one for the indexes of each collection. Raises Unavailable.
    """
    contents = Contents()
    if expected.database:
        contents.traces += _in_database(site, contents)
        contents.traces += _in_shared(site, expected.shared, contents)
    with ThreadPoolExecutor(READERS) as pool:
        if expected.deployment:
            for found in pool.map(lambda name: list(_in_own(site, name)), _own(site, taken)):
                contents.traces += found
        real = [each for each in contents.traces if _may_have_indexes(each)]
        specs = pool.map(lambda each: list_indexes(each.address, str(each.logical)), real)
        for trace, found_specs in zip(real, specs, strict=True):
            if found_specs:
                contents.indexes[trace.room, str(trace.logical)] = found_specs
    return contents


def _own(site: Site, taken: frozenset[str]) -> list[str]:
    names = inventory.list_own_databases(site.address("collection", NAMESPACE_PREFIX))
    return [name for name in names if name not in taken]


def _may_have_indexes(trace: Trace) -> bool:
    is_own = trace.room.kind != "shared" and not trace.is_view
    return is_own and trace.logical is not None and bool(COLLECTION_NAME.fullmatch(trace.logical))


def _in_database(site: Site, contents: Contents) -> Iterator[Trace]:
    """Yield what lies beside each other in the site's database, by its names."""
    wanted = {"name": {"$regex": f"^({NAMESPACE_PREFIX}|{SHARED_COLLECTION}$)"}}
    address = site.address("collection", NAMESPACE_PREFIX)
    for found in provisioning.list_physical(address, wanted):
        if found.name == SHARED_COLLECTION:
            contents.has_shared = not found.is_view
            continue
        namespace = namespace_of(found.name)
        room = Room("collection", site.scope, namespace)
        logical = logical_collection(namespace, found.name)
        yield Trace(room, address.at(namespace), found.name, logical, found.view_on)


def _in_own(site: Site, namespace: str) -> Iterator[Trace]:
    address = site.address("database", namespace)
    room = Room("database", site.deployment, namespace)
    for found in provisioning.list_physical(address):
        yield Trace(room, address, found.name, found.name, found.view_on)


def _in_shared(site: Site, expected: list[tuple[UUID, str]], contents: Contents) -> Iterator[Trace]:
    """Yield what is in the shared collection and not expected there."""
    if not contents.has_shared:
        return
    address = site.address("shared", NAMESPACE_PREFIX)
    for found in inventory.list_unexpected(address, expected):
        if found.owner is None:
            contents.nobodys = True
        else:
            yield _shared_trace(site, found, found.owner)


def _shared_trace(site: Site, found: SharedRange, owner: UUID) -> Trace:
    namespace = namespace_of_id(owner)
    room = Room("shared", site.scope, namespace)
    address = site.address("shared", namespace)
    return Trace(room, address, SHARED_COLLECTION, found.logical)
