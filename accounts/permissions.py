"""Endpoints declare, this decides, the undeclared is denied."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.authentication import find_principal
from accounts.exceptions import NotAuthenticated, PermissionDenied
from accounts.roles import PUBLIC, allows


class DeclaredPermission(BasePermission):
    """Compare what the view's action requires with the role of whoever asks."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True, or raise NotAuthenticated or PermissionDenied."""
        if view.action is None:
            return True  # no such method here: DRF answers 405
        if view.action == "metadata":
            return True  # what OPTIONS tells of a route is the same for everybody
        needed = getattr(view, "required", {}).get(view.action)
        if needed == PUBLIC:
            return True
        principal = find_principal(request)
        if principal is None:
            raise NotAuthenticated
        if needed is None or not allows(principal.role, needed):
            raise PermissionDenied(
                f"Your role “{principal.role}” does not allow this; it needs “{needed}”."
                if needed
                else "This is not allowed."
            )
        return True
