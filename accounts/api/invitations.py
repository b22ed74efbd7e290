"""Ask people in; look at an invitation and accept it."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.accepting import accept_by_password, accept_signed_in, get_open_invitation
from accounts.api import schema_invitations as schema
from accounts.api.auth import device_of, represent_sign_in
from accounts.api.serializers import CODE_MAX_INPUT, TEXT_MAX_INPUT, SecretField, TextField
from accounts.authentication import find_principal, get_signed_in
from accounts.exceptions import InvitationExpired, NotAuthenticated
from accounts.invitations import get_invitation, invitations_of, invite, resend, revoke, state_of
from accounts.login import SignedIn
from accounts.models import Invitation
from accounts.principals import Principal
from accounts.roles import PUBLIC, Role
from tenancy.api.idempotent import idempotent
from tenancy.api.pages import page_of_rows
from tenancy.api.requests import StrictSerializer, check_parameters, json_body, validated
from tenancy.api.views import TenantViewSet
from tenancy.api.viewsets import ApiViewSet
from tenancy.exceptions import NotFound
from tenancy.idempotency import Attempt

PATH = "/api/v1/organization/invitations"
# What holds a token, or is opened by one, is for nobody else who uses the same browser or proxy.
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class NewInvitation(StrictSerializer):
    """What POST /organization/invitations takes."""

    email = TextField(max_length=TEXT_MAX_INPUT)
    role = serializers.ChoiceField(
        Role.values, error_messages={"invalid_choice": f"One of {', '.join(Role.values)}."}
    )


class Acceptance(StrictSerializer):
    """What POST /invitations/{token}/accept takes; `name` is for a new account."""

    password = SecretField()
    name = TextField(max_length=100, required=False, default="", allow_blank=True)
    code = TextField(max_length=CODE_MAX_INPUT, required=False)


def represent_invitation(invitation: Invitation) -> dict[str, Any]:
    """Return an invitation as those see it who may invite. The token is in the letter alone."""
    accepted_at, revoked_at = invitation.accepted_at, invitation.revoked_at
    return {
        "id": str(invitation.pk),
        "email": invitation.email,
        "role": invitation.role,
        "state": state_of(invitation).value,
        "invited_by": _inviter(invitation),
        "created_at": invitation.created_at.isoformat(),
        "sent_at": invitation.sent_at.isoformat(),
        "sent_count": invitation.sent_count,
        "expires_at": invitation.expires_at.isoformat(),
        "accepted_at": accepted_at.isoformat() if accepted_at else None,
        "revoked_at": revoked_at.isoformat() if revoked_at else None,
    }


def _inviter(invitation: Invitation) -> dict[str, str] | None:
    """Return who answers for an invitation; None once they are gone."""
    if invitation.invited_by is not None:
        return {"id": f"user:{invitation.invited_by_id}", "email": invitation.invited_by.email}
    key_id = invitation.invited_by_key_id
    return {"id": f"key:{key_id}"} if key_id is not None else None


@extend_schema(tags=["organization"])
class InvitationViewSet(TenantViewSet):
    """The invitations of the organization."""

    required = {
        "list": "members.manage",
        "create": "members.manage",
        "destroy": "members.manage",
        "resend": "members.manage",
    }
    unlimited = frozenset({"destroy"})

    @extend_schema(**schema.LIST_INVITATIONS)
    def list(self, request: Request) -> Response:
        """Return a page of invitations, the newest first."""
        check_parameters(request, "limit", "cursor")
        rows = invitations_of(self.tenant.id)
        scope = f"{self.tenant.id}/invitations"
        return Response(page_of_rows(request, rows, represent_invitation, scope=scope))

    @extend_schema(**schema.INVITE)
    @idempotent()
    def create(self, request: Request, *, attempt: Attempt) -> Response:
        """Make an invitation and send the letter."""
        check_parameters(request)
        form = validated(NewInvitation, json_body(request))
        role = Role(form["role"])
        invitation = invite(self._principal(request), form["email"], role, attempt=attempt)
        location = {"Location": f"{PATH}/{invitation.pk}"}
        return Response(represent_invitation(invitation), status=201, headers=location)

    @extend_schema(**schema.REVOKE_INVITATION)
    def destroy(self, request: Request, invitation_id: str) -> Response:
        """Take an invitation back; safe to repeat."""
        check_parameters(request)
        chosen = _parse_id(invitation_id)
        try:
            revoke(self._principal(request), chosen)
        except InvitationExpired:
            if get_invitation(self.tenant.id, chosen).revoked_at is None:
                raise
        return Response(status=204)

    @extend_schema(**schema.RESEND_INVITATION)
    def resend(self, request: Request, invitation_id: str) -> Response:
        """Send the letter again, with a new token."""
        check_parameters(request)
        invitation = resend(self._principal(request), _parse_id(invitation_id))
        return Response(represent_invitation(invitation))

    def _principal(self, request: Request) -> Principal:
        principal = find_principal(request)
        if principal is None:
            raise NotAuthenticated
        return principal


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such invitation.") from None


@extend_schema(tags=["identity"])
class InvitedViewSet(ApiViewSet):
    """What an invitation offers, to whoever has its token, and whatever else they send along."""

    authentication_classes = []
    required = {"retrieve": PUBLIC}
    address_limits = {"retrieve": "LIMIT_INVITATION_ADDRESS"}

    @extend_schema(**schema.GET_INVITATION)
    def retrieve(self, request: Request, token: str) -> Response:
        """Return the offer. Whether the address has an account is not told."""
        check_parameters(request)
        invitation = get_open_invitation(token)
        offer = {
            "organization": {"name": invitation.organization.name},
            "email": invitation.email,
            "role": invitation.role,
            "expires_at": invitation.expires_at.isoformat(),
        }
        return Response(offer, headers=PRIVATE)


@extend_schema(tags=["identity"])
class AcceptanceViewSet(ApiViewSet):
    """Accept an invitation by a password in the body, or without a body as who is signed in."""

    required = {"accept": PUBLIC}
    address_limits = {"accept": "LIMIT_INVITATION_ADDRESS"}

    @extend_schema(**schema.ACCEPT_INVITATION)
    def accept(self, request: Request, token: str) -> Response:
        """Become a member, and be signed in to the organization."""
        check_parameters(request)
        signed_in = self._accept(request, token)
        answer = represent_sign_in(signed_in)
        return Response(answer, status=201, headers={**PRIVATE, "Location": "/api/v1/organization"})

    def _accept(self, request: Request, token: str) -> SignedIn:
        device = device_of(request)
        if request.stream is None and find_principal(request) is not None:
            return accept_signed_in(token, get_signed_in(request), device=device)
        form = validated(Acceptance, json_body(request))
        return accept_by_password(
            token, form["password"], name=form["name"], code=form.get("code"), device=device
        )
