"""What the OpenAPI document says of the second factor."""

from typing import Any

from accounts.api.schema import LOG_IN
from tenancy.api.schema import answers, delete_body

_TEXT = {"type": "string"}
_PASSWORD = _TEXT | {"description": "The password that holds now."}
_CODE = _TEXT | {"description": "Six digits of the authenticator; each works once."}
_RECOVERY_CODE = _TEXT | {"description": "Works once; case and dashes do not matter."}
_EITHER = {"oneOf": [{"required": ["code"]}, {"required": ["recovery_code"]}]}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _json(body: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": body}


_CODES = _object(
    "recovery_codes",
    recovery_codes={
        "type": "array",
        "items": _TEXT,
        "description": "Ten, shown now and never again; the ones from before are dead.",
    },
)
STATE: dict[str, Any] = {
    "summary": "Read whether the user has a second factor",
    "responses": answers(
        400, 401, 403,
        s200=_object(
            "enabled", "recovery_codes_left",
            enabled={"type": "boolean"}, recovery_codes_left={"type": "integer"},
        ),
    ),
}  # fmt: skip
OFFER: dict[str, Any] = {
    "summary": "Begin to set up an authenticator",
    "request": _json(_object("current_password", current_password=_PASSWORD)),
    "responses": answers(
        400, 401, 403, 409, 415, 422, 429,
        s201=_object(
            "otpauth_uri", "secret", "qr_svg", "expires_at",
            otpauth_uri=_TEXT,
            secret=_TEXT | {"description": "In base 32, to be typed where nothing can scan."},
            qr_svg=_TEXT | {"description": "The URI as a QR code: a whole SVG image."},
            expires_at={"type": "string", "format": "date-time"},
        ),
    ),
}  # fmt: skip
CONFIRM: dict[str, Any] = {
    "summary": "Confirm the authenticator by its first code",
    "description": "This session needs no new sign-in. Every other one of the user ends.",
    "request": _json(_object("code", code=_CODE)),
    "responses": answers(400, 401, 403, 404, 409, 415, 422, s200=_CODES),
}
REMOVE: dict[str, Any] = {
    "summary": "Remove the authenticator and the recovery codes",
    "extensions": delete_body(
        _object(
            "current_password", current_password=_PASSWORD, code=_CODE,
            recovery_code=_RECOVERY_CODE,
        ) | _EITHER,
        "application/json",
        required=True,
    ),
    "responses": answers(400, 401, 403, 404, 415, 422, 429, s204=None),
}  # fmt: skip
RENEW: dict[str, Any] = {
    "summary": "Make new recovery codes",
    "request": _json(_object("current_password", "code", current_password=_TEXT, code=_CODE)),
    "responses": answers(400, 401, 403, 404, 415, 422, s200=_CODES),
}
VERIFY: dict[str, Any] = {
    "summary": "Sign in with a code, after the password",
    "auth": [],
    "request": _json(
        _object(
            "two_factor_token",
            two_factor_token=_TEXT | {"description": "From 401 two_factor_required: 5 minutes."},
            code=_CODE,
            recovery_code=_RECOVERY_CODE,
        ) | _EITHER
    ),
    "responses": LOG_IN["responses"],
}  # fmt: skip
