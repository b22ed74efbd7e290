"""What clusters answer when they are asked, for pages: all at the same time, and never for long.

A cluster that is down answers no sooner than its examination ends, after some seconds. A page waits
a part of that, shows what is known until then, and the next one has the answer.
"""

import logging
import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count

from tenancy import catalog
from tenancy.clock import seconds
from tenancy.exceptions import ClusterUnavailable
from tenancy.lifecycle.capacity import Capacity, capacity_with
from tenancy.models import Cluster, Placement
from tenancy.mongo.cluster_probe import Examination, examine_cluster

logger = logging.getLogger("tenantry.admin")

# An answer is shown for so long before it is asked for again.
FRESH_SECONDS = 5.0
WAIT_SECONDS = 1.5
# Examinations under way at the same time in a process; who finds no place is asked later.
THREADS_MAX = 32
CLUSTERS_MAX = 1_000
NOT_YET = "It has not answered yet."
BROKEN = "It could not be examined; the log of the service tells why."


@dataclass
class _Known:
    """The last answer of one address, and the thread that waits for the next one."""

    seen: Examination | None = None
    seen_at: float = -math.inf
    thread: threading.Thread | None = None

    def wait(self, max_seconds: float) -> None:
        """Wait for the answer; not for one that was down, which is sure to take its time."""
        was_down = self.seen is not None and self.seen.facts is None
        if self.thread is not None and not was_down:
            self.thread.join(max(0.0, max_seconds))


@dataclass(frozen=True)
class Look:
    """A cluster as its row, its server and its tenants describe it. It has no URI."""

    seen: Examination | None
    capacity: Capacity | None
    tenants: dict[str, int] = field(default_factory=dict)

    @property
    def is_reached(self) -> bool:
        """Whether it answered."""
        return self.seen is not None and self.seen.facts is not None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with it, as far as that is known."""
        return self.seen.problems if self.seen else (NOT_YET,)


_known: dict[tuple[int, str], _Known] = {}
_places = threading.BoundedSemaphore(THREADS_MAX)


def forget_examinations() -> None:
    """Ask every cluster anew."""
    _known.clear()


def look_at(rows: Iterable[Cluster], *, wait_seconds: float | None = None) -> dict[int, Look]:
    """Return what is known of clusters, by primary key, after waiting so long for all together.

    The default is WAIT_SECONDS.
    """
    clusters = list(rows)
    asked = {row.pk: _ask(row) for row in clusters}
    deadline = seconds() + (WAIT_SECONDS if wait_seconds is None else wait_seconds)
    for known in asked.values():
        known.wait(deadline - seconds())
    tenants = _count_tenants(clusters)
    return {row.pk: _look(row, asked[row.pk], tenants.get(row.pk, {})) for row in clusters}


def _look(row: Cluster, known: _Known, tenants: dict[str, int]) -> Look:
    facts = known.seen.facts if known.seen else None
    return Look(known.seen, capacity_with(row, facts.load) if facts else None, tenants)


def _ask(row: Cluster) -> _Known:
    """Return what is known of a cluster, on the way to be known better if it is old."""
    try:
        uri, _ = catalog.cluster_address(row)
    except ClusterUnavailable as error:
        reason = f"{error.detail} {error.hint}".strip()
        return _Known(Examination(problems=(reason,)))
    if len(_known) >= CLUSTERS_MAX:
        _known.clear()
    known = _known.setdefault((row.pk, uri), _Known())
    is_old = seconds() - known.seen_at >= FRESH_SECONDS
    is_asked = known.thread is not None and known.thread.is_alive()
    places = _places
    if is_old and not is_asked and places.acquire(blocking=False):
        known.thread = threading.Thread(
            target=_examine, args=(known, uri, places), name="examination", daemon=True
        )
        known.thread.start()
    return known


def _examine(known: _Known, uri: str, places: threading.BoundedSemaphore) -> None:
    try:
        known.seen = examine_cluster(uri)
    except Exception as error:  # noqa: BLE001 -- its text may repeat the URI
        logger.error("A cluster could not be examined: %s", type(error).__name__)  # noqa: TRY400
        known.seen = Examination(problems=(BROKEN,))
    finally:
        known.seen_at = seconds()
        places.release()


def _count_tenants(clusters: list[Cluster]) -> dict[int, dict[str, int]]:
    """Return how many organizations of each kind live on each cluster; one query."""
    counted: dict[int, dict[str, int]] = {}
    placed = Placement.objects.filter(cluster__in=clusters).order_by("kind")
    rows: Any = placed.values_list("cluster_id", "kind").annotate(Count("pk"))
    for cluster_id, kind, count in rows:
        counted.setdefault(cluster_id, {})[kind] = count
    return counted
