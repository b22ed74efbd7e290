"""What the OpenAPI document says of API keys."""

from typing import Any

from accounts.key_terms import COLLECTIONS_MAX, KEY_ROLES, KEY_SCOPES
from tenancy.api.idempotent import PARAMETER as IDEMPOTENCY_KEY
from tenancy.api.schema import USUAL, answers, page_of, query

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_MAYBE_TIME = {"type": ["string", "null"], "format": "date-time"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 100}
_ROLE = {"type": "string", "enum": [str(role) for role in KEY_ROLES]}
_SCOPES: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "description": "A subset of what the role may.",
    "items": {"type": "string", "enum": sorted(KEY_SCOPES)},
}
_COLLECTIONS: dict[str, Any] = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": COLLECTIONS_MAX,
    "description": "The only collections that the key sees and touches; null is every one.",
    "items": _TEXT,
}
_EXAMPLE = {"name": "Import", "role": "editor", "collections": ["orders"], "expires_in_days": 90}
_FIELDS: dict[str, Any] = {
    "id": {"type": "string", "format": "uuid"},
    "prefix": _TEXT | {"description": "How each of its secrets begins: to tell keys apart."},
    "name": _NAME,
    "role": _ROLE,
    "scopes": _SCOPES,
    "collections": _COLLECTIONS,
    "status": {"type": "string", "enum": ["live", "expired", "revoked"]},
    "created_by": _TEXT,
    "created_at": _TIME,
    "rotated_at": _MAYBE_TIME,
    "previous_until": _MAYBE_TIME
    | {"description": "Until when the secret before the last rotation holds."},
    "last_used_at": _MAYBE_TIME | {"description": "To within about half a minute."},
    "expires_at": _MAYBE_TIME,
    "revoked_at": _MAYBE_TIME,
}
KEY: dict[str, Any] = {"type": "object", "properties": _FIELDS}
KEY_WITH_SECRET: dict[str, Any] = {
    "type": "object",
    "required": ["key"],
    "properties": {
        **_FIELDS,
        "key": _TEXT | {"description": "The secret, `tk_…`. It is shown here and never again."},
    },
}
NEW_KEY: dict[str, Any] = {
    "type": "object",
    "required": ["name", "role"],
    "properties": {
        "name": _NAME,
        "role": _ROLE,
        "scopes": _SCOPES
        | {"type": ["array", "null"], "description": "All that the role has by default."},
        "collections": _COLLECTIONS,
        "expires_at": _MAYBE_TIME,
        "expires_in_days": {"type": "integer", "minimum": 1, "maximum": 3650},
    },
    "example": _EXAMPLE,
}
CHANGES: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        "name": _NAME,
        "scopes": _SCOPES,
        "collections": _COLLECTIONS,
        "expires_at": _MAYBE_TIME,
    },
}
ROTATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "overlap_seconds": {
            "type": "integer",
            "minimum": 0,
            "maximum": 604_800,
            "default": 86_400,
            "description": "For so long the secret before holds, too. While it does, only 0 is "
            "taken, which ends both.",
        }
    },
}
LIST_KEYS: dict[str, Any] = {
    "summary": "List the API keys, those that have ended included",
    "parameters": [
        query("limit", "1..1000, 50 by default.", int),
        query("cursor", "`page.next` of the page before."),
    ],
    "responses": answers(*USUAL, s200=page_of(KEY)),
}
CREATE_KEY: dict[str, Any] = {
    "summary": "Make an API key; its secret is shown once",
    "parameters": [IDEMPOTENCY_KEY],
    "request": {"application/json": NEW_KEY},
    "responses": answers(*USUAL, 409, 415, 422, s201=KEY_WITH_SECRET),
}
CHANGE_KEY: dict[str, Any] = {
    "summary": "Change an API key that has not ended",
    "request": {"application/json": CHANGES},
    "responses": answers(*USUAL, 415, 422, s200=KEY),
}
REVOKE_KEY: dict[str, Any] = {
    "summary": "Revoke an API key",
    "responses": answers(*USUAL, s204=None),
}
ROTATE_KEY: dict[str, Any] = {
    "summary": "Give an API key a new secret, shown once",
    "request": {"application/json": ROTATION},
    "responses": answers(*USUAL, 409, 415, 422, s200=KEY_WITH_SECRET),
}
