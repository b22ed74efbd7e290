"""Who makes a request: what DRF calls the user.

What a principal may do is read from the rows, through a cache of at most `ACCOUNTS_ROW_TTL`: so a
change of role, a removal or a revocation bites within that time everywhere, and at once here.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from accounts import last_used
from accounts.exceptions import PermissionDenied, TokenRevoked
from accounts.models import Membership
from accounts.owner_emails import drop_owner_emails
from accounts.roles import allows
from accounts.tokens import Claims
from tenancy import invalidation
from tenancy.caching import AgedCache
from tenancy.second_level import SecondLevel

CACHE_MAX_STANDINGS = 20_000
SECOND_FACTOR = "otp"


@dataclass(frozen=True)
class Principal:
    """Somebody or something that acts in one organization.

    `collections`, when set, are the only ones it may touch.
    """

    organization_id: UUID
    role: str
    is_authenticated: bool = True
    lacks_second_factor: bool = False
    scopes: frozenset[str] | None = None
    collections: frozenset[str] | None = None

    @property
    def actor(self) -> str:
        """Return the name for the audit and `_meta.by`."""
        raise NotImplementedError

    def may(self, permission: str) -> bool:
        """Return whether its role, and its scopes if it has any, allow this."""
        in_scope = self.scopes is None or permission in self.scopes
        return in_scope and allows(self.role, permission)

    def may_touch(self, collection: str) -> bool:
        """Return whether it may know of this collection at all."""
        return self.collections is None or collection in self.collections

    def check_collection(self, collection: str) -> None:
        """Raise PermissionDenied if it may not touch this collection."""
        if not self.may_touch(collection):
            raise PermissionDenied("This API key is not for this collection.")


@dataclass(frozen=True, kw_only=True)
class Member(Principal):
    """A user who is signed in, in one of their organizations."""

    user_id: UUID
    membership_id: UUID
    session_id: UUID

    @property
    def actor(self) -> str:
        """Return `user:<id>`."""
        return f"user:{self.user_id}"


@dataclass(frozen=True, kw_only=True)
class KeyHolder(Principal):
    """A program that shows an API key of its organization."""

    key_id: UUID

    @property
    def actor(self) -> str:
        """Return `key:<id>`."""
        return f"key:{self.key_id}"


def _read_member(claims: Claims) -> Member | None:
    invalidation.listen()
    found = (
        Membership.objects.filter(
            pk=claims.membership_id,
            user_id=claims.user_id,
            organization_id=claims.organization_id,
            epoch=claims.membership_epoch,
            user__is_active=True,
            user__sessions__pk=claims.session_id,
            user__sessions__organization_id=claims.organization_id,
            user__sessions__revoked_at=None,
            user__sessions__expires_at__gt=timezone.now(),
        )
        .exclude(organization__status="purged")
        .values_list("role", "organization__two_factor_required", "user__sessions__methods")
        .first()
    )
    if found is None:
        return None
    role, needs_two, methods = found
    last_used.record_session(claims.session_id)
    return Member(
        claims.organization_id,
        role,
        lacks_second_factor=needs_two and SECOND_FACTOR not in methods.split(),
        user_id=claims.user_id,
        membership_id=claims.membership_id,
        session_id=claims.session_id,
    )


# What was refused is not kept: a credential that becomes good again is good at once.
def _spell(claims: Claims) -> str:
    return (
        f"{claims.user_id} {claims.organization_id} {claims.membership_id} {claims.session_id} "
        f"{claims.membership_epoch}"
    )


def _dump(member: Member) -> list[Any]:
    ids = (member.organization_id, member.user_id, member.membership_id, member.session_id)
    return [member.role, member.lacks_second_factor, *map(str, ids)]


def _load(kept: Any, _: float) -> Member:
    role, lacks_second_factor, organization, user, membership, session = kept
    return Member(
        UUID(organization),
        role,
        lacks_second_factor=lacks_second_factor,
        user_id=UUID(user),
        membership_id=UUID(membership),
        session_id=UUID(session),
    )


_behind = SecondLevel[Claims, Member](
    "members", spell=_spell, dump=_dump, load=_load, lives=lambda: settings.ACCOUNTS_ROW_TTL
)
_members: AgedCache[Claims, Member] = AgedCache(
    _read_member, max_entries=CACHE_MAX_STANDINGS, name="members", second=_behind
)


def get_member(claims: Claims, *, max_age: float | None = None) -> Member:
    """Return who the claims stand for, as of `max_age` seconds ago at most, or raise TokenRevoked.

    By default that is `ACCOUNTS_ROW_TTL`.
    """
    age = settings.ACCOUNTS_ROW_TTL if max_age is None else max_age
    member = _members.find(claims, age)
    if member is None:
        raise TokenRevoked
    return member


def forget_members(**which: UUID) -> None:
    """Have rows read again: those of `user_id`, `session_id` and so on, or all.

    Here at once; when a transaction commits here and, with Redis, soon in every process.
    """
    _changed.make_known(**which)


def _drop(**which: UUID) -> None:
    if set(which) != {"session_id"}:  # a session says nothing about owners
        drop_owner_emails()
    if not which:
        _members.clear()
        return
    wanted = which.items()
    _members.forget_if(lambda member: all(getattr(member, name) == id_ for name, id_ in wanted))


_changed = invalidation.Change(
    "members", _drop, ids={"user_id", "session_id", "organization_id", "membership_id"}
)
