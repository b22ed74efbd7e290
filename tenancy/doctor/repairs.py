"""Mend findings. Each repair looks again right before it acts, and gives up if things changed.

No repair drops a document that was not carried home, but for copies that nobody was ever sent to;
and none is done beside an open operation of the organization.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace

from django.utils import timezone

from tenancy import catalog, journal, lifecycle, operations
from tenancy.audit import record_event
from tenancy.doctor.carrying import (
    carry_home,
    drop_leftover,
    drop_sentinels,
    operation_of,
    organization_of,
    place_of_finding,
)
from tenancy.doctor.diagnosis import is_interrupted_declaration
from tenancy.doctor.findings import Finding, room_kind
from tenancy.doctor.holds import at_rest, find_organization, unused
from tenancy.doctor.statuses import is_past
from tenancy.exceptions import Conflict, OperationRunning, TenancyError
from tenancy.lifecycle.creation import CREATE
from tenancy.lifecycle.index_rules import NAME_MAX_CHARACTERS
from tenancy.lifecycle.pause import end_pause
from tenancy.models import OPEN, Collection, Organization, OrganizationStatus
from tenancy.mongo import fences, inventory, provisioning
from tenancy.mongo.cluster_probe import find_identity
from tenancy.mongo.indexes import IndexSpec, list_indexes
from tenancy.mongo.strays import remove_if_empty
from tenancy.names import RECORDS_COLLECTION

# A runner that died in a step's delay left an operation that is due this soon at most.
DUE_WAIT_MAX_SECONDS = 10.0
NOT_EMPTY = "It holds documents by now."


def attempt_repair(finding: Finding, *, by: str) -> Finding:
    """Try to repair. Return the finding as repaired, or with the reason why it was not."""
    try:
        REPAIRS[finding.code](finding, by)
    except TenancyError as error:
        return replace(finding, reason=error.detail)
    _record(finding, by)
    return replace(finding, repaired=True)


def _record(finding: Finding, by: str) -> None:
    organization = find_organization(finding.organization_id)
    if organization is not None:
        details = {"finding": finding.code}  # where it was says how the organization is called
        if finding.cluster != Finding.cluster:
            details["cluster"] = finding.cluster
        record_event(organization, "organization.repaired", by=by, **details)


def _run_operation(finding: Finding, by: str) -> None:
    row = journal.get_operation(operation_of(finding))
    left = (row.not_before - timezone.now()).total_seconds()
    time.sleep(min(max(left, 0.0), DUE_WAIT_MAX_SECONDS))
    run = journal.claim_operation(row.pk)
    if run is None:
        raise OperationRunning("It ended, is not due yet, or another process runs it.")
    try:
        operations.run_steps(run)
    except TenancyError:
        if journal.get_operation(row.pk).status in OPEN:
            raise  # otherwise it was given up and undone: an end, too


def _retry_purge(finding: Finding, by: str) -> None:
    row = Organization.objects.get(pk=organization_of(finding))
    if row.status != OrganizationStatus.DELETING or not is_past(row.purge_after):
        raise Conflict("The organization is no longer waiting for its purge.")
    journal.retry_operation(operation_of(finding))
    _run_operation(finding, by)


def _finish_creation(finding: Finding, by: str) -> None:
    """Provision and activate anew; where that fails, the creation is undone as usual."""
    with at_rest(organization_of(finding), OrganizationStatus.PROVISIONING) as organization:
        address = catalog.address_of(organization.placement)
        found = provisioning.list_namespace(address)
        real = [logical for logical, physical in found.items() if not physical.is_view]
        if any(provisioning.has_documents(address, name) for name in real):
            raise Conflict("Documents lie where its own would go.")
        params = {"name": organization.name, "slug": organization.slug}
        run = journal.begin_operation(CREATE, organization, params, by=by)
    operations.run_steps(run)


def _end_pause(finding: Finding, by: str) -> None:
    with at_rest(organization_of(finding)) as organization:
        end_pause(organization)


def _declare(finding: Finding, by: str) -> None:
    with at_rest(organization_of(finding), OrganizationStatus.ACTIVE) as organization:
        _assert_home(finding, organization)
    lifecycle.declare_collection(organization.pk, str(finding.collection), by=by)


def _assert_home(finding: Finding, organization: Organization) -> None:
    """Raise Conflict unless it lies where the organization lives, by this alias or another."""
    home = catalog.address_of(organization.placement)
    place = place_of_finding(finding)
    is_home = (room_kind(home.kind), home.database, home.namespace) == (
        place.kind, place.database, place.namespace,
    )  # fmt: skip
    if not is_home or not _is_one_deployment(home.uri, place.uri):
        raise Conflict("The organization has moved on.")


def _is_one_deployment(uri: str, other: str) -> bool:
    if uri == other:
        return True
    identity = find_identity(uri)
    return identity is not None and identity == find_identity(other)


def _make_collection(finding: Finding, by: str) -> None:
    with at_rest(organization_of(finding)) as organization:
        _assert_home(finding, organization)
        rows = Collection.objects.filter(organization=organization, name=finding.collection)
        row = rows.first()
        if row is None or not is_interrupted_declaration(row.name, row.created_at):
            raise Conflict("It is no longer a collection that was just declared.")
        provisioning.create_collection(catalog.address_of(organization.placement), row.name)


def _carry_home(finding: Finding, by: str) -> None:
    carry_home(finding)


def _drop_leftover(finding: Finding, by: str) -> None:
    drop_leftover(finding)


def _drop_sentinels(finding: Finding, by: str) -> None:
    drop_sentinels(finding)


def _build_indexes(finding: Finding, by: str) -> None:
    lifecycle.build_missing_indexes(organization_of(finding))


def _adopt_index(finding: Finding, by: str) -> None:
    """Write an index into the catalog as it is in MongoDB, so that it travels in moves."""
    with at_rest(organization_of(finding)) as organization:
        _assert_home(finding, organization)
        rows = Collection.objects.filter(organization=organization, name=finding.collection)
        row = rows.first()
        there = list_indexes(catalog.address_of(organization.placement), str(finding.collection))
        spec = next((each for each in there if each.name == finding.subject), None)
        if row is None or spec is None or row.indexes.filter(name=spec.name).exists():
            raise Conflict("It is no longer an index that the catalog does not know.")
        _adopt(row, spec)
        record_event(organization, "index.adopted", by=by, collection=row.name, index=spec.name)


def _adopt(row: Collection, spec: IndexSpec) -> None:
    keys = [list(pair) for pair in spec.keys]
    if not _is_json([keys, spec.options]) or len(spec.name) > NAME_MAX_CHARACTERS:
        raise Conflict("It has a name or options that the catalog cannot keep.")
    row.indexes.create(
        name=spec.name, keys=keys, unique=spec.unique, sparse=spec.sparse,
        ttl_seconds=spec.ttl_seconds, options=spec.options,
    )  # fmt: skip


def _is_json(value: object) -> bool:
    """Return whether a value is the same when it has been written as JSON and read again."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def _drop_fence(finding: Finding, by: str) -> None:
    place = place_of_finding(finding)
    physical = str(finding.physical)
    owner = find_organization(finding.organization_id)
    if owner is None or owner.status == OrganizationStatus.PURGED:
        with unused(place.namespace, finding.organization_id):
            fences.drop_fence(place, physical)
    else:
        with at_rest(owner.pk):
            fences.drop_fence(place, physical)


def _drop_empty(finding: Finding, by: str) -> None:
    """Drop what is nobody's and empty: a collection, or every one of a database."""
    place = place_of_finding(finding)
    if finding.kind == "shared":
        raise Conflict(NOT_EMPTY)
    names = [str(finding.physical)]
    with unused(place.namespace, finding.organization_id):
        if finding.kind == "database":
            found = provisioning.list_physical(place)
            if any(each.is_view or inventory.has_documents(place, each.name) for each in found):
                raise Conflict(NOT_EMPTY)
            names = [each.name for each in found]
        for name in names:
            if not remove_if_empty(place, name):
                raise Conflict(NOT_EMPTY)
        if finding.kind == "database":
            provisioning.drop_physical(place, RECORDS_COLLECTION)


REPAIRS: dict[str, Callable[[Finding, str], None]] = {
    "stuck_operation": _run_operation,
    "stuck_provisioning": _finish_creation,
    "failed_purge": _retry_purge,
    "stale_pause": _end_pause,
    "leftover_fence": _drop_fence,
    "leftover_aside": _carry_home,
    "leftover_copy": _drop_leftover,
    "leftover_sentinel": _drop_sentinels,
    "stray_collection": _carry_home,
    "stray_database": _carry_home,
    "stray_documents": _carry_home,
    "undeclared_collection": _declare,
    "missing_collection": _make_collection,
    "missing_index": _build_indexes,
    "undeclared_index": _adopt_index,
    "orphan_collection": _drop_empty,
    "data_of_purged": _drop_empty,
}
