"""The API keys of the organization. A secret is shown once: when it is made."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema_api_keys as schema
from accounts.api.serializers import TextField
from accounts.api_keys import (
    NO_KEY,
    OVERLAP_DEFAULT_SECONDS,
    OVERLAP_MAX_SECONDS,
    IssuedKey,
    KeyTerms,
    change_key,
    create_key,
    keys_of,
    revoke_as,
    rotate_key,
)
from accounts.authentication import find_principal
from accounts.exceptions import NotAuthenticated
from accounts.key_terms import COLLECTIONS_MAX
from accounts.key_tokens import prefix_of
from accounts.models import ApiKey
from accounts.principals import Principal
from tenancy.api.idempotent import idempotent
from tenancy.api.pages import page_of_rows
from tenancy.api.requests import StrictSerializer, check_parameters, json_body, validated
from tenancy.api.serializers import ExactIntegerField
from tenancy.api.views import TenantViewSet
from tenancy.exceptions import FieldError, NotFound, ValidationFailed
from tenancy.idempotency import Attempt

NAME_MAX_CHARACTERS = 100
WORD_MAX_INPUT = 100
PATH = "/api/v1/organization/api-keys"
SCOPES_MAX = 50
EXPIRES_MAX_DAYS = 3_650


class _Words(serializers.ListField):
    """A list of short texts."""

    child = TextField(max_length=WORD_MAX_INPUT)

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)


class NewKey(StrictSerializer):
    """What POST /organization/api-keys takes."""

    name = TextField(max_length=NAME_MAX_CHARACTERS)
    role = TextField(max_length=WORD_MAX_INPUT)
    scopes = _Words(max_length=SCOPES_MAX, allow_null=True)
    collections = _Words(max_length=COLLECTIONS_MAX, allow_null=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    expires_in_days = ExactIntegerField(required=False, min_value=1, max_value=EXPIRES_MAX_DAYS)


class KeyChanges(StrictSerializer):
    """What PATCH /organization/api-keys/{id} takes. The role stays: another role, another key."""

    name = TextField(max_length=NAME_MAX_CHARACTERS, required=False)
    scopes = _Words(max_length=SCOPES_MAX)
    collections = _Words(max_length=COLLECTIONS_MAX, allow_null=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class Rotation(StrictSerializer):
    """What POST /organization/api-keys/{id}/rotate takes."""

    overlap_seconds = ExactIntegerField(
        default=OVERLAP_DEFAULT_SECONDS, min_value=0, max_value=OVERLAP_MAX_SECONDS
    )


def represent_key(key: ApiKey) -> dict[str, Any]:
    """Return a key without its secret, of which nothing is kept that could be shown."""
    now = timezone.now()
    overlaps = key.previous_until is not None and key.previous_until > now
    return {
        "id": str(key.pk),
        "prefix": prefix_of(key.pk),
        "name": key.name,
        "role": key.role,
        "scopes": key.scopes,
        "collections": key.collections,
        "status": key.status_at(now),
        "created_by": key.created_by,
        "created_at": key.created_at.isoformat(),
        "rotated_at": _moment(key.rotated_at),
        "previous_until": _moment(key.previous_until) if overlaps else None,
        "last_used_at": _moment(key.last_used_at),
        "expires_at": _moment(key.expires_at),
        "revoked_at": _moment(key.revoked_at),
    }


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _with_secret(issued: IssuedKey, status: int) -> Response:
    body = represent_key(issued.row) | {"key": issued.secret}
    headers = {"Cache-Control": "no-store"}
    if status == 201:
        headers["Location"] = f"{PATH}/{issued.row.pk}"
    return Response(body, status=status, headers=headers)


@extend_schema(tags=["organization"])
class ApiKeyViewSet(TenantViewSet):
    """Keys for programs; people make them, no key makes another."""

    required = {
        "list": "keys.manage",
        "create": "keys.manage",
        "partial_update": "keys.manage",
        "destroy": "keys.manage",
        "rotate": "keys.manage",
    }
    unlimited = frozenset({"list", "destroy"})

    @extend_schema(**schema.LIST_KEYS)
    def list(self, request: Request) -> Response:
        """Return a page of keys, the newest first; those that have ended are among them."""
        check_parameters(request, "limit", "cursor")
        scope = f"{self.tenant.id}/api-keys"
        rows = keys_of(self.tenant.id)
        return Response(page_of_rows(request, rows, represent_key, scope=scope))

    @extend_schema(**schema.CREATE_KEY)
    @idempotent()
    def create(self, request: Request, *, attempt: Attempt) -> Response:
        """Make a key. This answer is the only one that shows its secret."""
        check_parameters(request)
        terms = _terms(validated(NewKey, json_body(request)))
        return _with_secret(create_key(self._principal, terms, attempt=attempt), 201)

    @extend_schema(**schema.CHANGE_KEY)
    def partial_update(self, request: Request, key_id: str) -> Response:
        """Change the name, the scopes, the collections or the expiry."""
        check_parameters(request)
        changes = validated(KeyChanges, json_body(request))
        if not changes:
            message = "Name something to change: name, scopes, collections or expires_at."
            raise ValidationFailed(message, errors=[FieldError("", "required", message)])
        return Response(represent_key(change_key(self._principal, _parse_id(key_id), changes)))

    @extend_schema(**schema.REVOKE_KEY)
    def destroy(self, request: Request, key_id: str) -> Response:
        """Revoke a key; safe to repeat. It stays in the list."""
        check_parameters(request)
        revoke_as(self._principal, _parse_id(key_id))
        return Response(status=204)

    @extend_schema(**schema.ROTATE_KEY)
    def rotate(self, request: Request, key_id: str) -> Response:
        """Give a key a new secret, shown once; the one before holds for the overlap."""
        check_parameters(request)
        wanted = validated(Rotation, {} if request.stream is None else json_body(request))
        issued = rotate_key(
            self._principal, _parse_id(key_id), overlap_seconds=wanted["overlap_seconds"]
        )
        return _with_secret(issued, 200)

    @property
    def _principal(self) -> Principal:
        principal = find_principal(self.request)
        if principal is None:
            raise NotAuthenticated
        return principal


def _terms(form: dict[str, Any]) -> KeyTerms:
    days = form.pop("expires_in_days", None)
    if days is not None:
        if form.get("expires_at") is not None:
            message = "Give expires_at or expires_in_days, not both."
            errors = [FieldError("/expires_in_days", "conflict", message)]
            raise ValidationFailed(message, errors=errors)
        form["expires_at"] = timezone.now() + timedelta(days=days)
    return KeyTerms(**form)


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(NO_KEY) from None
