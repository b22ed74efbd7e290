"""What the OpenAPI document says of invitations."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from accounts.api.schema import LOG_IN
from accounts.openapi import BEARER
from accounts.roles import Role
from tenancy.api.idempotent import PARAMETER as IDEMPOTENCY_KEY
from tenancy.api.schema import answers, page_of, query

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_NO_TIME = {"type": ["string", "null"], "format": "date-time"}
_ROLE = {"type": "string", "enum": Role.values}
_STATES = ("open", "expired", "accepted", "revoked")
_SIGNED_IN = LOG_IN["responses"][(200, "application/json")]
_TOKEN = OpenApiParameter("token", OpenApiTypes.STR, "path", description="From the letter.")

INVITATION: dict[str, Any] = {
    "type": "object",
    "description": "The token is in the letter and nowhere else.",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "email": _TEXT,
        "role": _ROLE,
        "state": {"type": "string", "enum": list(_STATES)},
        "invited_by": {
            "type": ["object", "null"],
            "description": "Who sent the last letter, and answers for it: `user:` or `key:`.",
            "properties": {"id": _TEXT, "email": _TEXT},
        },
        "created_at": _TIME,
        "sent_at": _TIME,
        "sent_count": {"type": "integer"},
        "expires_at": _TIME,
        "accepted_at": _NO_TIME,
        "revoked_at": _NO_TIME,
    },
}
_OFFER: dict[str, Any] = {
    "type": "object",
    "required": ["organization", "email", "role", "expires_at"],
    "properties": {
        "organization": {"type": "object", "properties": {"name": _TEXT}},
        "email": _TEXT,
        "role": _ROLE,
        "expires_at": _TIME,
    },
}

LIST_INVITATIONS: dict[str, Any] = {
    "summary": "List invitations, the newest first",
    "parameters": [
        query("limit", "1..1000, 50 by default.", OpenApiTypes.INT),
        query("cursor", "`page.next` of the page before."),
    ],
    "responses": answers(400, 401, 403, 410, 503, s200=page_of(INVITATION)),
}
INVITE: dict[str, Any] = {
    "summary": "Invite somebody; an owner only by an owner",
    "parameters": [IDEMPOTENCY_KEY],
    "request": {
        "application/json": {
            "type": "object",
            "required": ["email", "role"],
            "properties": {"email": _TEXT, "role": _ROLE},
        }
    },
    "responses": answers(400, 401, 403, 409, 410, 415, 422, 429, 503, s201=INVITATION),
}
REVOKE_INVITATION: dict[str, Any] = {
    "summary": "Take an invitation back",
    "responses": answers(400, 401, 403, 404, 410, 503, s204=None),
}
RESEND_INVITATION: dict[str, Any] = {
    "summary": "Send a new letter; the token of the one before is dead",
    "request": None,
    "responses": answers(400, 401, 403, 404, 409, 410, 429, 503, s200=INVITATION),
}
GET_INVITATION: dict[str, Any] = {
    "summary": "Look at an invitation",
    "auth": [],
    "parameters": [_TOKEN],
    "responses": answers(400, 403, 404, 410, 429, s200=_OFFER),
}
ACCEPT_INVITATION: dict[str, Any] = {
    "summary": "Accept an invitation: by the password of the address's account, the one wanted "
    "for a new account, or without a body as who is signed in",
    "auth": [{BEARER: []}, {}],
    "parameters": [_TOKEN],
    "request": {
        "application/json": {
            "type": "object",
            "required": ["password"],
            "properties": {
                "password": _TEXT,
                "name": _TEXT | {"description": "For a new account."},
                "code": _TEXT | {"description": "For an account with a second factor."},
            },
        }
    },
    "responses": answers(400, 401, 403, 404, 409, 410, 415, 422, 429, s201=_SIGNED_IN),
}
