"""Endpoints declare, this decides, the undeclared is denied."""

from collections.abc import Callable
from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.authentication import (
    find_principal,
    get_signed_in,
    principal_later,
    read_afresh,
)
from accounts.exceptions import NotAuthenticated, PermissionDenied, TwoFactorEnrollmentRequired
from accounts.principals import KeyHolder, Principal
from accounts.roles import PUBLIC, SIGNED_IN

# What is asked for so often, and can be put right, that the rows may be some seconds old.
OFTEN = frozenset({"documents.read", "documents.write"})


class DeclaredPermission(BasePermission):
    """Compare what the view's action requires with what whoever asks may do."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True, or raise NotAuthenticated, PermissionDenied or its like."""
        if view.action is None:
            return True  # no such method here: DRF answers 405
        if view.action == "metadata":
            return True  # what OPTIONS tells of a route is the same for everybody
        needed = getattr(view, "required", {}).get(view.action)
        if needed != PUBLIC:
            _check(request, needed, view.kwargs.get("collection"))
        return True

    def later(self, request: Request, view: Any) -> Callable[[], None]:
        """Return what raises once whoever asks may not do this any more.

        For what goes on for long after it was let in. It keeps neither request nor view.
        """
        tell, needed = principal_later(request), view.required.get(view.action)
        collection = view.kwargs.get("collection")
        return lambda: _judge(tell(), needed, collection)


def _check(request: Request, needed: str | None, collection: str | None) -> None:
    """Raise unless whoever asks may do what needs this permission."""
    principal = find_principal(request)
    if principal is not None and _lasts(request, needed):
        principal = read_afresh(request)
    if principal is None:
        raise NotAuthenticated
    if needed == SIGNED_IN:
        get_signed_in(request)
        return
    _judge(principal, needed, collection)


def _judge(principal: Principal, needed: str | None, collection: str | None) -> None:
    if principal.lacks_second_factor:
        raise TwoFactorEnrollmentRequired
    _check_permission(principal, needed)
    if collection is not None:
        principal.check_collection(collection)


def _lasts(request: Request, needed: str | None) -> bool:
    """Return whether this is a change of more than documents: no cache decides over that."""
    return request.method not in SAFE_METHODS and needed not in OFTEN


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
