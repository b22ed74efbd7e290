"""What the OpenAPI document says of sign-up, sign-in and the compatibility routes."""

from typing import Any

from accounts.api.schema_passwords import MESSAGE
from accounts.openapi import API_KEY, BEARER
from tenancy.api.idempotent import PARAMETER as IDEMPOTENCY_KEY
from tenancy.api.schema import answers, delete_body, query

_TEXT = {"type": "string"}
_SECONDS = {"type": "integer", "description": "Seconds."}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _json(body: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": body}


_JSON_OR_FORM = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")


def _json_or_form(body: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(_JSON_OR_FORM, body)


_MEMBERSHIP = _object(id=_TEXT, slug=_TEXT, name=_TEXT, role=_TEXT)
_SIGNED_IN = _object(
    "access_token",
    access_token=_TEXT,
    token_type=_TEXT,
    expires_in=_SECONDS,
    refresh_token=_TEXT | {"description": "Works once: the answer holds its successor."},
    refresh_expires_in=_SECONDS,
    session_id=_TEXT,
    user=_object(id=_TEXT, email=_TEXT, name=_TEXT),
    organization=_MEMBERSHIP,
    memberships={"type": "array", "items": _MEMBERSHIP},
)

SIGN_UP: dict[str, Any] = {
    "summary": "Create an organization and its owner",
    "description": (
        "An account that belongs to no organization any more founds one with its own address and "
        "password."
    ),
    "auth": [],
    "parameters": [IDEMPOTENCY_KEY],
    "request": _json(
        _object(
            "organization_name",
            "email",
            "password",
            organization_name=_TEXT,
            email=_TEXT,
            password=_TEXT,
            name=_TEXT,
            code=_TEXT | {"description": "For an account with an authenticator."},
        )
    ),
    "responses": answers(400, 401, 409, 415, 422, 429, 503, s201=_SIGNED_IN, s202=MESSAGE),
}
CONFIRM_SIGN_UP: dict[str, Any] = {
    "summary": "Create an organization and its owner, by the token of a letter",
    "description": (
        "Where `ACCOUNTS_SIGNUP` is `confirmed`: POST /auth/signup answers 202 and sends a letter. "
        "A token that is not valid, too old or used is a 422 that points at `/token`."
    ),
    "auth": [],
    "request": _json(_object("token", token=_TEXT)),
    "responses": answers(400, 409, 415, 422, 429, 503, s201=_SIGNED_IN),
}
LOG_IN: dict[str, Any] = {
    "summary": "Sign in",
    "auth": [],
    "request": _json(
        _object(
            "email",
            "password",
            email=_TEXT,
            password=_TEXT,
            organization=_TEXT | {"description": "Slug or id; else the oldest membership."},
            code=_TEXT | {"description": "Of the authenticator, or a recovery code."},
        )
    ),
    "responses": answers(400, 401, 403, 410, 415, 422, 429, s200=_SIGNED_IN),
}
REFRESH: dict[str, Any] = {
    "summary": "Get new tokens for a refresh token",
    "auth": [],
    "request": _json(
        _object(
            "refresh_token",
            refresh_token=_TEXT,
            organization=_TEXT | {"description": "Slug or id of another of one's organizations."},
        )
    ),
    "responses": answers(400, 401, 404, 410, 415, 422, 429, s200=_SIGNED_IN),
}

_LEGACY_FIELDS = dict.fromkeys(
    ("id", "organization_id", "organization_name", "collection_name", "created_at"), _TEXT
)
_LEGACY_ORGANIZATION = _LEGACY_FIELDS | {
    "admin_email": _TEXT | {"description": "For members alone."}
}
_LEGACY = _object(
    message=_TEXT, **_LEGACY_ORGANIZATION, organization=_object(**_LEGACY_ORGANIZATION)
)
_LEGACY_UPDATED = _object(
    message=_TEXT, **_LEGACY_FIELDS, organization=_object(**_LEGACY_FIELDS),
    old_name=_TEXT, new_name=_TEXT,
)  # fmt: skip
_NAME = query("organization_name", "The name of the organization.")

_ACCOUNT = {
    "email": _TEXT,
    "password": _TEXT,
    "admin_email": _TEXT | {"description": "As `email`."},
    "admin_password": _TEXT | {"description": "As `password`."},
}
_LEGACY_NAMES = {
    "organization_name": _TEXT | {"description": "The new name, or the current one beside one."},
    "old_organization_name": _TEXT,
    "new_organization_name": _TEXT,
    "old_name": _TEXT | {"description": "As `old_organization_name`."},
    "new_name": _TEXT | {"description": "As `new_organization_name`."},
}


def _either(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Return that of each pair of names one is needed."""
    return {"allOf": [{"anyOf": [{"required": [name]} for name in pair]} for pair in pairs]}


LEGACY_CREATE: dict[str, Any] = {
    "summary": "Create an organization",
    "description": (
        "What is taken is a 400 here. A 409 says that the request with this `Idempotency-Key` is "
        "being answered."
    ),
    "deprecated": True,
    "auth": [],
    "parameters": [IDEMPOTENCY_KEY],
    "request": _json_or_form(
        _object("organization_name", organization_name=_TEXT, code=_TEXT, **_ACCOUNT)
        | _either(("email", "admin_email"), ("password", "admin_password"))
    ),
    "responses": answers(400, 401, 409, 415, 422, 429, 503, s201=_LEGACY, s202=MESSAGE),
}
LEGACY_GET: dict[str, Any] = {
    "summary": "Read an organization",
    "deprecated": True,
    "auth": [{BEARER: []}, {API_KEY: []}, {}],  # a credential, or none
    "parameters": [_NAME],
    "responses": answers(404, 422, 503, s200=_LEGACY),
}
LEGACY_UPDATE: dict[str, Any] = {
    "summary": "Rename the organization, change one's own e-mail and password",
    "deprecated": True,
    "parameters": [
        query(name, f"As `{name}` of the body.") for name in (*_LEGACY_NAMES, *_ACCOUNT)
    ],
    "request": _json_or_form(_object(**_LEGACY_NAMES, **_ACCOUNT)),
    "responses": answers(400, 401, 403, 404, 409, 410, 415, 422, 429, 503, s200=_LEGACY_UPDATED),
}
LEGACY_DELETE: dict[str, Any] = {
    "summary": "Delete the organization and its data",
    "deprecated": True,
    "parameters": [_NAME],
    "extensions": delete_body(_object(organization_name=_TEXT), *_JSON_OR_FORM, required=False),
    "responses": answers(400, 401, 403, 404, 409, 410, 415, 422, 503, s200=_object(message=_TEXT)),
}
LEGACY_LOGIN: dict[str, Any] = {
    "summary": "Sign in",
    "deprecated": True,
    "auth": [],
    "request": _json_or_form(
        _object(**_ACCOUNT, code=_TEXT | {"description": "Where the user has two factors."})
        | _either(("email", "admin_email"), ("password", "admin_password"))
    ),
    "responses": answers(
        400, 401, 403, 410, 415, 422, 429,
        s200=_object(
            "access_token",
            **dict.fromkeys(("access_token", "refresh_token", "token_type", "admin_id"), _TEXT),
            **dict.fromkeys(("organization_id", "organization_name", "email"), _TEXT),
            expires_in=_SECONDS,
            refresh_expires_in=_SECONDS,
        ),
    ),
}  # fmt: skip
