"""Declare and drop the logical collections of an organization."""

from contextlib import suppress
from uuid import UUID

from django.conf import settings
from django.db import transaction

from tenancy import catalog
from tenancy.access import at_placement, wait_until_served
from tenancy.admission import InShare
from tenancy.audit import record_event
from tenancy.exceptions import (
    CollectionNotFound,
    FieldError,
    OperationRunning,
    PlanLimitReached,
    TenancyError,
    TenantBusy,
    ValidationFailed,
)
from tenancy.lifecycle.capacity import assert_capacity
from tenancy.lifecycle.pause import pause_lead_seconds
from tenancy.lifecycle.states import lock_organization
from tenancy.measurement import measure_usage
from tenancy.models import (
    Collection,
    Operation,
    OperationQuerySet,
    Organization,
    OrganizationStatus,
    Placement,
)
from tenancy.mongo import provisioning
from tenancy.mongo.clients import call_deadline
from tenancy.names import MAIN, PlacementAddress, check_collection_name
from tenancy.operations import (
    Kind,
    Run,
    Step,
    begin_operation,
    fail_point_reserved,
    get_operation,
    register_kind,
    run_inline,
)

# Of what is left, after a drop. A runner's lease is longer.
MEASURE_SECONDS = 2.0


def declare_collection(organization_id: UUID, name: str, *, by: str) -> bool:
    """Make sure that an organization has a collection. Return False if it had it already.

    Raises CollectionNotFound for an impossible name, PlanLimitReached, ClusterFull, and
    OperationRunning while late writes to a dropped collection of this name are still looked for.
    """
    check_collection_name(name)
    tenant = wait_until_served(organization_id)
    if name in tenant.collections:
        return False
    with InShare(organization_id):
        promise_room(organization_id, collections=1, indexes=1)
        with transaction.atomic():
            organization = lock_organization(organization_id, OrganizationStatus.ACTIVE)
            created = _declare(organization, name)
            if created:
                record_event(organization, "collection.created", by=by, collection=name)
        catalog.forget_tenant(organization_id)
        _create_physical(organization_id, name)
    return created


def promise_room(organization_id: UUID, *, collections: int, indexes: int) -> None:
    """Raise ClusterFull unless the organization's cluster has room for so much more.

    In a shared collection nothing is made. Call it outside of a transaction: it may ask MongoDB.
    """
    rows = Placement.objects.select_related("cluster")
    placement = rows.filter(organization_id=organization_id).exclude(kind="shared").first()
    if placement is not None:
        assert_capacity(placement.cluster, collections, indexes)


def _declare(organization: Organization, name: str) -> bool:
    mine = Collection.objects.filter(organization=organization)
    if mine.filter(name=name).exists():
        return False
    limit = min(organization.plan.max_collections, settings.TENANCY_MAX_COLLECTIONS)
    used = mine.count()
    if used >= limit:
        raise PlanLimitReached(
            f"The plan allows {limit} collections.",
            extra={"limit": limit, "used": used, "name": "collections"},
        )
    if _drops_of(organization, name).exists():
        raise OperationRunning("The collection is still being removed. Try again in some seconds.")
    Collection.objects.create(organization=organization, name=name)
    return True


def _drops_of(organization: Organization, name: str) -> OperationQuerySet:
    return Operation.objects.open().filter(
        organization=organization, kind=DROP_COLLECTION.name, params__collection=name
    )


def _create_physical(organization_id: UUID, name: str) -> None:
    def create(address: PlacementAddress) -> None:
        with call_deadline():  # who stands still in it makes nothing where it no longer is
            provisioning.create_collection(address, name)

    at_placement(organization_id, create)


def drop_collection(organization_id: UUID, name: str, *, by: str) -> Operation:
    """Drop a collection with its documents and indexes. Return the operation.

    Nobody finds it from now on. Its documents are gone when this returns; writes that were under
    way are looked for once more later. Raises CollectionNotFound, OperationRunning, and
    ValidationFailed for `main`, which every organization has.
    """
    check_collection_name(name)
    if name == MAIN:
        message = f"“{MAIN}” is always there. Its documents can be deleted."
        raise ValidationFailed(message, errors=[FieldError("", "main_stays", message)])
    wait_until_served(organization_id)
    with transaction.atomic():
        organization = lock_organization(organization_id, OrganizationStatus.ACTIVE)
        run = begin_operation(DROP_COLLECTION, organization, {"collection": name}, by=by)
        gone, _ = Collection.objects.filter(organization=organization, name=name).delete()
        if not gone:
            raise CollectionNotFound(f"There is no collection “{name}”.")
        record_event(organization, "collection.dropped", by=by, collection=name)
    catalog.forget_tenant(organization_id)
    fail_point_reserved(DROP_COLLECTION)
    run_inline(run)
    return get_operation(run.operation.pk)


def _drop(run: Run) -> None:
    """Drop it where the organization lives, when every process knows that it is gone."""
    address = catalog.address_of(run.organization.placement)
    provisioning.drop_collection(address, run.params["collection"], run.guarded)
    if address.kind != "shared":  # there it takes its time: after the sweep
        _measure(run)


def _measure(run: Run) -> None:
    """Have the organization use less, now; if that fails, in time."""
    with suppress(TenancyError):
        measure_usage(run.organization_id, timeout_seconds=MEASURE_SECONDS)


def _sweep(run: Run) -> None:
    """Drop what late writes have made of it. Not beside a rename or move: that is put off."""
    others = Operation.objects.open().filter(organization=run.organization, blocking=True)
    if others.exclude(pk=run.operation.pk).exists():
        raise TenantBusy("Another operation of the organization goes first.")
    _drop(run)
    _measure(run)


def _timeout_seconds() -> float:
    return float(settings.TENANCY_OPERATION_TIMEOUT)


DROP_COLLECTION = register_kind(
    Kind(
        "drop_collection",
        (
            Step("reserve", lambda run: None),
            Step("drop", _drop, delay=pause_lead_seconds),
            Step("sweep", _sweep, delay=_timeout_seconds, trailing=True),
        ),
    )
)
