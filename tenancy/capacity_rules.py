"""What was measured about growth, and the bounds that follow: the numbers of `plan_capacity`.

Pure data; every rule says where its number comes from.
"""

import math
from typing import NamedTuple

from tenancy.capacity_points import POINTS
from tenancy.names import Kind

MIB = 1024**2
GIB = 1024**3
GROWTH = "docs/measurements/growth.json"


class Point(NamedTuple):
    """One size of one kind on one server: see `tenancy.capacity_points`."""

    tenants: int
    create_ms: float
    read_ms: float
    doctor_s: float
    restart_s: float
    mongod_mib: float


MEASURED: dict[Kind, tuple[Point, ...]] = {
    kind: tuple(Point(*row) for row in rows) for kind, rows in POINTS.items()
}


class Rule(NamedTuple):
    """A number to plan by, what it counts, and where it comes from."""

    value: float
    unit: str
    source: str


RULES: dict[str, Rule] = {
    "files_per_collection": Rule(
        2, "files of a collection and its _id index; one more for each further index", GROWTH
    ),
    "files_per_server": Rule(
        10_000, "files that collections and indexes of one server should have",
        "docs/scaling.md: 5,000 collections; beyond, creating and restarting take ever longer",
    ),
    "files_in_reserve": Rule(500, "files", "tenancy/lifecycle/capacity.py"),
    "files_per_connection": Rule(2, "files", "tenancy/lifecycle/capacity.py"),
    "connections_per_process": Rule(
        26, "connections of a web process of 8 threads at most: 2 x 8 + 8, and 2 that watch",
        "the driver's pool: tenancy/mongo/clients.py",
    ),
    "open_files_limit": Rule(
        64_000, "open files of a mongod", "https://www.mongodb.com/docs/manual/reference/ulimit/"
    ),
    "meta_bytes": Rule(120, "bytes that Tenantry adds to a document", "_meta and a shared _id"),
    "index_entry_bytes": Rule(40, "bytes of an index entry", "an estimate; not measured"),
    "disk_headroom": Rule(
        1.5, "times the data: the oplog, a copy while an organization moves, no compression",
        "an estimate; not measured",
    ),
    "hot_share": Rule(0.1, "of the documents in memory", "an estimate; not measured"),
    "memory_headroom": Rule(1.5, "times what mongod holds", "an estimate; not measured"),
    "memory_per_server": Rule(64 * GIB, "bytes of memory of a server", "a usual machine"),
    "disk_per_server": Rule(
        1024 * GIB, "bytes of disk of a server", "what can be copied anew in some hours"
    ),
    "large_tenant_bytes": Rule(
        GIB, "bytes from which an organization should have a database of its own",
        "to be backed up, moved and removed as one; it is no faster",
    ),
    "huge_tenant_share": Rule(
        0.5, "of a server, beyond which an organization should have a cluster of its own",
        "no two such have room on one server",
    ),
    "shared_documents": Rule(
        100_000, "documents of an organization that may live in the shared collection",
        "removing it deletes documents one by one; an estimate",
    ),
    "unindexed_documents": Rule(
        10_000, "documents of an organization that are searched without an index",
        "the shared collection keeps no indexes of organizations; an estimate",
    ),
    "requests_per_process": Rule(
        500, "requests per second of one web process, with room for peaks and for large answers",
        "docs/performance.md: less than a third of the reads by id, half of the creations, or all "
        "of the filtered lists of 100 that one process answered",
    ),
    "processes_per_machine": Rule(8, "web processes on one machine", "one for each core"),
    "process_mib": Rule(
        160, "MiB of a web process", "113 at rest, and what requests take; docs/scaling.md"
    ),
    "service_mib": Rule(
        150, "MiB of what `serve` is besides, on each machine", "149 at rest; docs/scaling.md"
    ),
    "catalog_bytes": Rule(
        6_000, "bytes of the catalog for an organization with one member",
        GROWTH + ", doubled for sessions and audit",
    ),
    "sqlite_tenants": Rule(20_000, "organizations in SQLite", GROWTH + ": no more were tried"),
    "measured_documents": Rule(
        1_000_000, "documents of one organization",
        "the largest that was moved and counted; see docs/scaling.md",
    ),
    "measured_requests": Rule(2_000, "requests per second", "make bench, one machine"),
}  # fmt: skip


def rule(name: str) -> float:
    """Return the number of a rule."""
    return RULES[name].value


def largest_measured(kind: Kind) -> int:
    """Return how many tenants of a kind were measured on one server."""
    return MEASURED[kind][-1].tenants


def estimate(kind: Kind, tenants: int) -> Point:
    """Return what is to be expected at a size: between two measured ones, or beyond the last.

    Straight lines between the logarithms: what doubles with the tenants goes on doubling.
    """
    points = MEASURED[kind]
    if tenants <= points[0].tenants:
        return points[0]._replace(tenants=tenants)
    after = next((n for n, each in enumerate(points) if each.tenants >= tenants), len(points) - 1)
    low, high = points[after - 1], points[after]
    place = math.log(tenants / low.tenants) / math.log(high.tenants / low.tenants)
    values = [_between(a, b, place) for a, b in zip(low[1:], high[1:], strict=True)]
    return Point(tenants, *values)


def _between(low: float, high: float, place: float) -> float:
    """Return the value at a place from 0.0 to 1.0, or beyond. Noise that falls does not go on."""
    if place > 1.0 and high < low:
        return high
    return float(low * (high / low) ** place)
