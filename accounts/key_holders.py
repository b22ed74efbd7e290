"""Whom an API key stands for, and what it may do now.

Both are read from the key's row, through a cache of at most `ACCOUNTS_ROW_TTL`: a change, a
rotation or a revocation bites at once here and within that time everywhere. When a key expires is
known along with it, to the moment.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from accounts import key_tokens, last_used
from accounts.exceptions import NotAuthenticated, TokenExpired, TokenRevoked
from accounts.key_terms import KEY_SCOPES, SCOPES_OVER_EVERYTHING
from accounts.key_tokens import ShownKey
from accounts.models import ApiKey
from accounts.principals import KeyHolder
from tenancy import invalidation
from tenancy.caching import AgedCache
from tenancy.models import OrganizationStatus

CACHE_MAX_STANDINGS = 20_000


@dataclass(frozen=True)
class _Standing:
    """Whom a key stands for, and until when that is sure."""

    holder: KeyHolder
    until: datetime | None


def get_key_holder(raw: str, *, max_age: float | None = None) -> KeyHolder:
    """Return whom a key stands for, as of `max_age` seconds ago at most.

    By default that is `ACCOUNTS_ROW_TTL`. Raises NotAuthenticated, TokenExpired or TokenRevoked.
    """
    shown = key_tokens.read_key(raw)
    age = settings.ACCOUNTS_ROW_TTL if max_age is None else max_age
    standing = _standings.find(shown, age)
    if standing is None:
        raise NotAuthenticated("The API key is not valid.")
    if standing.until is not None and standing.until <= timezone.now():
        return _read_standing(shown).holder
    return standing.holder


def _read_standing(shown: ShownKey) -> _Standing:
    invalidation.listen()
    row = ApiKey.objects.select_related("organization").filter(pk=shown.key_id).first()
    if row is None:
        raise NotAuthenticated("The API key is not valid.")
    until = _held_until(row, shown.digest)
    last_used.record_key(row.pk)
    return _Standing(holder_of(row), until)


def holder_of(row: ApiKey) -> KeyHolder:
    """Return whom the key of a row stands for, whether it holds or not.

    Whatever is in the row: with a list of collections a key does not see what tells of all.
    """
    scopes = KEY_SCOPES & frozenset(row.scopes)
    return KeyHolder(
        row.organization_id,
        row.role,
        scopes=scopes if row.collections is None else scopes - SCOPES_OVER_EVERYTHING,
        collections=None if row.collections is None else frozenset(row.collections),
        key_id=row.pk,
    )


def _held_until(row: ApiKey, digest: str) -> datetime | None:
    """Return until when the secret of this digest holds; None is for ever. Raises if it does not.

    Why a key does not hold is told to those alone who have its secret.
    """
    is_current = hmac.compare_digest(row.digest, digest)
    if not is_current and not hmac.compare_digest(row.previous_digest, digest):
        raise NotAuthenticated("The API key is not valid.")
    if row.revoked_at is not None or row.organization.status == OrganizationStatus.PURGED:
        raise TokenRevoked("The API key was revoked.")
    now = timezone.now()
    if not is_current and (row.previous_until is None or row.previous_until <= now):
        raise TokenRevoked("The API key was rotated: this secret does not hold any more.")
    if row.expires_at is not None and row.expires_at <= now:
        raise TokenExpired("The API key has expired.")
    ends = (row.expires_at, None if is_current else row.previous_until)
    return min((moment for moment in ends if moment is not None), default=None)


# What was refused is not kept: not what anybody can make up, and a key that is made good again is
# good at once. By digest, so that the new secret of a rotation elsewhere holds at once, too.
_standings: AgedCache[ShownKey, _Standing] = AgedCache(
    _read_standing, max_entries=CACHE_MAX_STANDINGS, name="api_keys"
)


def forget_keys(**which: UUID) -> None:
    """Have rows read again: that of `key_id`, those of `organization_id`, or all.

    Here at once; when a transaction commits here and, with Redis, soon in every process.
    """
    _changed.make_known(**which)


def _drop(**which: UUID) -> None:
    if not which:
        _standings.clear()
        return
    wanted = which.items()
    _standings.forget_if(lambda its: all(getattr(its.holder, name) == id_ for name, id_ in wanted))


_changed = invalidation.Change("api_keys", _drop, ids={"key_id", "organization_id"})
