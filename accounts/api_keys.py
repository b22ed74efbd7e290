"""API keys, what programs show in the place of a token: make, change, rotate and revoke them.

`accounts.key_holders` reads what a key is worth, `accounts.key_terms` says what one can be given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import key_tokens
from accounts.key_holders import forget_keys, get_key_holder
from accounts.key_terms import (
    KeyTerms,
    check_collections,
    check_expiry,
    check_grant,
    check_narrowing,
    check_role,
    check_scopes,
)
from accounts.key_tokens import PREFIX
from accounts.memberships import lock_people
from accounts.models import ApiKey
from accounts.principals import Principal
from accounts.standing import check_still_allowed
from tenancy.audit import record_event
from tenancy.exceptions import AlreadyExists, NotFound, PlanLimitReached, RevisionConflict
from tenancy.idempotency import Attempt, hold_attempt
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Organization, OrganizationStatus

__all__ = [
    "PREFIX",
    "IssuedKey",
    "KeyTerms",
    "change_key",
    "create_key",
    "forget_keys",
    "get_key_holder",
    "issue_key",
    "keys_of",
    "revoke_as",
    "revoke_key",
    "revoke_keys_of",
    "rotate_key",
]

LIVE_MAX_KEYS = 100
OVERLAP_MAX_SECONDS = 7 * 24 * 3600
OVERLAP_DEFAULT_SECONDS = 24 * 3600
NO_KEY = "There is no such API key, or it has ended."
NOT_NOW = "The API key was rotated a short while ago, and the secret before still holds."
ROTATE_HINT = (
    "Wait until previous_until; or rotate with overlap_seconds 0, which ends both secrets at once; "
    "or make another key."
)


@dataclass(frozen=True)
class IssuedKey:
    """A key with its secret in clear: it is given to the client and not kept."""

    row: ApiKey
    secret: str


def keys_of(organization_id: UUID) -> QuerySet[ApiKey]:
    """Return an organization's keys, those that have ended included."""
    return ApiKey.objects.filter(organization=organization_id)


def create_key(
    principal: Principal, terms: KeyTerms, *, attempt: Attempt | None = None
) -> IssuedKey:
    """Make a key of the principal's organization; see `issue_key`. Raises PermissionDenied, too."""
    check_grant(principal, check_role(terms.role))
    with transaction.atomic():
        lock_organization(principal.organization_id, OrganizationStatus.ACTIVE)
        check_still_allowed(principal, "keys.manage")
        return issue_key(principal.organization_id, terms, by=principal.actor, attempt=attempt)


def issue_key(
    organization_id: UUID, terms: KeyTerms, *, by: str, attempt: Attempt | None = None
) -> IssuedKey:
    """Make a key. Raises ValidationFailed or PlanLimitReached.

    `attempt` says its id. Whoever does not know whether it happened, and has no answer, may repeat
    it in another attempt at the same: that makes a new secret for the same key. An attempt that was
    overtaken by then makes none: IdempotencyInProgress.
    """
    attempt = attempt or Attempt.without_key()
    key_id = attempt.resource
    secret = key_tokens.make_key(key_id)
    row = ApiKey(
        pk=key_id,
        name=terms.name,
        role=check_role(terms.role),
        scopes=check_scopes(terms.role, terms.scopes, terms.collections),
        collections=check_collections(terms.collections),
        expires_at=check_expiry(terms.expires_at),
        digest=key_tokens.digest_of(secret),
        created_by=by,
    )
    with transaction.atomic():
        row.organization = lock_organization(organization_id, OrganizationStatus.ACTIVE)
        hold_attempt(attempt)
        if ApiKey.objects.filter(pk=key_id).exists():
            return IssuedKey(_issue_again(row, by=by), secret)
        _check_room(organization_id)
        row.save(force_insert=True)
        record_event(
            row.organization, "api_key.created", by=by, key=str(key_id), role=row.role,
            scopes=row.scopes, collections=row.collections,
        )  # fmt: skip
    return IssuedKey(row, secret)


def _issue_again(row: ApiKey, *, by: str) -> ApiKey:
    """Give the key a new secret; that of before, which nobody has got, ends."""
    same = ApiKey.objects.filter(pk=row.pk, organization=row.organization, revoked_at=None)
    if not same.update(digest=row.digest, previous_digest="", previous_until=None):
        raise AlreadyExists("The API key was made before, and has ended.")
    forget_keys(key_id=row.pk)
    record_event(row.organization, "api_key.rotated", by=by, key=str(row.pk), overlap_seconds=0)
    return same.get()


def _check_room(organization_id: UUID) -> None:
    used = ApiKey.objects.filter(_live(), organization=organization_id).count()
    if used >= LIVE_MAX_KEYS:
        raise PlanLimitReached(
            f"An organization has at most {LIVE_MAX_KEYS} API keys.",
            extra={"limit": LIVE_MAX_KEYS, "used": used, "name": "api_keys"},
        )


def change_key(principal: Principal, key_id: UUID, given: Mapping[str, Any]) -> ApiKey:
    """Change the name, the scopes, the collections or the expiry of a key that has not ended.

    Raises NotFound, ValidationFailed, PermissionDenied or TokenRevoked.
    """
    with transaction.atomic():
        _lock(principal)
        row = _get_live(principal.organization_id, key_id)
        check_grant(principal, row.role)
        changes = _checked(row, given)
        if not ApiKey.objects.filter(_live(), pk=key_id).update(**changes):
            raise NotFound(NO_KEY)
        forget_keys(key_id=key_id)
        told = {name: value for name, value in changes.items() if name != "name"}
        changed = sorted(changes)
        record_event(
            row.organization, "api_key.changed", by=principal.actor, key=str(key_id),
            role=row.role, changed=changed, **told,
        )  # fmt: skip
    return ApiKey.objects.get(pk=key_id)


def _lock(principal: Principal) -> None:
    """Lock the organization, and raise unless the principal may manage its keys by the rows now."""
    lock_people(principal.organization_id)
    check_still_allowed(principal, "keys.manage")


def _checked(row: ApiKey, given: Mapping[str, Any]) -> dict[str, Any]:
    collections = given.get("collections", row.collections)
    if "collections" in given and "scopes" not in given:
        check_narrowing(row.scopes, collections)
    rules: dict[str, Callable[[Any], Any]] = {
        "scopes": lambda value: check_scopes(row.role, value, collections),
        "collections": check_collections,
        "expires_at": check_expiry,
    }
    return {name: rules.get(name, str)(value) for name, value in given.items()}


def rotate_key(
    principal: Principal, key_id: UUID, *, overlap_seconds: int = OVERLAP_DEFAULT_SECONDS
) -> IssuedKey:
    """Give a key a new secret; the one before holds for the overlap.

    While it does, the key is rotated again without an overlap alone: that ends both secrets, and
    any other rotation would break the promise. Raises NotFound, PermissionDenied, TokenRevoked, and
    RevisionConflict for that, or if another rotation came in between.
    """
    row = _get_live(principal.organization_id, key_id)
    check_grant(principal, row.role)
    secret, now = key_tokens.make_key(key_id), timezone.now()
    with transaction.atomic():
        _lock(principal)
        unchanged = ApiKey.objects.filter(_live(), pk=key_id, digest=row.digest)
        if overlap_seconds:
            unchanged = unchanged.filter(Q(previous_until=None) | Q(previous_until__lte=now))
        if not unchanged.update(
            digest=key_tokens.digest_of(secret),
            previous_digest=row.digest,
            previous_until=now + timedelta(seconds=overlap_seconds),
            rotated_at=now,
        ):
            _get_live(principal.organization_id, key_id)
            raise RevisionConflict(NOT_NOW, hint=ROTATE_HINT)
        forget_keys(key_id=key_id)
        record_event(
            row.organization, "api_key.rotated", by=principal.actor, key=str(key_id),
            overlap_seconds=overlap_seconds,
        )  # fmt: skip
    return IssuedKey(ApiKey.objects.get(pk=key_id), secret)


def revoke_as(principal: Principal, key_id: UUID) -> bool:
    """End a key as `revoke_key` does, if the principal may. Raises PermissionDenied, too."""
    with transaction.atomic():
        _lock(principal)
        return revoke_key(principal.organization_id, key_id, by=principal.actor)


def revoke_key(organization_id: UUID, key_id: UUID, *, by: str) -> bool:
    """End a key; it stays in the list. Return False if it was revoked before. Raises NotFound."""
    row = _get(organization_id, key_id)
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=timezone.now()):
            return False
        forget_keys(key_id=key_id)
        record_event(row.organization, "api_key.revoked", by=by, key=str(key_id), role=row.role)
    return True


def revoke_keys_of(organization: Organization) -> int:
    """End every key of an organization. Return how many; the caller records why."""
    held = ApiKey.objects.filter(organization=organization, revoked_at=None)
    ended = held.update(revoked_at=timezone.now())
    forget_keys(organization_id=organization.pk)
    return ended


def _live() -> Q:
    return Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


def _get(organization_id: UUID, key_id: UUID, *conditions: Q) -> ApiKey:
    rows = ApiKey.objects.select_related("organization")
    row = rows.filter(*conditions, pk=key_id, organization=organization_id).first()
    if row is None:
        raise NotFound(NO_KEY)
    return row


def _get_live(organization_id: UUID, key_id: UUID) -> ApiKey:
    return _get(organization_id, key_id, _live())
