"""A user's second factor: set it up, prove it at the sign-in, take it away."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import authenticators
from accounts.api import schema_two_factor as schema
from accounts.api.auth import device_of, represent_sign_in
from accounts.api.serializers import CODE_MAX_INPUT, SecretField, TextField
from accounts.authentication import get_signed_in
from accounts.exceptions import TokenRevoked
from accounts.models import User
from accounts.profile import check_password_of
from accounts.roles import PUBLIC, SIGNED_IN
from accounts.two_factor_login import log_in_with_code
from accounts.two_factor_tokens import TOKEN_MAX_CHARACTERS
from tenancy.api.requests import StrictSerializer, check_parameters, json_body, validated
from tenancy.api.viewsets import ApiViewSet

PATH = "/api/v1/auth/two-factor"


class CurrentPassword(StrictSerializer):
    """What sets an authenticator up."""

    current_password = SecretField()


class Code(StrictSerializer):
    """A code of the authenticator."""

    code = TextField(max_length=CODE_MAX_INPUT)


class Renewal(Code):
    """What makes new recovery codes."""

    current_password = SecretField()


class EitherCode(StrictSerializer):
    """A code of the authenticator or a recovery code, and not both."""

    code = TextField(max_length=CODE_MAX_INPUT, required=False)
    recovery_code = TextField(max_length=CODE_MAX_INPUT, required=False)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Refuse none and two; put the one that is given under `proof`."""
        given = [data[name] for name in ("code", "recovery_code") if name in data]
        if len(given) != 1:
            message = "Send one of “code” and “recovery_code”."
            raise serializers.ValidationError(message, code="one_required")
        return data | {"proof": given[0]}


class Removal(EitherCode):
    """What takes an authenticator away."""

    current_password = SecretField()


class Verification(EitherCode):
    """What ends a sign-in that needs a code."""

    two_factor_token = TextField(max_length=TOKEN_MAX_CHARACTERS)


def _get_user(request: Request) -> User:
    user = User.objects.filter(pk=get_signed_in(request).user_id).first()
    if user is None:
        raise TokenRevoked  # gone since this process last read the rows
    return user


def represent_offer(offer: authenticators.Offer) -> dict[str, Any]:
    """Return what an app needs to know of an authenticator, as link, text and picture."""
    return {
        "otpauth_uri": offer.uri,
        "secret": offer.secret,
        "qr_svg": offer.to_svg(),
        "expires_at": offer.expires_at.isoformat(),
    }


@extend_schema(tags=["identity"])
class TwoFactorViewSet(ApiViewSet):
    """The second factor of whoever is signed in, also where an organization waits for it."""

    required = {
        "retrieve": SIGNED_IN,
        "create": SIGNED_IN,
        "confirm": SIGNED_IN,
        "destroy": SIGNED_IN,
        "renew": SIGNED_IN,
    }

    @extend_schema(**schema.STATE)
    def retrieve(self, request: Request) -> Response:
        """Return whether there is a second factor, and how many recovery codes are left."""
        check_parameters(request)
        state = authenticators.state_of(get_signed_in(request).user_id)
        return Response({"enabled": state.enabled, "recovery_codes_left": state.codes_left})

    @extend_schema(**schema.OFFER)
    def create(self, request: Request) -> Response:
        """Offer an authenticator; it counts once it has shown a code."""
        check_parameters(request)
        form = validated(CurrentPassword, json_body(request))
        user = _get_user(request)
        check_password_of(user, form["current_password"])
        offer = represent_offer(authenticators.offer_authenticator(user))
        return Response(offer, status=201, headers={"Location": PATH})

    @extend_schema(**schema.CONFIRM)
    def confirm(self, request: Request) -> Response:
        """Make the offered authenticator count; this session is one of two factors from now on."""
        check_parameters(request)
        form = validated(Code, json_body(request))
        codes = authenticators.confirm_authenticator(
            _get_user(request), form["code"], session_id=get_signed_in(request).session_id
        )
        return Response({"recovery_codes": codes})

    @extend_schema(**schema.REMOVE)
    def destroy(self, request: Request) -> Response:
        """Take the second factor away."""
        check_parameters(request)
        form = validated(Removal, json_body(request))
        user = _get_user(request)
        check_password_of(user, form["current_password"])
        authenticators.remove_authenticator(user, form["proof"])
        return Response(status=204)

    @extend_schema(**schema.RENEW)
    def renew(self, request: Request) -> Response:
        """Make new recovery codes."""
        check_parameters(request)
        form = validated(Renewal, json_body(request))
        user = _get_user(request)
        # A stolen access token alone neither guesses codes nor makes their owner wait.
        check_password_of(user, form["current_password"])
        codes = authenticators.renew_codes(user, form["code"])
        return Response({"recovery_codes": codes})


@extend_schema(tags=["identity"])
class SecondFactorViewSet(ApiViewSet):
    """The second half of a sign-in: public, and blind to whatever credential is sent along."""

    authentication_classes = []
    required = {"verify": PUBLIC}

    @extend_schema(**schema.VERIFY)
    def verify(self, request: Request) -> Response:
        """Sign in with a code, after the password."""
        check_parameters(request)
        form = validated(Verification, json_body(request))
        signed_in = log_in_with_code(
            form["two_factor_token"], form["proof"], device=device_of(request)
        )
        return Response(represent_sign_in(signed_in))
