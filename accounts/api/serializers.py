"""The bodies that sign-up and sign-in take."""

from typing import Any

from rest_framework import serializers

from tenancy.api.requests import StrictSerializer
from tenancy.api.serializers import NameField

TEXT_MAX_INPUT = 1_000


class SecretField(serializers.CharField):
    """A password: never trimmed, judged by `accounts.passwords`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=TEXT_MAX_INPUT, **options)


class SignUp(StrictSerializer):
    """What POST /auth/signup takes."""

    organization_name = NameField()
    email = serializers.CharField(max_length=TEXT_MAX_INPUT)
    password = SecretField()
    name = serializers.CharField(max_length=100, required=False, default="", allow_blank=True)


class LogIn(StrictSerializer):
    """What POST /auth/login takes; `organization` is a slug or an id."""

    email = serializers.CharField(max_length=TEXT_MAX_INPUT)
    password = SecretField()
    organization = serializers.CharField(max_length=100, required=False)
