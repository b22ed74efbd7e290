"""Declare the logical collections of an organization."""

from uuid import UUID

from django.conf import settings
from django.db import transaction

from tenancy import catalog
from tenancy.access import wait_until_served
from tenancy.audit import record_event
from tenancy.exceptions import PlanLimitReached, StalePlacement
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Collection, OrganizationStatus
from tenancy.mongo import provisioning
from tenancy.names import check_collection_name


def declare_collection(organization_id: UUID, name: str, *, by: str) -> bool:
    """Make sure that an organization has a collection. Return False if it had it already.

    Raises CollectionNotFound for an impossible name, and PlanLimitReached.
    """
    check_collection_name(name)
    tenant = wait_until_served(organization_id)
    if name in tenant.collections:
        return False
    with transaction.atomic():
        organization = lock_organization(organization_id, OrganizationStatus.ACTIVE)
        mine = Collection.objects.filter(organization=organization)
        limit = min(organization.plan.max_collections, settings.TENANCY_MAX_COLLECTIONS)
        used = mine.count()
        if used >= limit and not mine.filter(name=name).exists():
            raise PlanLimitReached(
                f"The plan allows {limit} collections.",
                extra={"limit": limit, "used": used, "name": "collections"},
            )
        _, created = Collection.objects.get_or_create(organization=organization, name=name)
        if created:
            record_event(organization, "collection.created", by=by, collection=name)
    catalog.forget_tenant(organization_id)
    _create_physical(organization_id, name)
    return created


def _create_physical(organization_id: UUID, name: str) -> None:
    try:
        provisioning.create_collection(wait_until_served(organization_id).address, name)
    except StalePlacement:
        tenant = wait_until_served(organization_id, max_age=0)
        provisioning.create_collection(tenant.address, name)
