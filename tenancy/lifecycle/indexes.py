"""The indexes that an organization wants: written in the catalog first, then built in MongoDB.

Who is killed in between leaves a row without an index: `build_missing_indexes` builds it. In a
shared collection the rows are all there is; they are built when the organization moves out.
"""

from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from tenancy import catalog
from tenancy.access import at_placement, wait_until_served
from tenancy.admission import InShare
from tenancy.audit import record_event
from tenancy.exceptions import (
    AlreadyExists,
    CollectionNotFound,
    Conflict,
    FieldError,
    InvalidInput,
    NotFound,
    OperationRunning,
    PlacementUnsupported,
    PlanLimitReached,
)
from tenancy.lifecycle.collections import promise_room
from tenancy.lifecycle.index_builds import TooManyBuilds, run_aside
from tenancy.lifecycle.index_rules import checked_spec
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Collection, Index, Operation, Organization, OrganizationStatus
from tenancy.mongo import indexes
from tenancy.mongo.indexes import IndexSpec

COLLECTION_MAX_INDEXES = 16
BUILD_SECONDS = 3_600.0


class Declared(NamedTuple):
    """An index as it is declared: whether it is new, and whether its build has ended."""

    spec: IndexSpec
    is_new: bool
    is_done: bool


def declare_index(
    organization_id: UUID, collection: str, spec: IndexSpec, *, by: str
) -> tuple[IndexSpec, bool]:
    """Make sure that a collection has an index, built. Return it as it is, and whether it is new.

    Raises what `begin_index` raises.
    """
    done = begin_index(organization_id, collection, spec, by=by, wait_seconds=None)
    return done.spec, done.is_new


def begin_index(
    organization_id: UUID,
    collection: str,
    spec: IndexSpec,
    *,
    by: str,
    wait_seconds: float | None,
) -> Declared:
    """Declare an index and wait for its build, to its end or for so long; it goes on.

    An empty name is filled in as MongoDB does. Raises ValidationFailed, CollectionNotFound,
    PlacementUnsupported, PlanLimitReached, ClusterFull, OperationRunning, TooManyBuilds; or
    AlreadyExists or Conflict if documents or another index are against it: then it is not declared
    either. What nobody waits for and fails stays declared, with the reason.
    """
    spec = checked_spec(spec)
    wait_until_served(organization_id)
    with InShare(organization_id):  # else those who wait for builds would take every seat
        return _begin_build(organization_id, collection, spec, by=by, wait_seconds=wait_seconds)


def _begin_build(
    organization_id: UUID, collection: str, spec: IndexSpec, *, by: str, wait_seconds: float | None
) -> Declared:
    if not _rows(organization_id, collection).filter(name=spec.name).exists():
        promise_room(organization_id, collections=0, indexes=1)
    with transaction.atomic():
        organization = _lock_idle(organization_id)
        _check_placement(organization, spec)
        created = _declare(organization, collection, spec, by=by)
    build = partial(_build_declared, organization_id, collection, spec)
    try:
        is_done = run_aside(build, owner=str(organization_id), wait_seconds=wait_seconds)
    except (Conflict, InvalidInput, TooManyBuilds):
        if created:
            _rows(organization_id, collection).filter(name=spec.name).delete()
        raise
    return Declared(spec, created, is_done)


def _build_declared(organization_id: UUID, collection: str, spec: IndexSpec) -> None:
    """Build an index whose row is there, and note in the row if it cannot be built."""
    mine = _rows(organization_id, collection).filter(name=spec.name)
    try:
        _build(organization_id, collection, [spec], seconds=BUILD_SECONDS)
    except (Conflict, InvalidInput) as error:
        mine.update(failure=error.detail)
        raise
    if not mine.exists():
        _drop(organization_id, collection, spec.name)
        raise Conflict("The index was removed while it was being built.")
    mine.exclude(failure="").update(failure="")


def remove_index(organization_id: UUID, collection: str, name: str, *, by: str) -> None:
    """Remove an index. Raises NotFound if it is not declared, and OperationRunning.

    MongoDB first: who is killed in between leaves a row, and no index that nobody knows of.
    """
    wait_until_served(organization_id)
    with InShare(organization_id):
        _remove_index(organization_id, collection, name, by=by)


def _remove_index(organization_id: UUID, collection: str, name: str, *, by: str) -> None:
    with transaction.atomic():
        _lock_idle(organization_id)
        if not _rows(organization_id, collection).filter(name=name).exists():
            raise NotFound(f"The collection has no index “{name}”.")
    _drop(organization_id, collection, name)
    with transaction.atomic():
        organization = _lock_idle(organization_id)
        _rows(organization_id, collection).filter(name=name).delete()
        record_event(organization, "index.removed", by=by, collection=collection, index=name)
    if not _rows(organization_id, collection).filter(name=name).exists():
        _drop(organization_id, collection, name)  # what a declaration beside this one has built


def failed_indexes(organization_id: UUID, collection: str) -> list[tuple[IndexSpec, str]]:
    """Return the declared indexes that could not be built, and why."""
    rows = _rows(organization_id, collection).exclude(failure="").order_by("name")
    return [(spec_of(row), row.failure) for row in rows]


def declared_indexes(organization_id: UUID) -> dict[str, list[IndexSpec]]:
    """Return the indexes that an organization wants, by logical collection; no failed ones."""
    found: dict[str, list[IndexSpec]] = {}
    rows = Index.objects.filter(collection__organization_id=organization_id, failure="")
    for row in rows.select_related("collection").order_by("collection__name", "name"):
        found.setdefault(row.collection.name, []).append(spec_of(row))
    return found


def built_indexes(organization_id: UUID, collection: str) -> frozenset[str]:
    """Return the names of the indexes that MongoDB has; none in a shared collection."""
    found = at_placement(organization_id, lambda address: indexes.list_indexes(address, collection))
    return frozenset(spec.name for spec in found)


def find_missing_indexes(organization_id: UUID) -> dict[str, list[IndexSpec]]:
    """Return the declared indexes that MongoDB lacks; none in a shared collection."""
    if catalog.get_tenant(organization_id, max_age=0).address.kind == "shared":
        return {}
    missing = {}
    for collection, specs in declared_indexes(organization_id).items():
        built = built_indexes(organization_id, collection)
        if left := [spec for spec in specs if spec.name not in built]:
            missing[collection] = left
    return missing


def build_missing_indexes(organization_id: UUID) -> int:
    """Build what a killed process has declared and not built. Return how many indexes.

    Raises AlreadyExists or Conflict where documents or another index are against one.
    """
    missing = find_missing_indexes(organization_id)
    for collection, specs in missing.items():
        _build(organization_id, collection, specs, seconds=BUILD_SECONDS)
    return sum(map(len, missing.values()))


def spec_of(row: Index) -> IndexSpec:
    """Return a catalog row as the data plane's plain value."""
    keys = tuple((field, direction) for field, direction in row.keys)
    return IndexSpec(row.name, keys, row.unique, row.sparse, row.ttl_seconds, dict(row.options))


def _lock_idle(organization_id: UUID) -> Organization:
    """Return the row, locked, if no operation is under way that reads or moves what it has."""
    organization = lock_organization(organization_id, OrganizationStatus.ACTIVE)
    if Operation.objects.open().filter(organization=organization, blocking=True).exists():
        raise OperationRunning
    return organization


def _check_placement(organization: Organization, spec: IndexSpec) -> None:
    refused = "unique" * spec.unique or "ttl_seconds" * (spec.ttl_seconds is not None)
    if organization.placement.kind != "shared" or not refused:
        return
    message = (
        f"An index with “{refused}” cannot be had here: the organization's documents share a "
        "collection with those of others."
    )
    raise PlacementUnsupported(
        message,
        errors=[FieldError(f"/{refused}", "placement_unsupported", message)],
        hint="Ask the operator to move the organization to collections of its own: "
        f"manage.py move_organization {organization.slug} --to collection",
    )


def _declare(organization: Organization, collection: str, spec: IndexSpec, *, by: str) -> bool:
    """Write the row. Return False if the very same is there. Call in a transaction."""
    parent = Collection.objects.filter(organization=organization, name=collection).first()
    if parent is None:
        raise CollectionNotFound(f"There is no collection “{collection}”.")
    rows = list(parent.indexes.all())
    for row in rows:
        if _is_same(spec_of(row), spec):
            return False
    if len(rows) >= COLLECTION_MAX_INDEXES:
        raise PlanLimitReached(
            f"A collection has at most {COLLECTION_MAX_INDEXES} indexes.",
            extra={"limit": COLLECTION_MAX_INDEXES, "used": len(rows), "name": "indexes"},
        )
    keys = [list(pair) for pair in spec.keys]
    parent.indexes.create(
        name=spec.name, keys=keys, unique=spec.unique, sparse=spec.sparse,
        ttl_seconds=spec.ttl_seconds,
    )  # fmt: skip
    record_event(organization, "index.created", by=by, collection=collection, index=spec.name)
    return True


def _is_same(old: IndexSpec, new: IndexSpec) -> bool:
    """Return whether it is the same index. Raises AlreadyExists for another one in its place."""
    if old == new:
        return True
    if old.name == new.name:
        message = f"There is an index “{old.name}” of another definition."
        raise AlreadyExists(message, errors=[FieldError("/name", "already_exists", message)])
    if old.keys == new.keys:
        message = f"The index “{old.name}” has the same keys."
        raise AlreadyExists(message, errors=[FieldError("/keys", "already_exists", message)])
    return False


def _rows(organization_id: UUID, collection: str) -> QuerySet[Index]:
    return Index.objects.filter(
        collection__organization_id=organization_id, collection__name=collection
    )


def _build(
    organization_id: UUID, collection: str, specs: list[IndexSpec], *, seconds: float
) -> None:
    at_placement(
        organization_id,
        lambda address: indexes.build_indexes(address, collection, specs, timeout_seconds=seconds),
    )


def _drop(organization_id: UUID, collection: str, name: str) -> None:
    at_placement(organization_id, lambda address: indexes.drop_index(address, collection, name))
