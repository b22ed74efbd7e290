"""What each role may do: one table."""

from django.db import models


class Role(models.TextChoices):
    """A role in one organization."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


# What an endpoint may declare without naming a permission of a role: anybody at all; or any user
# who is signed in, in whatever role, because it concerns nobody but themselves.
PUBLIC = "public"
SIGNED_IN = "signed_in"

_EVERYBODY = frozenset(Role)
_ADMINS = frozenset({Role.OWNER, Role.ADMIN})
_OWNERS = frozenset({Role.OWNER})

PERMISSIONS: dict[str, frozenset[Role]] = {
    "documents.read": _EVERYBODY,
    "documents.write": frozenset({Role.OWNER, Role.ADMIN, Role.EDITOR}),
    "collections.manage": _ADMINS,
    "operations.read": _ADMINS,
    "organization.read": _EVERYBODY,
    "organization.update": _ADMINS,
    "policy.manage": _ADMINS,
    "organization.delete": _OWNERS,
    "members.read": _EVERYBODY,
    "members.manage": _ADMINS,
    "owners.manage": _OWNERS,
    "ownership.transfer": _OWNERS,
    "keys.manage": _ADMINS,
    "audit.read": _ADMINS,
}


def allows(role: str, permission: str) -> bool:
    """Return whether a role has a permission; an unknown permission is nobody's."""
    return role in PERMISSIONS.get(permission, frozenset())


def permissions_of(role: str) -> list[str]:
    """Return every permission of a role, sorted."""
    return sorted(name for name in PERMISSIONS if allows(role, name))
