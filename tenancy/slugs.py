"""Find a tenant by its slug. Reads only; what is found is at most `TENANCY_CATALOG_TTL` old."""

from collections.abc import Collection
from uuid import UUID

from django.conf import settings

from tenancy.caching import AgedCache
from tenancy.catalog import Tenant, find_organization, get_tenant
from tenancy.exceptions import OrganizationNotFound
from tenancy.models import OrganizationStatus

CACHE_MAX_SLUGS = 10_000


def _read_id(slug: str) -> UUID | None:
    found = find_organization(slug)
    return None if found is None else found.pk


_ids: AgedCache[str, UUID] = AgedCache(_read_id, max_entries=CACHE_MAX_SLUGS, name="slugs")


def find_tenant(
    slug: str, *, statuses: Collection[OrganizationStatus] = tuple(OrganizationStatus)
) -> Tenant | None:
    """Return the tenant that has this slug and one of these statuses, or None.

    What is kept says yes and never no: another process may have renamed or activated the tenant.
    """
    for max_age in (settings.TENANCY_CATALOG_TTL, 0):
        organization_id = _ids.find(slug, max_age)
        if organization_id is None:
            return None
        try:
            tenant = get_tenant(organization_id, max_age=max_age)
        except OrganizationNotFound:
            continue
        if tenant.slug == slug and tenant.status in statuses:
            return tenant
    return None


def forget_slugs() -> None:
    """Forget every slug, as a new process would."""
    _ids.clear()
