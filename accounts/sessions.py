"""Open, check and end sessions.

What a request may do is read from the rows, through a cache of at most `ACCOUNTS_ROW_TTL`: so a
change of role, a removal or a revocation bites within that time everywhere, and at once here.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.exceptions import TokenRevoked
from accounts.models import Membership, Session
from accounts.tokens import Claims

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


class StandingCache:
    """Principals by claims, at most `CACHE_MAX_STANDINGS`; what was refused is not kept."""

    def __init__(self, read: Callable[[Claims], Principal | None]) -> None:
        self._read = read
        self._entries: OrderedDict[Claims, tuple[float, Principal]] = OrderedDict()
        self._lock = threading.Lock()
        self._changed = 0.0

    def find(self, claims: Claims) -> Principal | None:
        """Return the principal, read again when the entry is older than the TTL."""
        asked = time.monotonic()
        entry = self._entries.get(claims)
        if entry is not None and asked - entry[0] < settings.ACCOUNTS_ROW_TTL:
            return entry[1]
        principal = self._read(claims)
        with self._lock:
            self._keep(claims, asked, principal)
        return principal

    def _keep(self, claims: Claims, asked: float, principal: Principal | None) -> None:
        if principal is None:
            self._entries.pop(claims, None)
        elif asked >= self._changed:
            self._entries[claims] = (asked, principal)
            self._entries.move_to_end(claims)
            while len(self._entries) > CACHE_MAX_STANDINGS:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything, after a change made in this process."""
        with self._lock:
            self._changed = time.monotonic()
            self._entries.clear()


_standings = StandingCache(_read_principal)


def get_principal(claims: Claims) -> Principal:
    """Return who the claims stand for now, or raise TokenRevoked."""
    principal = _standings.find(claims)
    if principal is None:
        raise TokenRevoked
    return principal


def forget_standings() -> None:
    """Make this process read the rows again."""
    _standings.clear()
