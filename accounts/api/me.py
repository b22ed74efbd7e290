"""Oneself: one's account, and the organizations one belongs to."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema_members as schema
from accounts.api.auth import represent_membership, represent_user
from accounts.api.serializers import ConfirmSignUp
from accounts.api.serializers_members import AccountDeletion, ProfileChanges
from accounts.authentication import get_signed_in
from accounts.confirmed_signup import CONFIRMED
from accounts.email_changes import ASKED, ask_to_change_email, confirm_email
from accounts.memberships import existing_memberships
from accounts.models import Membership, TotpDevice
from accounts.principals import Member
from accounts.profile import change_email, change_name, delete_account, get_account
from accounts.roles import SIGNED_IN
from tenancy.api.pages import page_of_rows
from tenancy.api.requests import check_parameters, json_body, validated
from tenancy.api.viewsets import ApiViewSet


@extend_schema(tags=["identity"])
class MeViewSet(ApiViewSet):
    """Whoever is signed in."""

    required = dict.fromkeys(
        ("retrieve", "partial_update", "destroy", "organizations", "confirm_email"), SIGNED_IN
    )

    @extend_schema(**schema.GET_ME)
    def retrieve(self, request: Request) -> Response:
        """Return one's account."""
        check_parameters(request)
        return Response(represent_account(get_signed_in(request)))

    @extend_schema(**schema.PATCH_ME)
    def partial_update(self, request: Request) -> Response:
        """Change one's name; with the password, one's address."""
        check_parameters(request)
        form = validated(ProfileChanges, json_body(request))
        member = get_signed_in(request)
        is_asked = "email" in form and self._change_email(member, form)
        if "name" in form:
            change_name(member, form["name"])
        if is_asked:
            return Response({"message": ASKED}, status=202)
        return Response(represent_account(member))

    def _change_email(self, member: Member, form: dict[str, Any]) -> bool:
        """Change one's address; return whether that waits for a letter to be answered."""
        email, password = form["email"], form["current_password"]
        if settings.ACCOUNTS_SIGNUP == CONFIRMED:
            return ask_to_change_email(member, email, current_password=password)
        change_email(member, email, current_password=password)
        return False

    @extend_schema(**schema.CONFIRM_EMAIL)
    def confirm_email(self, request: Request) -> Response:
        """Change one's address, by the token of the letter to it; one's other sessions end."""
        check_parameters(request)
        form = validated(ConfirmSignUp, json_body(request))
        member = get_signed_in(request)
        confirm_email(member, form["token"])
        return Response(represent_account(member))

    @extend_schema(**schema.DELETE_ME)
    def destroy(self, request: Request) -> Response:
        """Remove one's account, with memberships and sessions."""
        check_parameters(request)
        form = validated(AccountDeletion, json_body(request))
        delete_account(get_signed_in(request), current_password=form["current_password"])
        return Response(status=204)

    @extend_schema(**schema.LIST_MY_ORGANIZATIONS)
    def organizations(self, request: Request) -> Response:
        """Return a page of one's organizations, the oldest membership first."""
        check_parameters(request, "limit", "cursor")
        member = get_signed_in(request)
        rows = existing_memberships(get_account(member))

        def represent(row: Membership) -> dict[str, Any]:
            return represent_own_membership(row, member)

        scope = f"{member.user_id}/organizations"
        return Response(page_of_rows(request, rows, represent, scope=scope, newest_first=False))


def represent_account(member: Member) -> dict[str, Any]:
    """Return a user's own account, and where they are signed in with this token."""
    user = get_account(member)
    devices = TotpDevice.objects.filter(user=user, confirmed=True)
    return {
        **represent_user(user),
        "created_at": user.created_at.isoformat(),
        "two_factor": devices.exists(),
        "organization_id": str(member.organization_id),
        "role": str(member.role),
        "session_id": str(member.session_id),
    }


def represent_own_membership(membership: Membership, member: Member) -> dict[str, Any]:
    """Return one of one's organizations."""
    return {
        **represent_membership(membership),
        "status": membership.organization.status,
        "membership_id": str(membership.pk),
        "created_at": membership.created_at.isoformat(),
        "current": membership.organization_id == member.organization_id,
    }
