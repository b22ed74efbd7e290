"""Endpoints declare, this decides, the undeclared is denied."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.authentication import find_principal, get_signed_in
from accounts.exceptions import NotAuthenticated, PermissionDenied, TwoFactorEnrollmentRequired
from accounts.principals import KeyHolder, Principal
from accounts.roles import PUBLIC, SIGNED_IN


class DeclaredPermission(BasePermission):
    """Compare what the view's action requires with what whoever asks may do."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True, or raise NotAuthenticated, PermissionDenied or its like."""
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
        if needed == SIGNED_IN:
            get_signed_in(request)
            return True
        if principal.lacks_second_factor:
            raise TwoFactorEnrollmentRequired
        _check_permission(principal, needed)
        if (collection := view.kwargs.get("collection")) is not None:
            principal.check_collection(collection)
        return True


def _check_permission(principal: Principal, needed: str | None) -> None:
    if needed is None:
        raise PermissionDenied("This is not allowed.")
    if principal.may(needed):
        return
    if isinstance(principal, KeyHolder):
        raise PermissionDenied(f"This API key does not allow this; it needs “{needed}”.")
    raise PermissionDenied(
        f"Your role “{principal.role}” does not allow this; it needs “{needed}”."
    )
