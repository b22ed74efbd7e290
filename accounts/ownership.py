"""Roles, removals and ownership: an organization has an owner who can sign in at all times.

Every change is decided under the lock of the organization's people, by the rows as they are then:
of two owners who demote each other at once one stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.exceptions import LastOwner, TokenRevoked
from accounts.grants import check_may_decide_over, check_may_grant
from accounts.member_counts import forget_member_count
from accounts.memberships import add_member, existing_memberships, lock_people, members_of
from accounts.models import Membership, User
from accounts.principals import Member, Principal, forget_members
from accounts.roles import Role
from accounts.sessions import revoke_sessions
from accounts.standing import check_still_allowed
from tenancy.audit import record_event
from tenancy.exceptions import FieldError, NotFound, PlanLimitReached, ValidationFailed
from tenancy.lifecycle import create_organization
from tenancy.models import Organization


@dataclass(frozen=True, kw_only=True)
class Operator(Principal):
    """An operator at the admin site: may what an owner may, in every organization."""

    role: str = Role.OWNER
    user_id: UUID

    @property
    def actor(self) -> str:
        """Return `user:<id>`."""
        return f"user:{self.user_id}"


def change_role(principal: Principal, membership_id: UUID, role: Role) -> Membership:
    """Give a member another role; their old access tokens end, and refreshing gives new ones.

    Raises NotFound, PermissionDenied where an owner is concerned and the principal is none or the
    role may more than the principal, TokenRevoked or LastOwner.
    """
    with _decided(principal, membership_id, becomes=role) as (organization, member):
        before = member.role
        if before != role:
            _give_role(member, role)
            record_event(
                organization, "member.role_changed", by=principal.actor,
                membership=str(member.pk), user=str(member.user_id), old=before, new=role,
            )  # fmt: skip
    return member


def check_role_change(principal: Principal, membership_id: UUID, role: Role) -> None:
    """Raise what `change_role` would; in a transaction nothing comes between the two."""
    with _decided(principal, membership_id, becomes=role):
        pass


def remove_member(principal: Principal, membership_id: UUID) -> None:
    """Remove a member, and end their sessions in the organization; removing oneself is leaving.

    Raises what `change_role` does.
    """
    with _decided(principal, membership_id) as (organization, member):
        is_own = isinstance(principal, Member) and principal.membership_id == member.pk
        _remove(organization, member, by=principal.actor, action=_DEPARTURES[is_own])


_DEPARTURES = {True: "member.left", False: "member.removed"}


def leave_organization(member: Member) -> None:
    """Leave the organization that one is signed in to, in whatever role.

    Raises LastOwner or TokenRevoked.
    """
    with transaction.atomic():
        organization = lock_people(member.organization_id)
        check_still_allowed(member)
        own = _get(member.organization_id, member.membership_id)
        _check_owner_stays(own)
        _remove(organization, own, by=member.actor, action="member.left")


def transfer_ownership(member: Member, membership_id: UUID) -> Membership:
    """Make another member an owner and oneself an admin: both or neither. Return the new owner.

    Raises NotFound, PermissionDenied if one is no owner any more, TokenRevoked, ValidationFailed
    for oneself, or LastOwner if the other cannot sign in, however many owners there are.
    """
    if membership_id == member.membership_id:
        raise _refused("/member", "own_membership", "You are the owner already. Name another.")
    with transaction.atomic():
        organization = lock_people(member.organization_id)
        check_still_allowed(member, "ownership.transfer")
        target = _get(member.organization_id, membership_id)
        if not target.user.is_active:
            raise LastOwner("Who cannot sign in cannot take the organization over. Name another.")
        if target.role != Role.OWNER:
            _give_role(target, Role.OWNER)
        own = _get(member.organization_id, member.membership_id)
        _give_role(own, Role.ADMIN)
        record_event(
            organization, "ownership.transferred", by=member.actor,
            membership=str(target.pk), user=str(target.user_id),
        )  # fmt: skip
    return target


def found_organization(
    member: Member, name: str, *, region: str = "", organization_id: UUID | None = None
) -> Organization:
    """Create another organization, owned by whoever is signed in.

    `organization_id` is an id chosen before, for a request that may be repeated. Raises
    PlanLimitReached for more than `ACCOUNTS_MAX_ORGANIZATIONS`, or what `create_organization` does.
    """

    def add_owner(organization: Organization) -> None:
        user = (
            User.objects.select_for_update(no_key=True)
            .filter(pk=member.user_id, is_active=True)
            .first()
        )
        if user is None:
            raise TokenRevoked
        check_still_allowed(member)
        _check_room(user)
        add_member(user, organization, Role.OWNER)

    return create_organization(
        name, by=member.actor, on_reserve=add_owner, organization_id=organization_id, region=region
    )


def is_only_owner(membership: Membership) -> bool:
    """Return whether nobody else could act as an owner. Call under the lock."""
    if membership.role != Role.OWNER:
        return False
    others = Membership.objects.filter(
        organization=membership.organization_id, role=Role.OWNER, user__is_active=True
    )
    return not others.exclude(pk=membership.pk).exists()


@contextmanager
def _decided(
    principal: Principal, membership_id: UUID, *, becomes: Role | None = None
) -> Iterator[tuple[Organization, Membership]]:
    """Lock the organization's people, judge the change, and give the rows to be changed."""
    with transaction.atomic():
        organization = lock_people(principal.organization_id)
        check_still_allowed(principal, "members.manage")
        member = _get(principal.organization_id, membership_id)
        check_may_decide_over(principal, member.role)
        if becomes is not None:
            check_may_grant(principal, becomes)
        if becomes != Role.OWNER:
            _check_owner_stays(member)
        yield organization, member


def _check_owner_stays(membership: Membership) -> None:
    if is_only_owner(membership):
        raise LastOwner


def _get(organization_id: UUID, membership_id: UUID) -> Membership:
    found = members_of(organization_id).filter(pk=membership_id).first()
    if found is None:
        raise NotFound("There is no such member.")
    return found


def _give_role(member: Membership, role: Role) -> None:
    rows = Membership.objects.filter(pk=member.pk)
    rows.update(role=role, epoch=F("epoch") + 1)
    member.role = role
    forget_members(membership_id=member.pk)


def _remove(organization: Organization, member: Membership, *, by: str, action: str) -> None:
    membership_id, role = str(member.pk), member.role
    member.delete()
    forget_member_count(organization.pk)
    revoke_sessions(user=member.user_id, organization=organization, reason="member_removed")
    record_event(
        organization, action, by=by,
        membership=membership_id, user=str(member.user_id), role=role,
    )  # fmt: skip


def _check_room(user: User) -> None:
    limit = settings.ACCOUNTS_MAX_ORGANIZATIONS
    used = existing_memberships(user).filter(role=Role.OWNER).count()
    if used >= limit:
        raise PlanLimitReached(
            f"One user can own {limit:,} organizations.",
            extra={"limit": limit, "used": used, "name": "organizations"},
        )


def _refused(pointer: str, code: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(pointer, code, message)])
