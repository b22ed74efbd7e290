"""How much MongoDB, memory, disk and processes so many organizations take: `plan_capacity`.

Arithmetic on `tenancy.capacity_rules`, nothing else: no settings, no database.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from tenancy.capacity_rules import GIB, MIB, Point, estimate, largest_measured, rule
from tenancy.names import Kind

# What can be asked for: name -> (least, greatest).
BOUNDS: dict[str, tuple[int, int]] = {
    "tenants": (1, 10_000_000),
    "documents": (1, 10**12),
    "document_bytes": (1, 16 * MIB),  # of BSON, at most: https://www.mongodb.com/docs/manual/reference/limits/
    "requests_per_second": (1, 1_000_000),
    "indexes": (0, 63),  # MongoDB takes 64 of a collection, that of `_id` included
}  # fmt: skip
DOCUMENT_BYTES = 1_000

FILES = "files of collections and indexes"
MEMORY = "memory of a MongoDB server"
DISK = "disk of a MongoDB server"


@dataclass(frozen=True)
class Demand:
    """What is to be served. `documents` are those of all tenants, `indexes` those of each."""

    tenants: int
    documents: int
    document_bytes: int = DOCUMENT_BYTES
    requests_per_second: int = 1
    indexes: int = 0

    def __post_init__(self) -> None:
        for name, (least, greatest) in BOUNDS.items():
            if not least <= getattr(self, name) <= greatest:
                raise ValueError(f"{name} is a whole number from {least:,} to {greatest:,}")

    @property
    def documents_each(self) -> float:
        """Documents of one tenant, on average."""
        return self.documents / self.tenants

    @property
    def data_bytes_each(self) -> float:
        """Bytes of one tenant's documents as they are stored."""
        return self.documents_each * (self.document_bytes + rule("meta_bytes"))

    @property
    def index_bytes_each(self) -> float:
        """Bytes of one tenant's indexes."""
        return self.documents_each * (1 + self.indexes) * rule("index_entry_bytes")

    @property
    def disk_each(self) -> float:
        """Bytes of disk that one tenant takes of a server."""
        return (self.data_bytes_each + self.index_bytes_each) * rule("disk_headroom")

    @property
    def working_set_each(self) -> float:
        """Bytes of memory that one tenant's documents and indexes take of a server."""
        held = self.data_bytes_each * rule("hot_share") + self.index_bytes_each
        return held * rule("memory_headroom")

    @property
    def files_each(self) -> int:
        """Files of one tenant with a collection of its own."""
        return int(rule("files_per_collection")) + self.indexes


@dataclass(frozen=True)
class CapacityPlan:
    """What to run. Sizes are those of the fullest cluster's servers, times of one call there.

    `shares` says how much of each limit is used: 1.0 is all of it. `steps` are sentences.
    """

    demand: Demand
    kind: Kind
    why: str
    clusters: int
    tenants_per_cluster: int
    files: int
    open_files_limit: int
    memory_mib: int
    disk_mib: int
    web_processes: int
    web_machines: int
    web_mib: int
    catalog: str
    catalog_mib: int
    redis: bool
    expected: Point
    check_s: float
    shares: dict[str, float]
    warnings: tuple[str, ...] = field(default=())

    @property
    def limits_first(self) -> str:
        """What is used up first when everything grows alike."""
        return max(self.shares, key=lambda name: self.shares[name])

    def represent(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self) | {
            "expected": self.expected._asdict(), "limits_first": self.limits_first,
        }  # fmt: skip


def plan_capacity(demand: Demand) -> CapacityPlan:
    """Return what a demand takes. Raises nothing: a Demand is within its bounds."""
    kind, why = choose_kind(demand)
    clusters = count_clusters(demand, kind)
    tenants = math.ceil(demand.tenants / clusters)
    processes = math.ceil(demand.requests_per_second / rule("requests_per_process"))
    machines = math.ceil(processes / rule("processes_per_machine"))
    files = _own_files(demand, kind, tenants) + _other_files(processes)
    shares = _shares(demand, kind, tenants, processes)
    fits_one_machine = machines == 1 and clusters == 1 and max(shares[MEMORY], shares[DISK]) <= 1
    is_small = fits_one_machine and demand.tenants <= rule("sqlite_tenants")
    return CapacityPlan(
        demand=demand,
        kind=kind,
        why=why,
        clusters=clusters,
        tenants_per_cluster=tenants,
        files=files,
        open_files_limit=_open_files_limit(files),
        memory_mib=math.ceil(_memory(demand, kind, tenants) / MIB),
        disk_mib=math.ceil(tenants * demand.disk_each / MIB),
        web_processes=processes,
        web_machines=machines,
        web_mib=math.ceil(processes * rule("process_mib") + machines * rule("service_mib")),
        catalog="SQLite" if is_small else "PostgreSQL",
        catalog_mib=math.ceil(demand.tenants * rule("catalog_bytes") / MIB),
        redis=processes > 1,
        expected=estimate(kind, tenants),
        check_s=_check_seconds(kind, clusters, tenants),
        shares={name: round(share, 3) for name, share in shares.items()},
        warnings=(*_too_large(demand, kind, shares), *_not_measured(demand, kind, clusters)),
    )


def choose_kind(demand: Demand) -> tuple[Kind, str]:
    """Return the kind of placement for such tenants, and why, as a sentence."""
    if max(_server_shares(demand, "cluster", 1).values()) > rule("huge_tenant_share"):
        return "cluster", (
            "Each organization takes more than half of a server's memory or disk: it needs a "
            "deployment of its own."
        )
    if demand.data_bytes_each >= rule("large_tenant_bytes"):
        return "database", (
            "The organizations are large: a database of its own can be backed up, moved and "
            "removed as one."
        )
    of_data, bound = count_clusters(demand, "shared"), int(rule("files_per_server"))
    files = math.ceil(demand.tenants / of_data) * demand.files_each
    taken = f"{files:,} files"
    if of_data > 1:
        taken += f" on each of the {of_data:,} clusters that the data needs"
    if files <= bound:
        return "collection", (
            f"Collections of their own take {taken}, and one server does well up to {bound:,}."
        )
    if demand.documents_each > rule("shared_documents"):
        return "collection", (
            "The organizations are too large for the shared collection; their collections are "
            "spread over several clusters."
        )
    if demand.indexes and demand.documents_each > rule("unindexed_documents"):
        return "collection", (
            "They need indexes, which the shared collection does not keep; their collections are "
            "spread over several clusters."
        )
    return "shared", (
        f"Collections of their own would take {taken}, and one server does well up to {bound:,}; "
        "the shared collection takes none for a further organization."
    )


def count_clusters(demand: Demand, kind: Kind) -> int:
    """Return how many clusters (replica sets) hold them: no organization lies on two.

    One that has room on no server counts as one cluster: `plan_capacity` warns of it.
    """
    if kind == "cluster":
        return demand.tenants

    def are_too_many(tenants: int) -> bool:
        return max(_server_shares(demand, kind, tenants).values()) > 1

    room = bisect_left(range(1, demand.tenants + 1), True, key=are_too_many)
    return math.ceil(demand.tenants / max(room, 1))


def _server_shares(demand: Demand, kind: Kind, tenants: int) -> dict[str, float]:
    """Return how much of one server so many tenants take: 1.0 is all of it."""
    return {
        FILES: _own_files(demand, kind, tenants) / rule("files_per_server"),
        MEMORY: _memory(demand, kind, tenants) / rule("memory_per_server"),
        DISK: tenants * demand.disk_each / rule("disk_per_server"),
    }


def _memory(demand: Demand, kind: Kind, tenants: int) -> float:
    """Return the bytes of memory of a server with so many tenants: mongod's own, and their data."""
    own = estimate(kind, tenants).mongod_mib * MIB * rule("memory_headroom")
    return own + tenants * demand.working_set_each


def _own_files(demand: Demand, kind: Kind, tenants: int) -> int:
    return int(rule("files_per_collection")) if kind == "shared" else tenants * demand.files_each


def _other_files(processes: int) -> int:
    connections = processes * rule("connections_per_process")
    return int(rule("files_in_reserve") + rule("files_per_connection") * connections)


def _open_files_limit(files: int) -> int:
    """Return MongoDB's recommendation, doubled until the files are four fifths of it at most."""
    limit = int(rule("open_files_limit"))
    while files > 0.8 * limit:
        limit *= 2
    return limit


def _check_seconds(kind: Kind, clusters: int, tenants: int) -> float:
    """Return the seconds of `check_tenants`, which looks at one cluster after another."""
    if kind != "cluster":
        return clusters * estimate(kind, tenants).doctor_s
    most = largest_measured(kind)
    return estimate(kind, min(clusters, most)).doctor_s * max(1.0, clusters / most)


def _shares(demand: Demand, kind: Kind, tenants: int, processes: int) -> dict[str, float]:
    machines = math.ceil(processes / rule("processes_per_machine"))
    return _server_shares(demand, kind, tenants) | {
        "web machines": processes / machines / rule("processes_per_machine"),
        "what was measured of one server": tenants / largest_measured(kind),
    }


def _too_large(demand: Demand, kind: Kind, shares: dict[str, float]) -> Iterator[str]:
    """Say of what one organization takes more than a server has."""
    for name, word, taken in (
        (MEMORY, "memory", _memory(demand, kind, 1)),
        (DISK, "disk", demand.disk_each),
    ):
        if shares[name] > 1:
            yield (
                f"An organization takes {math.ceil(taken / GIB):,} GiB of {word}, and a server has "
                f"{rule(f'{word}_per_server') / GIB:,.0f} GiB: it needs larger servers, or a "
                "sharded cluster of its own, which was not measured."
            )


def _not_measured(demand: Demand, kind: Kind, clusters: int) -> list[str]:
    warnings, tenants = [], math.ceil(demand.tenants / clusters)
    if tenants > largest_measured(kind):
        warnings.append(
            f"Extrapolated: {tenants:,} organizations of kind {kind} on one server; "
            f"{largest_measured(kind):,} were measured."
        )
    if clusters > largest_measured("cluster"):
        warnings.append(
            f"Extrapolated: {clusters:,} clusters; {largest_measured('cluster')} were measured."
        )
    if demand.documents_each > rule("measured_documents"):
        warnings.append(
            f"Extrapolated: {demand.documents_each:,.0f} documents of an organization; "
            f"{rule('measured_documents'):,.0f} were measured."
        )
    if demand.requests_per_second > rule("measured_requests"):
        warnings.append(
            f"Extrapolated: {demand.requests_per_second:,} requests per second; about "
            f"{rule('measured_requests'):,.0f} were measured, on one machine."
        )
    if demand.indexes and kind == "shared":
        warnings.append(
            "The shared collection builds no indexes of organizations: they are kept as wishes, "
            "unique and expiring ones are refused. Place those who need them in collections."
        )
    return warnings
