"""What somebody may do by the rows as they are at this moment, not by what a cache knows of them.

A credential that has ended may be believed for some seconds more in another process. That is no
harm to a read; what lasts (a key, a member, a role, a new password) is decided here.
"""

from django.db.models import Q
from django.utils import timezone

from accounts.exceptions import PermissionDenied, TokenRevoked
from accounts.key_terms import KEY_SCOPES
from accounts.models import ApiKey, Membership, Session
from accounts.principals import KeyHolder, Member, Principal
from accounts.roles import allows


def check_still_allowed(principal: Principal, permission: str | None = None) -> None:
    """Raise TokenRevoked or PermissionDenied unless the rows still say so.

    Call it inside the transaction of the change, after the organization's row is locked. The row
    of the session or key stays locked until the end: it cannot be revoked in between.
    """
    role, scopes = principal.role, principal.scopes
    if isinstance(principal, Member):
        role = _role_of_member(principal)
    elif isinstance(principal, KeyHolder):
        role, scopes = _role_and_scopes_of_key(principal)
    if permission is None:
        return
    if not allows(role, permission) or (scopes is not None and permission not in scopes):
        raise PermissionDenied(f"Your role does not allow this; it needs “{permission}”.")


def _role_of_member(member: Member) -> str:
    sessions = Session.objects.select_for_update(no_key=True).filter(
        pk=member.session_id,
        user=member.user_id,
        revoked_at=None,
        expires_at__gt=timezone.now(),
    )
    if sessions.first() is None:
        raise TokenRevoked
    memberships = Membership.objects.filter(
        pk=member.membership_id,
        user=member.user_id,
        organization=member.organization_id,
        user__is_active=True,
    )
    role = memberships.values_list("role", flat=True).first()
    if role is None:
        raise TokenRevoked
    return role


def _role_and_scopes_of_key(holder: KeyHolder) -> tuple[str, frozenset[str]]:
    is_alive = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    rows = ApiKey.objects.select_for_update(no_key=True).filter(
        is_alive, pk=holder.key_id, organization=holder.organization_id, revoked_at=None
    )
    row = rows.first()
    if row is None:
        raise TokenRevoked("The API key was revoked.")
    return row.role, KEY_SCOPES & frozenset(row.scopes)
