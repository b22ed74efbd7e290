"""Sign up, sign in, and go on with a session."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema
from accounts.api.serializers import ConfirmSignUp, LogIn, Refresh, SignUp
from accounts.api.signup_keys import by_email
from accounts.confirmed_signup import ASKED, CONFIRMED, ask_to_sign_up, confirm_sign_up
from accounts.login import SignedIn, log_in
from accounts.memberships import memberships_of
from accounts.models import Membership, User
from accounts.refreshing import refresh
from accounts.roles import PUBLIC
from accounts.sessions import Device
from accounts.signup import Account, sign_up
from accounts.tokens import access_token_seconds
from tenancy.api.idempotent import idempotent
from tenancy.api.requests import check_parameters, json_body, validated
from tenancy.api.viewsets import ApiViewSet
from tenancy.idempotency import Attempt
from tenancy.middleware import client_address


def device_of(request: Request | HttpRequest) -> Device:
    """Return where a request comes from, for the list of sessions."""
    inner = request._request if isinstance(request, Request) else request  # noqa: SLF001
    return Device(request.META.get("HTTP_USER_AGENT", ""), client_address(inner))


def represent_user(user: User) -> dict[str, Any]:
    """Return a user as they see themselves."""
    return {"id": str(user.pk), "email": user.email, "name": user.name}


def represent_membership(membership: Membership) -> dict[str, Any]:
    """Return an organization with one's role in it."""
    organization = membership.organization
    return {
        "id": str(organization.pk),
        "slug": organization.slug,
        "name": organization.name,
        "role": membership.role,
    }


def represent_tokens(signed_in: SignedIn) -> dict[str, Any]:
    """Return the pair of tokens and how long each lives, in seconds."""
    return {
        "access_token": signed_in.access_token,
        "token_type": "bearer",
        "expires_in": access_token_seconds(),
        "refresh_token": signed_in.refresh.token,
        "refresh_expires_in": signed_in.refresh.expires_in,
    }


def represent_sign_in(signed_in: SignedIn) -> dict[str, Any]:
    """Return the answer to a sign-in."""
    user = signed_in.membership.user
    return {
        **represent_tokens(signed_in),
        "session_id": str(signed_in.session.pk),
        "user": represent_user(user),
        "organization": represent_membership(signed_in.membership),
        "memberships": [represent_membership(each) for each in memberships_of(user)],
    }


def _account(form: dict[str, Any]) -> Account:
    return Account(form["email"], form["password"], form["name"], form.get("code"))


def _signed_up(signed_in: SignedIn) -> Response:
    headers = {"Location": "/api/v1/organization"}
    return Response(represent_sign_in(signed_in), status=201, headers=headers)


@extend_schema(tags=["identity"])
class AuthViewSet(ApiViewSet):
    """Sign up and sign in: public, and blind to whatever credential is sent along."""

    authentication_classes = []
    required = {"signup": PUBLIC, "confirm": PUBLIC, "login": PUBLIC, "refresh": PUBLIC}
    address_limits = {
        "signup": "LIMIT_SIGNUP_ADDRESS",
        "confirm": "LIMIT_SIGNUP_ADDRESS",
        "refresh": "LIMIT_REFRESH_ADDRESS",
    }

    @extend_schema(**schema.SIGN_UP)
    @idempotent(by_email)
    def signup(self, request: Request, *, attempt: Attempt) -> Response:
        """Create an organization and its owner, and sign the owner in."""
        check_parameters(request)
        form = validated(SignUp, json_body(request))
        name, account = form["organization_name"], _account(form)
        if settings.ACCOUNTS_SIGNUP == CONFIRMED:
            ask_to_sign_up(name, account)
            return Response({"message": ASKED}, status=202)
        signed_in = sign_up(name, account, device=device_of(request), attempt=attempt)
        return _signed_up(signed_in)

    @extend_schema(**schema.CONFIRM_SIGN_UP)
    def confirm(self, request: Request) -> Response:
        """Do what was asked for by a sign-up, with the token of the letter."""
        check_parameters(request)
        form = validated(ConfirmSignUp, json_body(request))
        return _signed_up(confirm_sign_up(form["token"], device=device_of(request)))

    @extend_schema(**schema.LOG_IN)
    def login(self, request: Request) -> Response:
        """Sign in to one of one's organizations."""
        check_parameters(request)
        form = validated(LogIn, json_body(request))
        signed_in = log_in(
            form["email"],
            form["password"],
            organization=form.get("organization"),
            device=device_of(request),
            code=form.get("code"),
        )
        return Response(represent_sign_in(signed_in))

    @extend_schema(**schema.REFRESH)
    def refresh(self, request: Request) -> Response:
        """Return a new pair of tokens; naming another of one's organizations switches to it."""
        check_parameters(request)
        form = validated(Refresh, json_body(request))
        signed_in = refresh(form["refresh_token"], organization=form.get("organization"))
        return Response(represent_sign_in(signed_in))
