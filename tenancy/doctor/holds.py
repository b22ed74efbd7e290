"""What a repair holds while it acts: nobody else can change what it relies on."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import transaction

from tenancy.doctor.catalog_facts import id_at, slug_at
from tenancy.exceptions import Conflict, OperationRunning
from tenancy.lifecycle.slugs import reserve_slug
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Operation, Organization, OrganizationStatus, Plan
from tenancy.mongo.clients import call_deadline

LASTING = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)


def find_organization(organization_id: UUID | None) -> Organization | None:
    """Return the organization, or None."""
    if organization_id is None:
        return None
    return Organization.objects.filter(pk=organization_id).first()


@contextmanager
def at_rest(
    organization_id: UUID, *allowed: OrganizationStatus, namespace: str = ""
) -> Iterator[Organization]:
    """Lock the organization's row: no operation is open, and none can begin in the block.

    What is sent to MongoDB in the block is bounded by one operation timeout. With a `namespace`,
    nobody but the organization can move in there meanwhile; raises NameTaken if somebody has.
    """
    with transaction.atomic():
        organization = lock_organization(organization_id, *(allowed or LASTING))
        if Operation.objects.open().filter(organization=organization).exists():
            raise OperationRunning
        with _held(organization, namespace), call_deadline():
            yield organization


@contextmanager
def _held(organization: Organization, namespace: str) -> Iterator[None]:
    """Hold the slug that a namespace is made of; afterwards it is as it was."""
    slug = slug_at(namespace) if namespace else None
    if slug is None or id_at(namespace) is not None:
        yield
        return
    point = transaction.savepoint()
    reserve_slug(organization, slug)
    try:
        yield
    finally:
        transaction.savepoint_rollback(point)


@contextmanager
def unused(namespace: str, organization_id: UUID | None) -> Iterator[None]:
    """Hold a namespace in the block, as a sign-up does: nobody can move in.

    The slug is won for the tombstone that had it, or for a row that exists in this transaction
    only. All of it is rolled back. Raises NameTaken if the name has an owner.
    """
    slug = slug_at(namespace)
    with transaction.atomic():
        holder = find_organization(organization_id)
        if holder is None:
            plan, _ = Plan.objects.get_or_create(code=Plan.DEFAULT)
            holder = Organization(status=OrganizationStatus.PURGED, plan=plan)
            holder.save(force_insert=True)
        elif holder.status != OrganizationStatus.PURGED:
            raise Conflict("The organization is no longer purged.")
        if slug is not None:
            reserve_slug(holder, slug)
        with call_deadline():
            yield
        transaction.set_rollback(True)
