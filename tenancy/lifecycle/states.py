"""Suspend and resume: status only. And what every act begins with: the row, locked, in a state
that allows the act."""

from uuid import UUID

from django.db import transaction

from tenancy import catalog
from tenancy.audit import record_event
from tenancy.exceptions import (
    OperationRunning,
    OrganizationDeleted,
    OrganizationNotFound,
    OrganizationSuspended,
    TenancyError,
)
from tenancy.models import Organization, OrganizationStatus

_REFUSALS: dict[str, type[TenancyError]] = {
    OrganizationStatus.PROVISIONING: OperationRunning,
    OrganizationStatus.SUSPENDED: OrganizationSuspended,
    OrganizationStatus.DELETING: OrganizationDeleted,
    OrganizationStatus.PURGED: OrganizationNotFound,
}


def lock_organization(organization_id: UUID, *allowed: OrganizationStatus) -> Organization:
    """Return the row, locked until the transaction ends, if its status is an allowed one."""
    rows = Organization.objects.select_for_update(of=("self",), no_key=True).select_related(
        "placement__cluster"
    )
    organization = rows.filter(pk=organization_id).first()
    if organization is None:
        raise OrganizationNotFound
    if organization.status not in allowed:
        raise _REFUSALS.get(organization.status, OperationRunning)
    return organization


def suspend_organization(organization_id: UUID, *, by: str, reason: str = "") -> bool:
    """Stop serving an organization; its data is kept. Return False if it is suspended already."""
    return _change_status(
        organization_id, OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED,
        "organization.suspended", by, reason,
    )  # fmt: skip


def resume_organization(organization_id: UUID, *, by: str) -> bool:
    """Serve a suspended organization again. Return False if it is active already."""
    return _change_status(
        organization_id, OrganizationStatus.SUSPENDED, OrganizationStatus.ACTIVE,
        "organization.resumed", by, "",
    )  # fmt: skip


def _change_status(
    organization_id: UUID, old: OrganizationStatus, new: OrganizationStatus,
    action: str, by: str, reason: str,
) -> bool:  # fmt: skip
    with transaction.atomic():
        organization = lock_organization(organization_id, old, new)
        changed = organization.status == old
        if changed:
            Organization.objects.filter(pk=organization_id).update(status=new)
            record_event(organization, action, by=by, **({"reason": reason} if reason else {}))
    catalog.forget_tenant(organization_id)
    return changed
