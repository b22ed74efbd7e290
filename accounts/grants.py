"""Who may give which role: nobody gives more than they have themselves.

So an API key that only invites cannot make an admin, who would make a key that may everything; and
one with a list of collections gives no role at all, for a role is for every collection.
"""

from dataclasses import replace

from accounts.exceptions import PermissionDenied, TokenRevoked
from accounts.key_holders import holder_of
from accounts.models import ApiKey, Membership
from accounts.principals import KeyHolder, Member, Principal
from accounts.roles import Role, permissions_of
from accounts.standing import check_still_allowed


def may_grant(principal: Principal, role: str) -> bool:
    """Return whether somebody may all that a role may, everywhere, and may decide over members."""
    needed = {"members.manage", *permissions_of(role)}
    return principal.collections is None and all(map(principal.may, needed))


def check_may_grant(principal: Principal, role: str) -> None:
    """Raise unless somebody may give a role, by the rows as they are now.

    Call it in the transaction of the change, after the organization's row is locked. Raises
    PermissionDenied or TokenRevoked.
    """
    check_may_decide_over(principal, role)
    if not may_grant(_as_of_now(principal), role):
        raise PermissionDenied(
            f"Nobody gives a role that may more than they may themselves, as “{role}” does."
        )


def check_may_decide_over(principal: Principal, *roles: str) -> None:
    """Raise unless somebody may take something from who has one of the roles, or was offered it.

    Call it as `check_may_grant`.
    """
    check_still_allowed(principal, "members.manage")
    if Role.OWNER in roles:
        check_still_allowed(principal, "owners.manage")


def _as_of_now(principal: Principal) -> Principal:
    if isinstance(principal, Member):
        rows = Membership.objects.filter(pk=principal.membership_id)
        role = rows.values_list("role", flat=True).first()
        if role is None:
            raise TokenRevoked
        return replace(principal, role=role)
    if isinstance(principal, KeyHolder):
        key = ApiKey.objects.filter(pk=principal.key_id).first()
        if key is None:
            raise TokenRevoked
        return holder_of(key)
    return principal
