"""How full clusters are, and the guard that keeps them from running over.

A mongod keeps a file open for each collection and each index, and two for each connection. At its
limit the whole process dies, for every tenant: so what would come near it is refused before.
"""

import logging
from dataclasses import dataclass, field
from threading import Lock

from django.conf import settings

from tenancy import catalog
from tenancy.clock import seconds
from tenancy.exceptions import ClusterFull
from tenancy.models import Cluster, Collection, Index
from tenancy.mongo.clients import ClusterCall
from tenancy.mongo.cluster_probe import Load, measure_load

logger = logging.getLogger("tenantry.capacity")

# How long a measured load counts in a process; what the process itself adds is counted along.
LOAD_SECONDS = 3.0
# What was promised this short a time before a measurement may not have been there to be counted.
UNSEEN_SECONDS = 1.0
FILES_IN_RESERVE = 500
FILES_OF_A_CONNECTION = 2
WARNING_SHARE = 0.8
WARNING_SECONDS = 60.0


@dataclass(frozen=True)
class Capacity:
    """How full a cluster is. `used` and `ceiling` count collections and indexes.

    `files` are those that it needs with all of them open, the reserve included.
    """

    used: int
    ceiling: int
    files: int | None = None
    max_files: int | None = None

    @property
    def share(self) -> float:
        """How much of it is used: 1.0 is full."""
        of_files = self.files / self.max_files if self.files and self.max_files else 0.0
        return max(self.used / max(self.ceiling, 1), of_files)

    def has_room(self, more: int) -> bool:
        """Return whether so many more collections and indexes may be made."""
        if self.used + more > self.ceiling:
            return False
        return not self.files or not self.max_files or self.files + more < self.max_files


@dataclass
class _Known:
    """What this process knows of the load of one cluster, and what it has promised since."""

    load: Load = field(default_factory=Load)
    measured_at: float = float("-inf")
    warned_at: float = float("-inf")
    promised: list[tuple[float, int]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def is_old(self) -> bool:
        """Return whether the load has to be measured again."""
        return seconds() - self.measured_at >= LOAD_SECONDS

    def replace(self, load: Load, began: float) -> None:
        """Take a measurement that began then."""
        with self.lock:
            self.load, self.measured_at = load, began
            unseen = began - UNSEEN_SECONDS
            self.promised = [(at, more) for at, more in self.promised if at > unseen]

    def capacity(self, ceiling: int) -> Capacity:
        """Return how full the cluster is, promises included."""
        load = self.load
        used = (
            (load.collections or 0) + (load.indexes or 0) + sum(more for _, more in self.promised)
        )
        files = None
        if load.connections is not None:
            files = used + load.internal_files + FILES_IN_RESERVE
            files += FILES_OF_A_CONNECTION * load.connections
        return Capacity(used, ceiling, files, load.max_open_files)


_known: dict[int, _Known] = {}


def assert_capacity(cluster: Cluster, collections: int, indexes: int) -> None:
    """Promise room for so many more collections and indexes, `_id` indexes included.

    Call it before they are made. Raises ClusterFull, and ClusterUnavailable when the cluster does
    not say how full it is.
    """
    more = collections + indexes
    if more <= 0:
        return
    known = _measured(cluster)
    with known.lock:
        capacity = known.capacity(_ceiling(cluster))
        if capacity.has_room(more):
            known.promised.append((seconds(), more))
        warns = capacity.share >= WARNING_SHARE and seconds() - known.warned_at > WARNING_SECONDS
        if warns:
            known.warned_at = seconds()
    if warns:
        logger.warning("Cluster %s is nearly full: %s", cluster.alias, describe_capacity(capacity))
    if not capacity.has_room(more):
        raise ClusterFull


def capacity_of(cluster: Cluster) -> Capacity:
    """Return how full a cluster is, as of some seconds ago. Raises ClusterUnavailable."""
    return _measured(cluster).capacity(_ceiling(cluster))


def capacity_with(cluster: Cluster, load: Load) -> Capacity:
    """Return how full a cluster is with a load that was measured just now."""
    known = _Known(load if load.indexes is not None else _load_by_the_catalog(cluster))
    return known.capacity(_ceiling(cluster))


def describe_capacity(capacity: Capacity) -> str:
    """Return how full a cluster is, as a clause."""
    text = f"{capacity.used} of {capacity.ceiling} collections and indexes"
    if capacity.files and capacity.max_files:
        text += f", {capacity.files} of {capacity.max_files} open files with the reserve"
    return text


def forget_loads() -> None:
    """Measure every cluster anew, as a new process would."""
    _known.clear()


def _ceiling(cluster: Cluster) -> int:
    return cluster.ceiling if cluster.ceiling is not None else settings.TENANCY_CLUSTER_CEILING


def _measured(cluster: Cluster) -> _Known:
    known = _known.setdefault(cluster.pk, _Known())
    if known.is_old():
        began = seconds()
        known.replace(_measure(cluster), began)
    return known


def _measure(cluster: Cluster) -> Load:
    uri, _ = catalog.cluster_address(cluster)
    with ClusterCall(uri):
        load = measure_load(uri)
    return load if load.indexes is not None else _load_by_the_catalog(cluster)


def _load_by_the_catalog(cluster: Cluster) -> Load:
    """Return the load of a cluster that does not tell it: a mongos, or a user without the right."""
    placed = Collection.objects.filter(organization__placement__cluster=cluster)
    collections = placed.exclude(organization__placement__kind="shared")
    secondary = Index.objects.filter(collection__in=collections)
    count = collections.count()
    return Load(collections=count, indexes=count + secondary.count())
