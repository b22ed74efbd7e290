"""Mend findings. Each repair looks again right before it acts, and gives up if things changed.

No repair drops a document, and none is done beside an open operation of the organization.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tenancy import catalog, journal, lifecycle, operations
from tenancy.audit import record_event
from tenancy.doctor.diagnosis import holds_documents, is_interrupted_declaration, is_past
from tenancy.doctor.findings import Finding
from tenancy.doctor.indexes import build_missing
from tenancy.doctor.survey import namespace_of, slug_at, tenants_address
from tenancy.exceptions import Conflict, OperationRunning, OrganizationNotFound, TenancyError
from tenancy.lifecycle.creation import CREATE
from tenancy.lifecycle.pause import end_pause
from tenancy.lifecycle.slugs import reserve_slug
from tenancy.lifecycle.states import lock_organization
from tenancy.models import OPEN, Collection, Operation, Organization, OrganizationStatus, Plan
from tenancy.mongo import fences, provisioning
from tenancy.mongo.fences import STRAY_SUFFIX
from tenancy.names import logical_collection

LASTING = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)
# A runner that died in a step's delay left an operation that is due this soon at most.
DUE_WAIT_MAX_SECONDS = 10.0


def attempt_repair(finding: Finding, *, by: str) -> Finding:
    """Try to repair. Return the finding as repaired, or with the reason why it was not."""
    try:
        REPAIRS[finding.code](finding, by)
    except TenancyError as error:
        return replace(finding, reason=error.detail)
    _record(finding, by)
    return replace(finding, repaired=True)


def _record(finding: Finding, by: str) -> None:
    organization = _find(finding.organization_id)
    if organization is not None:
        details = {"finding": finding.code, "where": finding.where}
        record_event(organization, "organization.repaired", by=by, **details)


def _find(organization_id: UUID | None) -> Organization | None:
    if organization_id is None:
        return None
    return Organization.objects.filter(pk=organization_id).first()


def _of(finding: Finding) -> UUID:
    if finding.organization_id is None:
        raise OrganizationNotFound
    return finding.organization_id


@contextmanager
def _at_rest(organization_id: UUID, *allowed: OrganizationStatus) -> Iterator[Organization]:
    """Lock the organization's row: no operation is open, and none can begin in the block."""
    with transaction.atomic():
        organization = lock_organization(organization_id, *allowed)
        if Operation.objects.open().filter(organization=organization).exists():
            raise OperationRunning
        yield organization


@contextmanager
def _unused(physical: str, organization_id: UUID | None) -> Iterator[None]:
    """Hold the name in the block, as a sign-up does: nobody can move in where something goes.

    The slug is won for the tombstone that had it, or for a row that exists in this transaction
    only. All of it is rolled back. Raises NameTaken if the name has an owner.
    """
    slug = slug_at(namespace_of(physical))
    with transaction.atomic():
        holder = _find(organization_id)
        if holder is None:
            plan, _ = Plan.objects.get_or_create(code=Plan.DEFAULT)
            holder = Organization(status=OrganizationStatus.PURGED, plan=plan)
            holder.save(force_insert=True)
        elif holder.status != OrganizationStatus.PURGED:
            raise Conflict("The organization is no longer purged.")
        if slug is not None:
            reserve_slug(holder, slug)
        yield
        transaction.set_rollback(True)


def _run_operation(finding: Finding, by: str) -> None:
    row = journal.get_operation(_operation_of(finding))
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


def _operation_of(finding: Finding) -> UUID:
    if finding.operation_id is None:
        raise Conflict("There is no operation to go on with.")
    return finding.operation_id


def _retry_purge(finding: Finding, by: str) -> None:
    row = Organization.objects.get(pk=_of(finding))
    if row.status != OrganizationStatus.DELETING or not is_past(row.purge_after):
        raise Conflict("The organization is no longer waiting for its purge.")
    journal.retry_operation(_operation_of(finding))
    _run_operation(finding, by)


def _finish_creation(finding: Finding, by: str) -> None:
    """Provision and activate anew; where that fails, the creation is undone as usual."""
    with _at_rest(_of(finding), OrganizationStatus.PROVISIONING) as organization:
        address = catalog.address_of(organization.placement)
        if any(provisioning.has_documents(address, name) for name in _real(address.namespace)):
            raise Conflict("Documents lie where its own would go.")
        params = {"name": organization.name, "slug": organization.slug}
        run = journal.begin_operation(CREATE, organization, params, by=by)
    operations.run_steps(run)


def _real(namespace: str) -> list[str]:
    found = provisioning.list_namespace(tenants_address().at(namespace))
    return [logical for logical, physical in found.items() if not physical.is_view]


def _end_pause(finding: Finding, by: str) -> None:
    with _at_rest(_of(finding), *LASTING) as organization:
        end_pause(organization)


def _declare(finding: Finding, by: str) -> None:
    with _at_rest(_of(finding), OrganizationStatus.ACTIVE) as organization:
        logical = logical_collection(organization.placement.namespace, finding.where)
    if logical is None:
        raise Conflict("The organization has moved on.")
    lifecycle.declare_collection(organization.pk, logical, by=by)


def _make_collection(finding: Finding, by: str) -> None:
    with _at_rest(_of(finding), *LASTING) as organization:
        address = catalog.address_of(organization.placement)
        logical = logical_collection(address.namespace, finding.where)
        row = Collection.objects.filter(organization=organization, name=logical).first()
        if row is None or not is_interrupted_declaration(row.name, row.created_at):
            raise Conflict("It is no longer a collection that was just declared.")
        provisioning.create_collection(address, row.name)


def _carry_home(finding: Finding, by: str) -> None:
    """Carry late writes home. A rename that begins meanwhile does the same with what is left."""
    with _at_rest(_of(finding), *LASTING) as organization:
        home = catalog.address_of(organization.placement)
    source = finding.where.removesuffix(STRAY_SUFFIX)
    target = home.physical(str(logical_collection(namespace_of(source), source)))
    if finding.where == target:
        raise Conflict("The organization has moved back there.")
    if finding.where == target + STRAY_SUFFIX:  # a rescue begins with that, whatever it is for
        fences.rescue_stragglers(home, finding.where + STRAY_SUFFIX, target)
    else:
        fences.rescue_stragglers(home, finding.where, target)


def _drop_fence(finding: Finding, by: str) -> None:
    owner = _find(finding.organization_id)
    if owner is None or owner.status == OrganizationStatus.PURGED:
        with _unused(finding.where, finding.organization_id):
            fences.drop_fence(tenants_address(), finding.where)
    else:
        with _at_rest(owner.pk, *LASTING):
            fences.drop_fence(tenants_address(), finding.where)


def _drop_empty(finding: Finding, by: str) -> None:
    """Set it aside, look whether it is empty, and only then drop it.

    Whoever still writes to the name makes a new collection: no document can get in between the
    look and the drop.
    """
    address, name = tenants_address(), finding.where
    aside = name + STRAY_SUFFIX
    with _unused(name, finding.organization_id):
        if holds_documents(name):
            raise Conflict("It holds documents by now.")
        fences.move_collection(address, name, aside)
        if holds_documents(aside):
            fences.move_collection(address, aside, name)
            raise Conflict("It holds documents by now.")
        provisioning.drop_physical(address, aside)


REPAIRS: dict[str, Callable[[Finding, str], None]] = {
    "stuck_operation": _run_operation,
    "stuck_provisioning": _finish_creation,
    "failed_purge": _retry_purge,
    "stale_pause": _end_pause,
    "leftover_fence": _drop_fence,
    "leftover_aside": _carry_home,
    "stray_collection": _carry_home,
    "undeclared_collection": _declare,
    "missing_index": lambda finding, by: build_missing(_of(finding)),
    "missing_collection": _make_collection,
    "orphan_collection": _drop_empty,
    "data_of_purged": _drop_empty,
}
