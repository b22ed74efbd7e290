"""Open, check and end sessions.

What a request may do is read from the rows, through a cache of at most `ACCOUNTS_ROW_TTL`: so a
change of role, a removal or a revocation bites within that time everywhere, and at once here.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.exceptions import TokenRevoked
from accounts.models import Membership, Session
from accounts.tokens import Claims
from tenancy.caching import AgedCache

CACHE_MAX_STANDINGS = 20_000
USER_AGENT_MAX_CHARACTERS = 200


@dataclass(frozen=True)
class Device:
    """Where a sign-in came from."""

    user_agent: str = ""
    address: str | None = None


@dataclass(frozen=True)
class Principal:
    """Who makes a request: what DRF calls the user."""

    user_id: UUID
    organization_id: UUID
    membership_id: UUID
    session_id: UUID
    role: str
    is_authenticated: bool = True

    @property
    def actor(self) -> str:
        """Return the name for the audit and `_meta.by`."""
        return f"user:{self.user_id}"


def open_session(membership: Membership, device: Device) -> Session:
    """Open a session for a user in one organization."""
    return Session.objects.create(
        user_id=membership.user_id,
        organization_id=membership.organization_id,
        user_agent=device.user_agent[:USER_AGENT_MAX_CHARACTERS],
        address=device.address,
        expires_at=timezone.now() + settings.ACCOUNTS_SESSION_LIFETIME,
    )


def revoke_sessions(**which: Any) -> int:
    """End the sessions that match, such as `user=...` or `organization=...`. Return how many."""
    ended = Session.objects.filter(revoked_at=None, **which).update(revoked_at=timezone.now())
    transaction.on_commit(forget_standings)
    return ended


def _read_principal(claims: Claims) -> Principal | None:
    now = timezone.now()
    found = Membership.objects.filter(
        pk=claims.membership_id,
        user_id=claims.user_id,
        organization_id=claims.organization_id,
        epoch=claims.membership_epoch,
        user__is_active=True,
        user__sessions__pk=claims.session_id,
        user__sessions__organization_id=claims.organization_id,
        user__sessions__revoked_at=None,
        user__sessions__expires_at__gt=now,
    ).exclude(organization__status="purged")
    role = found.values_list("role", flat=True).first()
    if role is None:
        return None
    return Principal(
        claims.user_id, claims.organization_id, claims.membership_id, claims.session_id, role
    )


# What was refused is not kept: a credential that becomes good again is good at once.
_standings: AgedCache[Claims, Principal] = AgedCache(
    _read_principal, max_entries=CACHE_MAX_STANDINGS
)


def get_principal(claims: Claims) -> Principal:
    """Return who the claims stand for now, or raise TokenRevoked."""
    principal = _standings.find(claims, settings.ACCOUNTS_ROW_TTL)
    if principal is None:
        raise TokenRevoked
    return principal


def forget_standings() -> None:
    """Make this process read the rows again."""
    _standings.clear()
