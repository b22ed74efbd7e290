"""The bodies that the routes of members, oneself and one's organizations take."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from accounts.api.serializers import TEXT_MAX_INPUT, SecretField, TextField
from accounts.roles import Role
from tenancy.api.requests import StrictSerializer
from tenancy.api.serializers import NameField


class RoleField(serializers.ChoiceField):
    """One of the roles, spelled exactly."""

    def __init__(self) -> None:
        super().__init__(choices=Role.choices)

    def to_internal_value(self, data: Any) -> Role:
        """Return the role."""
        if not isinstance(data, str) or data not in Role.values:
            self.fail("invalid_choice", input=f"{data}"[:TEXT_MAX_INPUT])
        return Role(data)


class IdField(serializers.UUIDField):
    """An id as text; DRF would take numbers for it, too."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the id."""
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class RoleChange(StrictSerializer):
    """What PATCH /organization/members/{id} takes."""

    role = RoleField()


class Transfer(StrictSerializer):
    """What POST /organization/transfer takes: the membership that is to own the organization."""

    member = IdField()


class AnotherOrganization(StrictSerializer):
    """What POST /organizations takes."""

    name = NameField()
    region = TextField(max_length=100, required=False, default="", allow_blank=True)


class ProfileChanges(StrictSerializer):
    """What PATCH /me takes: at least one of name and email, and the password for an address."""

    name = TextField(max_length=100, required=False, allow_blank=True)
    email = TextField(max_length=TEXT_MAX_INPUT, required=False)
    current_password = SecretField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a body that changes nothing, and an address without a password."""
        if not {"name", "email"} & set(attrs):
            raise serializers.ValidationError("Give “name” or “email”.", code="required")
        if "email" in attrs and "current_password" not in attrs:
            message = "Your password is needed to change the address."
            raise serializers.ValidationError(
                {"current_password": ErrorDetail(message, code="required")}
            )
        return attrs


class AccountDeletion(StrictSerializer):
    """What DELETE /me takes: the password, so that nobody else does it."""

    current_password = SecretField()
