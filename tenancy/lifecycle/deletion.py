"""Delete an organization, restore it while that is possible, purge it when it no longer is."""

import time
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenancy import catalog
from tenancy.audit import record_event
from tenancy.exceptions import NotDeleted, OperationRunning, TenancyError
from tenancy.idempotency import forget_records
from tenancy.lifecycle.erasure import forget_operations, take_stock, write_erasure_record
from tenancy.lifecycle.pause import pause_lead_seconds
from tenancy.lifecycle.places import places_of
from tenancy.lifecycle.signals import organization_deleted, organization_purged
from tenancy.lifecycle.states import lock_organization
from tenancy.models import (
    Collection,
    Operation,
    Organization,
    OrganizationStatus,
    Placement,
    SlugReservation,
    Usage,
)
from tenancy.mongo import carried_records, provisioning
from tenancy.operations import (
    Kind,
    Run,
    Step,
    begin_operation,
    cancel_operations,
    end_operation,
    fail_point_reserved,
    get_operation,
    register_kind,
    run_inline,
)

DELETABLE = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)
WAIT_SECONDS = 3.0
WAIT_POLL_SECONDS = 0.1


def delete_organization(organization_id: UUID, *, by: str, purge: bool = False) -> Operation:
    """Delete an organization: nobody can use it from now on. Return the operation of its purge.

    It can be restored for `TENANCY_DELETE_GRACE`. With `purge` it cannot: its data is dropped when
    this returns. Another operation is waited for, then OperationRunning is raised.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            run = _mark(organization_id, by=by, purge=purge)
            break
        except OperationRunning:
            if time.monotonic() > deadline:
                raise
            time.sleep(WAIT_POLL_SECONDS)
    catalog.forget_tenant(organization_id)
    fail_point_reserved(DELETE)
    fail_point_reserved(PURGE)
    if purge:
        run_inline(run)
    return get_operation(run.operation.pk)


def _mark(organization_id: UUID, *, by: str, purge: bool) -> Run:
    """Change the status, sign everybody out, plan the purge: one transaction."""
    grace = timedelta() if purge else settings.TENANCY_DELETE_GRACE
    with transaction.atomic():
        organization = lock_organization(organization_id, *DELETABLE)
        end_operation(begin_operation(DELETE, organization, {"purge": purge}, by=by))
        delay = pause_lead_seconds() + grace.total_seconds()
        params = {"status_before": organization.status, "restorable": not purge}
        run = begin_operation(PURGE, organization, params, by=by, leased=purge, delay_seconds=delay)
        Organization.objects.filter(pk=organization_id).update(
            status=OrganizationStatus.DELETING, purge_after=timezone.now() + grace, pause_from=None
        )
        organization_deleted.send(Organization, organization=organization)
        record_event(organization, "organization.deleted", by=by, purge=purge)
    return run


def restore_organization(organization_id: UUID, *, by: str) -> Organization:
    """Bring a deleted organization back as it was. Raises NotDeleted when it is too late."""
    with transaction.atomic():
        organization = _lock_deleted(organization_id)
        still = {"kind": PURGE.name, "step": "plan", "params__restorable": True}
        purge = Operation.objects.open().filter(organization=organization, **still).first()
        if purge is None or not cancel_operations(organization, **still):
            raise NotDeleted
        Organization.objects.filter(pk=organization_id).update(
            status=purge.params["status_before"], purge_after=None
        )
        record_event(organization, "organization.restored", by=by)
    catalog.forget_tenant(organization_id)
    return Organization.objects.get(pk=organization_id)


def _lock_deleted(organization_id: UUID) -> Organization:
    try:
        return lock_organization(organization_id, OrganizationStatus.DELETING)
    except TenancyError as error:
        raise NotDeleted from error


def _drop(run: Run) -> None:
    """Drop everything in every place that the organization has or had, fences included."""
    organization = run.organization
    if organization.status != OrganizationStatus.DELETING:
        raise NotDeleted("The organization is not being deleted: nothing was dropped.")
    run.update(params=run.params | {"restorable": False})  # before anything is gone
    cancel_operations(organization, blocking=False)
    take_stock(run)
    dropped = 0
    for place in places_of(organization):
        dropped += provisioning.drop_namespace(place.address, run.guarded)
        carried_records.forget(place.address, organization.pk, run.guarded)
    collections = run.params.get("collections_dropped", 0) + dropped
    run.update(params=run.params | {"collections_dropped": collections})


def _erase(run: Run) -> None:
    """Leave a tombstone without personal data; retire the slugs; say what was removed."""
    organization = run.organization
    with transaction.atomic():
        run.renew()
        people = organization_purged.send(Organization, organization=organization)
        SlugReservation.objects.filter(organization=organization, retired_at=None).update(
            retired_at=timezone.now()
        )
        Placement.objects.filter(organization=organization).delete()
        Collection.objects.filter(organization=organization).delete()
        Usage.objects.filter(organization=organization).delete()
        gone = Organization.objects.filter(pk=organization.pk, status=OrganizationStatus.DELETING)
        if gone.update(
            status=OrganizationStatus.PURGED, name="", slug=None, region="", settings={}
        ):
            forget_records(organization.pk)
            dropped = run.params.get("collections_dropped", 0)
            record_event(
                organization, "organization.purged", by=run.operation.by, collections=dropped
            )
            erased = organization.audit_events.erase_addresses()  # that of this event, too
            members = sum(int(count or 0) for _, count in people)
            write_erasure_record(run, members=members, audit_addresses=erased)
            forget_operations(organization)
    catalog.forget_tenant(organization.pk)


def _timeout_seconds() -> float:
    return float(settings.TENANCY_OPERATION_TIMEOUT)


DELETE = register_kind(Kind("delete", (Step("mark", lambda run: None),)))
PURGE = register_kind(
    Kind(
        "purge",
        (
            Step("plan", lambda run: None),
            Step("drop", _drop, delay=pause_lead_seconds),
            Step("sweep", _drop, delay=_timeout_seconds),
            Step("erase", _erase),
        ),
    )
)
