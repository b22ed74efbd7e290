"""What an API key may be given: a role below owner, scopes that the role has, collections.

Nobody gives a key more than they have themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.exceptions import PermissionDenied
from accounts.principals import Principal
from accounts.roles import Role, permissions_of
from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.names import COLLECTION_NAME

COLLECTIONS_MAX = 100
KEY_ROLES = (Role.ADMIN, Role.EDITOR, Role.VIEWER)
# No key makes keys, ends the organization or decides over owners: people do.
KEY_SCOPES = frozenset(
    {
        "documents.read",
        "documents.write",
        "collections.manage",
        "operations.read",
        "organization.read",
        "organization.update",
        "members.read",
        "members.manage",
        "audit.read",
    }
)
# What tells of every collection: not for a key that may know of some alone.
SCOPES_OVER_EVERYTHING = frozenset({"audit.read"})


@dataclass(frozen=True)
class KeyTerms:
    """What a new key is to be; without scopes it gets all that its role and collections allow."""

    name: str
    role: str
    scopes: Sequence[str] | None = None
    collections: Sequence[str] | None = None
    expires_at: datetime | None = None


def scopes_of(role: str, *, in_some_collections: bool = False) -> list[str]:
    """Return every scope that a key of a role can have, sorted."""
    possible = KEY_SCOPES - SCOPES_OVER_EVERYTHING if in_some_collections else KEY_SCOPES
    return [name for name in permissions_of(role) if name in possible]


def check_role(role: str) -> str:
    """Return the role. Raises ValidationFailed if a key cannot have it."""
    if role not in KEY_ROLES:
        message = f"A key's role is one of {', '.join(KEY_ROLES)}."
        raise ValidationFailed(message, errors=[FieldError("/role", "invalid_choice", message)])
    return role


def check_scopes(
    role: str, scopes: Sequence[str] | None, collections: Sequence[str] | None
) -> list[str]:
    """Return the scopes, sorted, each once. Raises ValidationFailed for one too many."""
    possible = scopes_of(role, in_some_collections=collections is not None)
    if scopes is None:
        return possible
    _refuse_empty(scopes, "/scopes", "A key without scopes can do nothing: name at least one.")
    wrong = [
        FieldError(f"/scopes/{number}", "scope_not_allowed", _why_not(role, scope))
        for number, scope in enumerate(scopes)
        if scope not in possible
    ]
    if wrong:
        raise ValidationFailed("A key has scopes of its role and collections alone.", errors=wrong)
    return sorted(set(scopes))


def check_collections(names: Sequence[str] | None) -> list[str] | None:
    """Return the names, sorted, each once; None is every collection. Raises ValidationFailed."""
    if names is None:
        return None
    _refuse_empty(names, "/collections", "Name at least one collection; null is every one.")
    wrong = [
        FieldError(f"/collections/{number}", "invalid_name", "No collection can have this name.")
        for number, name in enumerate(names)
        if not COLLECTION_NAME.fullmatch(name)
    ]
    if wrong:
        raise ValidationFailed("These are not names of collections.", errors=wrong)
    return sorted(set(names))


def check_expiry(moment: datetime | None) -> datetime | None:
    """Return when a key is to expire; None is never. Raises ValidationFailed for the past."""
    if moment is not None and moment <= timezone.now():
        message = "This is not in the future."
        raise ValidationFailed(message, errors=[FieldError("/expires_at", "in_the_past", message)])
    return moment


def check_narrowing(scopes: Sequence[str], collections: Sequence[str] | None) -> None:
    """Refuse a list of collections for a key that keeps its scopes, if one tells of every one."""
    too_wide = SCOPES_OVER_EVERYTHING & frozenset(scopes)
    if collections is not None and too_wide:
        names = ", ".join(sorted(too_wide))
        message = f"The key has {names}, for keys of every collection. Give other scopes as well."
        error = FieldError("/collections", "scope_not_allowed", message)
        raise ValidationFailed(message, errors=[error])


def check_grant(principal: Principal, role: str) -> None:
    """Raise PermissionDenied unless whoever grants may all that the role may, everywhere."""
    may_all = all(principal.may(name) for name in permissions_of(role))
    if not may_all or principal.collections is not None:
        raise PermissionDenied("Nobody gives a key more than they have themselves.")


def _refuse_empty(values: Sequence[str], pointer: str, message: str) -> None:
    if not values:
        raise ValidationFailed(message, errors=[FieldError(pointer, "empty", message)])


def _why_not(role: str, scope: str) -> str:
    if scope in scopes_of(role):
        return f"“{scope}” is for keys of every collection: it tells of each."
    if scope in KEY_SCOPES:
        return f"The role “{role}” does not have this."
    return f"This is no scope of a key. There are: {', '.join(sorted(KEY_SCOPES))}."
