"""The bodies that sign-up, sign-in and the compatibility routes take."""

from typing import Any

from rest_framework import serializers

from tenancy.api.requests import StrictSerializer
from tenancy.api.serializers import NameField

TEXT_MAX_INPUT = 1_000
TOKEN_MAX_INPUT = 8_000
CODE_MAX_INPUT = 64
# The other names that the compatibility routes have for a field.
ALIASES = {
    "admin_email": "email",
    "admin_password": "password",
    "old_name": "old_organization_name",
    "new_name": "new_organization_name",
}


class TextField(serializers.CharField):
    """Text; DRF would take numbers for it, too."""

    def to_internal_value(self, data: Any) -> str:
        """Return text as it is."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class SecretField(TextField):
    """A password: never trimmed, judged by `accounts.passwords`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=TEXT_MAX_INPUT, **options)


class SignUp(StrictSerializer):
    """What POST /auth/signup takes."""

    organization_name = NameField()
    email = TextField(max_length=TEXT_MAX_INPUT)
    password = SecretField()
    name = TextField(max_length=100, required=False, default="", allow_blank=True)
    code = TextField(max_length=CODE_MAX_INPUT, required=False)


class ConfirmSignUp(StrictSerializer):
    """What POST /auth/signup/confirm and POST /me/email/confirm take."""

    token = TextField(max_length=TOKEN_MAX_INPUT)


class LogIn(StrictSerializer):
    """What POST /auth/login takes; `organization` is a slug or an id."""

    email = TextField(max_length=TEXT_MAX_INPUT)
    password = SecretField()
    organization = TextField(max_length=100, required=False)
    code = TextField(max_length=CODE_MAX_INPUT, required=False)


class Refresh(StrictSerializer):
    """What POST /auth/refresh takes; `organization` is a slug or an id."""

    refresh_token = TextField(max_length=TEXT_MAX_INPUT)
    organization = TextField(max_length=100, required=False)


class Credentials(serializers.Serializer[Any]):
    """E-mail and password; unknown fields are ignored here."""

    email = TextField(max_length=TEXT_MAX_INPUT)
    password = SecretField()


class CredentialsWithCode(Credentials):
    """What POST /admin/login takes; with a code for who has an authenticator."""

    code = TextField(max_length=CODE_MAX_INPUT, required=False)


class NewOrganization(CredentialsWithCode):
    """What POST /org/create takes."""

    organization_name = NameField()


class Changes(Credentials):
    """What PUT /org/update takes, in each of its three shapes."""

    organization_name = NameField(required=False)
    old_organization_name = NameField(required=False)
    new_organization_name = NameField(required=False)
    email = TextField(max_length=TEXT_MAX_INPUT, required=False)
    password = SecretField(required=False)


class NamedOrganization(serializers.Serializer[Any]):
    """What names an organization to get or to delete."""

    organization_name = NameField()
