"""What each role may do: one table."""

from django.db import models


class Role(models.TextChoices):
    """A role in one organization."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


# What an endpoint may declare without naming a permission of a role.
PUBLIC = "public"

_EVERYBODY = frozenset(Role)
_ADMINS = frozenset({Role.OWNER, Role.ADMIN})

PERMISSIONS: dict[str, frozenset[Role]] = {
    "documents.read": _EVERYBODY,
    "documents.write": frozenset({Role.OWNER, Role.ADMIN, Role.EDITOR}),
    "collections.manage": _ADMINS,
    "operations.read": _ADMINS,
    "organization.read": _EVERYBODY,
    "organization.update": _ADMINS,
    "organization.delete": frozenset({Role.OWNER}),
}


def allows(role: str, permission: str) -> bool:
    """Return whether a role has a permission; an unknown permission is nobody's."""
    return role in PERMISSIONS.get(permission, frozenset())
