"""What the OpenAPI document says of passwords."""

from typing import Any

from tenancy.api.schema import answers

_TEXT = {"type": "string"}
_NEW = _TEXT | {
    "minLength": 10,
    "maxLength": 128,
    "description": "Not a common one, not all digits, not like the e-mail address.",
}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": _TEXT},
}


def _body(**fields: Any) -> dict[str, Any]:
    body = {"type": "object", "required": list(fields), "properties": fields}
    return {"application/json": body}


CHANGE: dict[str, Any] = {
    "summary": "Change one's password",
    "description": (
        "The user's other sessions end, this one goes on. A wrong `current_password` is a 422 "
        "that points at it, not a 401: the session itself is still good."
    ),
    "request": _body(current_password=_TEXT, new_password=_NEW),
    "responses": answers(400, 401, 403, 415, 422, 429, s204=None),
}
FORGET: dict[str, Any] = {
    "summary": "Ask for a letter to choose a new password",
    "description": "The answer is the same whether or not there is an account.",
    "auth": [],
    "request": _body(email=_TEXT),
    "responses": answers(400, 415, 422, 429, s202=MESSAGE),
}
RESET: dict[str, Any] = {
    "summary": "Choose a new password by the token of a letter",
    "description": (
        "Every session of the user ends. A token that is not valid, too old or used is a 422 "
        "that points at `/token`. Signing in still takes the second factor, if there is one."
    ),
    "auth": [],
    "request": _body(token=_TEXT, new_password=_NEW),
    "responses": answers(400, 415, 422, 429, s204=None),
}
