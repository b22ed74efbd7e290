"""What is recorded of a user: in the audit of each organization that it concerns."""

from accounts.models import User
from tenancy.audit import record_event
from tenancy.models import Organization, OrganizationStatus

RECORDED_MAX_ORGANIZATIONS = 20


def record_for_user(user: User, action: str, *, by: str, **details: object) -> None:
    """Record what concerns a user in each of their organizations.

    What concerns an operator, or a user without an organization, is in the service's chain as well.
    Chains are locked in one order: whoever else takes several does not wait in a circle. Call it
    as the last part of the transaction of the change.
    """
    rows = Organization.objects.filter(memberships__user=user).order_by("pk")
    living = rows.exclude(status=OrganizationStatus.PURGED)[:RECORDED_MAX_ORGANIZATIONS]
    concerned: list[Organization | None] = list(living)
    if user.is_staff or not concerned:
        concerned.append(None)
    for organization in concerned:
        record_event(organization, action, by=by, user=str(user.pk), **details)
