"""What is recorded of a user: in the audit of each of their organizations."""

from accounts.models import Membership, User
from tenancy.audit import record_event
from tenancy.models import Organization

RECORDED_MAX_ORGANIZATIONS = 20


def record_for_user(user: User, action: str, *, by: str, **details: object) -> None:
    """Record what concerns a user in each of their organizations, the oldest memberships first.

    One who has none is recorded with the service.
    """
    ids = Membership.objects.filter(user=user).order_by("created_at").values_list("organization")
    chosen = [organization_id for (organization_id,) in ids[:RECORDED_MAX_ORGANIZATIONS]]
    # In one order, as everybody who records in several does: chains are locked one by one.
    for organization in Organization.objects.filter(pk__in=chosen).order_by("pk"):
        record_event(organization, action, by=by, user=str(user.pk), **details)
    if not chosen:
        record_event(None, action, by=by, user=str(user.pk), **details)
