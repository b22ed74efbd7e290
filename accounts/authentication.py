"""From the headers of a request to who makes it: a user by a token, a program by an API key."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import api_keys
from accounts.exceptions import NotAuthenticated, PermissionDenied
from accounts.principals import KeyHolder, Member, Principal, get_member
from accounts.tokens import Claims, read_access_token

SCHEME = "Bearer"


def find_credential(request: HttpRequest) -> str | None:
    """Return the token or key that a request shows, or None. Raises NotAuthenticated."""
    header: str = request.META.get("HTTP_AUTHORIZATION", "")
    key: str | None = request.META.get("HTTP_X_API_KEY")
    if header and key is not None:
        raise NotAuthenticated("Send one credential: Authorization or X-API-Key.")
    if key is not None:
        if not key.startswith(api_keys.PREFIX):
            raise NotAuthenticated("The X-API-Key header does not hold an API key.")
        return key
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != SCHEME.lower() or not token.strip():
        raise NotAuthenticated("The Authorization header is not “Bearer <access token>”.")
    return token.strip()


def find_claims(request: HttpRequest) -> Claims | None:
    """Return the claims of the request's access token, verified once; None without one.

    Raises NotAuthenticated for a credential that is not valid.
    """
    kept: Claims | None = getattr(request, "_access_claims", None)
    if kept is not None:
        return kept
    credential = find_credential(request)
    if credential is None or credential.startswith(api_keys.PREFIX):
        return None
    claims = read_access_token(credential)
    request._access_claims = claims  # type: ignore[attr-defined]  # noqa: SLF001
    return claims


def _key_holder(request: HttpRequest, credential: str, max_age: float | None = None) -> KeyHolder:
    """Return whom the key stands for; once for a request, which is let in whole or not at all."""
    kept: KeyHolder | None = getattr(request, "_key_holder", None)
    if kept is None or max_age is not None:
        kept = api_keys.get_key_holder(credential, max_age=max_age)
        request._key_holder = kept  # type: ignore[attr-defined]  # noqa: SLF001
    return kept


def _read_principal(request: HttpRequest, *, max_age: float | None = None) -> Principal | None:
    credential = find_credential(request)
    if credential is not None and credential.startswith(api_keys.PREFIX):
        return _key_holder(request, credential, max_age)
    claims = find_claims(request)
    return None if claims is None else get_member(claims, max_age=max_age)


def organization_claim(request: HttpRequest) -> UUID | None:
    """Return which organization the request's credential is for, or None."""
    try:
        claims = find_claims(request)
        if claims is not None:
            return claims.organization_id
        principal = _read_principal(request)
    except NotAuthenticated:
        return None
    return principal.organization_id if principal is not None else None


def find_principal(request: Request) -> Principal | None:
    """Return who makes the request, or None without a credential."""
    return cast(Principal | None, request.user)


def read_afresh(request: Request) -> Principal | None:
    """Return who makes the request by the rows as they are now, and take them for it from now on.

    Raises TokenRevoked and its like for a credential that has ended since.
    """
    principal = _read_principal(request._request, max_age=0)  # noqa: SLF001
    request.user = cast(Any, principal)
    return principal


def principal_later(request: Request) -> Callable[[], Principal]:
    """Return what tells who makes the request while it goes on, by rows as old as any request's.

    It keeps the credential and nothing of the request, and raises TokenRevoked and its like once
    that has ended. That an access token has expired since is no end: its session goes on.
    """
    plain = request._request  # noqa: SLF001
    claims = find_claims(plain)
    if claims is not None:
        return partial(get_member, claims)
    credential = find_credential(plain)
    if credential is None:
        raise NotAuthenticated
    return partial(api_keys.get_key_holder, credential)


def get_signed_in(request: Request) -> Member:
    """Return the user who makes the request. Raises PermissionDenied for a program."""
    principal = find_principal(request)
    if not isinstance(principal, Member):
        raise PermissionDenied("This is for people: an API key has no account. Sign in.")
    return principal


class AccessTokenAuthentication(BaseAuthentication):
    """DRF's question "who are you", answered by the credential and the rows behind it."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        """Return the principal, or None without a credential.

        OPTIONS asks about the route: whatever credential comes along with it is not looked at.
        """
        if request.method == "OPTIONS":
            return None
        principal = _read_principal(request._request)  # noqa: SLF001
        return None if principal is None else (principal, None)

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return f'{SCHEME} realm="tenantry"'
