"""From the Authorization header to who makes the request."""

from typing import cast
from uuid import UUID

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.exceptions import NotAuthenticated
from accounts.sessions import Principal, get_principal
from accounts.tokens import Claims, read_access_token

SCHEME = "Bearer"


def find_claims(request: HttpRequest) -> Claims | None:
    """Return the claims of the request's token, verified once; None without a token.

    Raises NotAuthenticated for a token that is not valid.
    """
    kept: Claims | None = getattr(request, "_access_claims", None)
    if kept is not None:
        return kept
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != SCHEME.lower() or not token.strip():
        raise NotAuthenticated("The Authorization header is not “Bearer <access token>”.")
    claims = read_access_token(token.strip())
    request._access_claims = claims  # type: ignore[attr-defined]  # noqa: SLF001
    return claims


def organization_claim(request: HttpRequest) -> UUID | None:
    """Return which organization the request's token is for, or None."""
    try:
        claims = find_claims(request)
    except NotAuthenticated:
        return None
    return claims.organization_id if claims is not None else None


def find_principal(request: Request) -> Principal | None:
    """Return who makes the request, or None without a credential."""
    return cast(Principal | None, request.user)


class AccessTokenAuthentication(BaseAuthentication):
    """DRF's question "who are you", answered by the token and the rows behind it."""

    def authenticate(self, request: Request) -> tuple[Principal, Claims] | None:
        """Return the principal and the claims, or None without a credential.

        OPTIONS asks about the route: whatever credential comes along with it is not looked at.
        """
        if request.method == "OPTIONS":
            return None
        claims = find_claims(request._request)  # noqa: SLF001
        return None if claims is None else (get_principal(claims), claims)

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return f'{SCHEME} realm="tenantry"'
