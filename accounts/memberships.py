"""Make somebody a member of an organization: the one way in."""

from django.db import transaction

from accounts.models import Membership, User
from accounts.roles import Role
from tenancy.exceptions import PlanLimitReached
from tenancy.models import Organization


def add_member(user: User, organization: Organization, role: Role) -> Membership:
    """Add a member; one who is a member already stays as they are.

    Raises PlanLimitReached. The organization's row is locked: of many who come at once no more
    than the plan allows get in.
    """
    with transaction.atomic():
        locked = Organization.objects.select_for_update(of=("self",)).select_related("plan")
        limit = locked.get(pk=organization.pk).plan.max_members
        members = Membership.objects.filter(organization=organization)
        found = members.filter(user=user).first()
        if found is not None:
            return found
        used = members.count()
        if limit is not None and used >= limit:
            raise PlanLimitReached(
                f"The plan allows {limit:,} members.",
                extra={"limit": limit, "used": used, "name": "members"},
            )
        return Membership.objects.create(user=user, organization=organization, role=role)
