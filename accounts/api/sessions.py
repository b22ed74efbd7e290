"""Where one is signed in, and the end of it."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema_sessions as schema
from accounts.authentication import (
    AccessTokenAuthentication,
    find_claims,
    find_credential,
    find_principal,
    get_signed_in,
)
from accounts.exceptions import NotAuthenticated, TokenRevoked
from accounts.models import Session
from accounts.principals import Member, Principal
from accounts.roles import PUBLIC, SIGNED_IN
from accounts.sessions import end_own_session, end_sessions, open_sessions_of
from tenancy.api.requests import check_parameters
from tenancy.api.viewsets import ApiViewSet
from tenancy.exceptions import NotFound


def represent_session(session: Session, member: Member) -> dict[str, Any]:
    """Return a session as its user sees it."""
    seen_at = session.last_seen_at or session.created_at
    return {
        "id": str(session.pk),
        "organization": {
            "id": str(session.organization_id),
            "slug": session.organization.slug,
            "name": session.organization.name,
        },
        "device": session.user_agent,
        "address": session.address,
        "methods": session.methods.split(),
        "created_at": session.created_at.isoformat(),
        "last_seen_at": seen_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
        "current": session.pk == member.session_id,
    }


class EndedAuthentication(AccessTokenAuthentication):
    """Nobody, for a token whose session has ended already; all else is refused as elsewhere."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        """Return the principal, or None."""
        try:
            return super().authenticate(request)
        except TokenRevoked:
            if find_claims(request._request) is None:  # noqa: SLF001
                raise  # an API key: it has no session that could have ended
            return None


@extend_schema(tags=["identity"])
class LogoutViewSet(ApiViewSet):
    """The end of a session; safe to repeat, so one that has ended is no error."""

    authentication_classes = [EndedAuthentication]
    required = {"logout": PUBLIC, "logout_all": PUBLIC}

    @extend_schema(**schema.LOG_OUT)
    def logout(self, request: Request) -> Response:
        """End this session, also by a token of it that a change of role has ended."""
        check_parameters(request)
        member = self._member(request)
        claims = find_claims(request._request)  # noqa: SLF001
        if member is not None:
            end_sessions(member, pk=member.session_id)
        elif claims is not None:
            end_own_session(claims)
        return Response(status=204)

    @extend_schema(**schema.LOG_OUT_ALL)
    def logout_all(self, request: Request) -> Response:
        """End every session, this one included. One that has ended has no say over the others."""
        check_parameters(request)
        member = self._member(request)
        if member is not None:
            end_sessions(member)
        elif _leaves_sessions_open(request):
            raise TokenRevoked
        return Response(status=204)

    def _member(self, request: Request) -> Member | None:
        """Return who is signed in; None if their session has ended."""
        if find_principal(request) is not None:
            return get_signed_in(request)
        if find_credential(request._request) is None:  # noqa: SLF001
            raise NotAuthenticated
        return None


def _leaves_sessions_open(request: Request) -> bool:
    """Return whether the user of a token that has ended is signed in somewhere else."""
    claims = find_claims(request._request)  # noqa: SLF001
    return claims is not None and bool(open_sessions_of(claims.user_id))


@extend_schema(tags=["identity"])
class SessionViewSet(ApiViewSet):
    """The sessions of whoever is signed in."""

    required = {"list": SIGNED_IN, "destroy": SIGNED_IN}

    @extend_schema(**schema.LIST_SESSIONS)
    def list(self, request: Request) -> Response:
        """Return the open sessions, the one that was seen last first."""
        check_parameters(request)
        member = get_signed_in(request)
        sessions = open_sessions_of(member.user_id)
        return Response({"data": [represent_session(each, member) for each in sessions]})

    @extend_schema(**schema.END_SESSION)
    def destroy(self, request: Request, session_id: str) -> Response:
        """End one session. Another user's is not found."""
        check_parameters(request)
        if not end_sessions(get_signed_in(request), pk=_parse_id(session_id)):
            raise NotFound("There is no such session, or it has ended.")
        return Response(status=204)


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such session, or it has ended.") from None
