"""Change one's password, or get a new one by a letter."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema_passwords as schema
from accounts.api.serializers import TEXT_MAX_INPUT, SecretField, TextField
from accounts.authentication import get_signed_in
from accounts.password_resets import change_password, forget_password, reset_password
from accounts.roles import PUBLIC, SIGNED_IN
from tenancy.api.requests import StrictSerializer, check_parameters, json_body, validated
from tenancy.api.viewsets import ApiViewSet

FORGOTTEN = "If there is an account with this e-mail address, a letter is on its way to it."


class ChangePassword(StrictSerializer):
    """What POST /auth/password/change takes."""

    current_password = SecretField()
    new_password = SecretField()


class ForgetPassword(StrictSerializer):
    """What POST /auth/password/forgot takes."""

    email = TextField(max_length=TEXT_MAX_INPUT)


class ResetPassword(StrictSerializer):
    """What POST /auth/password/reset takes."""

    token = TextField(max_length=TEXT_MAX_INPUT)
    new_password = SecretField()


@extend_schema(tags=["identity"])
class PasswordViewSet(ApiViewSet):
    """One's own password."""

    required = {"change": SIGNED_IN}

    @extend_schema(**schema.CHANGE)
    def change(self, request: Request) -> Response:
        """Change the password of whoever is signed in; their other sessions end."""
        check_parameters(request)
        member = get_signed_in(request)
        form = validated(ChangePassword, json_body(request))
        change_password(member, form["current_password"], form["new_password"])
        return Response(status=204)


@extend_schema(tags=["identity"])
class ForgottenPasswordViewSet(ApiViewSet):
    """A password that is not known any more: public, and blind to credentials sent along."""

    authentication_classes = []
    required = {"forgot": PUBLIC, "reset": PUBLIC}
    address_limits = {"forgot": "LIMIT_FORGOT_ADDRESS", "reset": "LIMIT_FORGOT_ADDRESS"}

    @extend_schema(**schema.FORGET)
    def forgot(self, request: Request) -> Response:
        """Have a letter sent with which a new password can be chosen."""
        check_parameters(request)
        forget_password(validated(ForgetPassword, json_body(request))["email"])
        return Response({"message": FORGOTTEN}, status=202)

    @extend_schema(**schema.RESET)
    def reset(self, request: Request) -> Response:
        """Choose a new password by the token of a letter; every session ends."""
        check_parameters(request)
        form = validated(ResetPassword, json_body(request))
        reset_password(form["token"], form["new_password"])
        return Response(status=204)
