"""What the OpenAPI document says of sessions."""

from typing import Any

from accounts.openapi import BEARER
from tenancy.api.schema import answers

_TEXT = {"type": "string"}
_JWK_MEMBERS = ("kty", "crv", "x", "kid", "use", "alg")
_TIME = {"type": "string", "format": "date-time"}
SESSION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "organization": {
            "type": "object",
            "properties": dict.fromkeys(("id", "slug", "name"), _TEXT),
        },
        "device": _TEXT | {"description": "The User-Agent of the sign-in."},
        "address": {"type": ["string", "null"]},
        "methods": {"type": "array", "items": _TEXT, "description": "RFC 8176: `pwd`, `otp`."},
        "created_at": _TIME,
        "last_seen_at": _TIME,
        "expires_at": _TIME,
        "current": {"type": "boolean"},
    },
}
LOG_OUT: dict[str, Any] = {
    "summary": "End this session",
    "auth": [{BEARER: []}],
    "request": None,
    "responses": answers(400, 401, 403, s204=None),
}
LOG_OUT_ALL: dict[str, Any] = {
    "summary": "End every session of the user, this one included",
    "auth": [{BEARER: []}],
    "request": None,
    "responses": answers(400, 401, 403, s204=None),
}
LIST_SESSIONS: dict[str, Any] = {
    "summary": "List the open sessions of the user",
    "responses": answers(
        400, 401, 403,
        s200={
            "type": "object",
            "required": ["data"],
            "properties": {"data": {"type": "array", "items": SESSION}},
        },
    ),
}  # fmt: skip
END_SESSION: dict[str, Any] = {
    "summary": "End one session of the user",
    "responses": answers(400, 401, 403, 404, s204=None),
}
SIGNING_KEYS: dict[str, Any] = {
    "summary": "The public keys of access tokens (RFC 7517)",
    "auth": [],
    "responses": answers(
        400, 404,
        s200={
            "type": "object",
            "required": ["keys"],
            "properties": {
                "keys": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": dict.fromkeys(_JWK_MEMBERS, _TEXT),
                    },
                }
            },
        },
    ),
}  # fmt: skip
