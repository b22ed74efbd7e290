"""How much organizations use: counted along with their writes, and held against their plan.

A process counts in memory and adds what it has counted to the catalog every `FLUSH_SECONDS`. What
one that is killed had not added yet, `tenancy.measurement` finds.
"""

import logging
import os
import threading
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.dispatch import Signal

from tenancy.catalog import Tenant
from tenancy.clock import seconds
from tenancy.exceptions import PlanLimitReached
from tenancy.models import Organization, Usage

logger = logging.getLogger("tenantry.usage")

# How many members has the organization of `organization_id`? Whoever knows returns the number.
members_counted = Signal()

FLUSH_SECONDS = 1.0
# So many organizations in one second are written at once; a catalog that is away for long does
# not fill the memory: what is more than that is left to the next measurement.
ENTRIES_FLUSHED_EARLY = 1_000
ENTRIES_MAX = 20_000


@dataclass(frozen=True)
class Used:
    """Documents and bytes of their fields: an amount, or a change of one."""

    documents: int = 0
    bytes: int = 0

    def __add__(self, other: "Used") -> "Used":
        """Return both together."""
        return Used(self.documents + other.documents, self.bytes + other.bytes)


class Counter:
    """What one process has counted and not added to the catalog yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._crowded = threading.Event()
        self._changes: dict[UUID, Used] = {}
        self._flushed: dict[UUID, Used] = {}
        self._flushed_at = 0.0
        self._thread: threading.Thread | None = None

    def add(self, organization_id: UUID, change: Used) -> None:
        """Count a change; it is in the catalog about `FLUSH_SECONDS` later."""
        with self._lock:
            if organization_id in self._changes or len(self._changes) < ENTRIES_MAX:
                self._changes[organization_id] = self._changes.get(organization_id, Used()) + change
            if len(self._changes) >= ENTRIES_FLUSHED_EARLY:
                self._crowded.set()
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        self._thread.start()
        # Also where `atexit` is not run: in a worker process that multiprocessing forked.
        Finalize(None, self._flush_last, exitpriority=0)

    def since(self, organization_id: UUID, moment: float) -> Used:
        """Return what was counted, and not in the catalog, as it was read at a moment."""
        with self._lock:
            waiting = self._changes.get(organization_id, Used())
            if self._flushed_at >= moment:
                waiting += self._flushed.get(organization_id, Used())
            return waiting

    def flush(self) -> None:
        """Add everything to the catalog. What could not be added is kept for the next time."""
        with self._flushing:
            with self._lock:
                changes, self._changes = self._changes, {}
                self._flushed, self._flushed_at = changes, seconds()
            if not changes:
                return
            try:
                _write(changes)
            except BaseException:
                self._take_back(changes)
                raise

    def forget(self) -> None:
        """Count from nothing."""
        with self._lock:
            self._changes, self._flushed = {}, {}

    def _take_back(self, changes: dict[UUID, Used]) -> None:
        with self._lock:
            self._flushed = {}
            for organization_id, change in self._changes.items():
                changes[organization_id] = changes.get(organization_id, Used()) + change
            self._changes = changes

    def _run(self) -> None:
        is_failing = False
        while True:
            self._crowded.wait(FLUSH_SECONDS)
            self._crowded.clear()
            try:
                self.flush()
                is_failing = False
            except Exception:
                if not is_failing:
                    logger.exception("What organizations use cannot be written; tried again.")
                is_failing = True
                self._crowded.clear()
                threading.Event().wait(FLUSH_SECONDS)
            finally:
                connection.close()

    def _flush_last(self) -> None:
        try:
            self.flush()
        except Exception:
            logger.exception("What organizations use was not written; measure_usage finds it.")


def _write(changes: dict[UUID, Used]) -> None:
    """Add in one transaction, in one order: processes that do so do not lock each other out."""
    with transaction.atomic():
        for organization_id in sorted(changes):
            change, row = changes[organization_id], Usage.objects.filter(pk=organization_id)
            sums = {
                "documents": F("documents") + change.documents,
                "bytes": F("bytes") + change.bytes,
            }
            if not row.update(**sums) and _exists(organization_id):
                Usage.objects.get_or_create(pk=organization_id)
                row.update(**sums)


def _exists(organization_id: UUID) -> bool:
    return Organization.objects.existing().filter(pk=organization_id).exists()


_counter = Counter()


def _start_anew() -> None:
    """Leave to the parent process what it has counted."""
    global _counter  # noqa: PLW0603 -- one counter for a process
    _counter = Counter()


os.register_at_fork(after_in_child=_start_anew)


def record_change(organization_id: UUID, documents: int, size: int) -> None:
    """Count by how many documents and bytes an acknowledged write has changed an organization."""
    if documents or size:
        _counter.add(organization_id, Used(documents, size))


def flush() -> None:
    """Add what this process has counted to the catalog now."""
    _counter.flush()


def forget_changes() -> None:
    """Count from nothing, as a new process would."""
    _counter.forget()


def used_by(tenant: Tenant) -> Used:
    """Return what an organization uses, as far as this process can know; not below zero."""
    total = Used(tenant.documents, tenant.bytes) + _counter.since(tenant.id, tenant.read_at)
    return Used(max(0, total.documents), max(0, total.bytes))


def members_of(tenant: Tenant) -> int:
    """Return how many members an organization has, by the count of whoever knows them."""
    counts: list[tuple[Any, Any]] = members_counted.send(sender=None, organization_id=tenant.id)
    return sum(int(count) for _, count in counts)


def assert_room(tenant: Tenant, documents: int, size: int) -> None:
    """Raise PlanLimitReached if so much more would be over a limit of the plan.

    Other processes' writes of the last second or so are not known: by these a limit may be
    overshot, and by nothing else.
    """
    used = used_by(tenant)
    _assert_limit("documents", tenant.max_documents, used.documents, documents)
    _assert_limit("bytes", tenant.max_bytes, used.bytes, size)


def _assert_limit(name: str, limit: int | None, used: int, more: int) -> None:
    if limit is None or more <= 0 or used + more <= limit:
        return
    raise PlanLimitReached(
        f"The plan allows {limit:,} {name}.", extra={"limit": limit, "used": used, "name": name}
    )
