"""Who belongs to which organization: make somebody a member, and find one's memberships."""

from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.exceptions import PermissionDenied
from accounts.member_counts import forget_member_count
from accounts.models import Membership, TotpDevice, User
from accounts.roles import Role
from tenancy.exceptions import (
    NotFound,
    OrganizationDeleted,
    OrganizationNotFound,
    PlanLimitReached,
)
from tenancy.models import Organization, OrganizationStatus

LIST_MAX_MEMBERSHIPS = 100


def lock_people(organization_id: UUID) -> Organization:
    """Return the row, locked until the transaction ends: one change of its people at a time.

    Sessions can be opened meanwhile: they refer to the row and do not change it. Whoever locks
    more than one organization takes them in the order of their ids, and users after them. Raises
    OrganizationNotFound.
    """
    rows = Organization.objects.select_for_update(of=("self",), no_key=True)
    organization = rows.select_related("plan").filter(pk=organization_id).first()
    if organization is None:
        raise OrganizationNotFound
    return organization


def members_of(organization_id: UUID) -> QuerySet[Membership]:
    """Return an organization's memberships; `has_two_factor` says who has an authenticator."""
    authenticators = TotpDevice.objects.filter(user=OuterRef("user"), confirmed=True)
    rows = Membership.objects.filter(organization=organization_id).select_related("user")
    return rows.annotate(has_two_factor=Exists(authenticators))


def add_member(user: User, organization: Organization, role: Role) -> Membership:
    """Add a member; one who is a member already stays as they are.

    Raises PlanLimitReached, and NotFound for an account that was just deleted. The organization's
    row is locked: of many who come at once no more than the plan allows get in.
    """
    with transaction.atomic():
        limit = lock_people(organization.pk).plan.max_members
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
        _hold_account(user)
        transaction.on_commit(partial(forget_member_count, organization.pk))
        return Membership.objects.create(user=user, organization=organization, role=role)


def _hold_account(user: User) -> None:
    """Keep the account until the transaction ends. Raises NotFound if it was deleted meanwhile."""
    rows = User.objects.select_for_update(no_key=True).filter(pk=user.pk)
    if not rows.values_list("pk", flat=True):
        raise NotFound("The account was deleted.")


def existing_memberships(user: User) -> QuerySet[Membership]:
    """Return a user's memberships in organizations that are not purged, the oldest first."""
    rows = user.memberships.select_related("organization", "user")
    return rows.exclude(organization__status=OrganizationStatus.PURGED)


def memberships_of(user: User) -> list[Membership]:
    """Return a user's memberships, the oldest first; at most `LIST_MAX_MEMBERSHIPS`."""
    return list(existing_memberships(user)[:LIST_MAX_MEMBERSHIPS])


def choose_membership(user: User, organization: str | None) -> Membership:
    """Return a user's membership in the organization that is named by slug or id, or the first.

    A deleted organization is only for an owner who names it: so they can restore it. Raises
    PermissionDenied, OrganizationNotFound or OrganizationDeleted.
    """
    memberships = existing_memberships(user)
    if not memberships.exists():
        raise PermissionDenied(
            "You are a member of no organization.",
            hint="Found one: POST /api/v1/auth/signup with the password of your account.",
        )
    if organization is not None:
        memberships = memberships.filter(_named(organization))
    wanted = list(memberships[:LIST_MAX_MEMBERSHIPS])
    if not wanted:
        raise OrganizationNotFound
    for membership in wanted:
        is_deleted = membership.organization.status == OrganizationStatus.DELETING
        if not is_deleted or (organization is not None and membership.role == Role.OWNER):
            return membership
    raise OrganizationDeleted(hint=_how_to_restore(wanted))


def _how_to_restore(memberships: list[Membership]) -> str:
    """Return a hint while one of the deleted organizations can still be brought back."""
    purges = [each.organization.purge_after for each in memberships]
    if not any(moment is not None and moment > timezone.now() for moment in purges):
        return ""
    return "Until it is purged an owner can sign in by naming the organization, and restore it."


def _named(organization: str) -> Q:
    """Return what finds an organization by its slug or its id."""
    try:
        organization_id = UUID(organization)
    except ValueError:
        return Q(organization__slug=organization)
    return Q(organization__slug=organization) | Q(organization=organization_id)
