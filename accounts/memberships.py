"""Who belongs to which organization: make somebody a member, and find one's memberships."""

from django.db import transaction

from accounts.exceptions import PermissionDenied
from accounts.models import Membership, User
from accounts.roles import Role
from tenancy.exceptions import OrganizationDeleted, OrganizationNotFound, PlanLimitReached
from tenancy.models import Organization, OrganizationStatus

LIST_MAX_MEMBERSHIPS = 100


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


def memberships_of(user: User) -> list[Membership]:
    """Return a user's memberships, the oldest first; at most `LIST_MAX_MEMBERSHIPS`."""
    rows = user.memberships.select_related("organization", "user")
    return list(rows.exclude(organization__status=OrganizationStatus.PURGED)[:LIST_MAX_MEMBERSHIPS])


def choose_membership(user: User, organization: str | None) -> Membership:
    """Return a user's membership in the organization that is named by slug or id, or the first.

    A deleted organization is only for an owner who names it: so they can restore it. Raises
    PermissionDenied, OrganizationNotFound or OrganizationDeleted.
    """
    memberships = memberships_of(user)
    if not memberships:
        raise PermissionDenied("You are a member of no organization.")
    wanted = [
        membership
        for membership in memberships
        if organization in {None, membership.organization.slug, str(membership.organization_id)}
    ]
    if not wanted:
        raise OrganizationNotFound
    for membership in wanted:
        is_deleted = membership.organization.status == OrganizationStatus.DELETING
        if not is_deleted or (organization is not None and membership.role == Role.OWNER):
            return membership
    raise OrganizationDeleted(
        hint="Until it is purged an owner can sign in by naming the organization, and restore it."
    )
