"""What the OpenAPI document says of members, oneself and one's organizations."""

from typing import Any

from drf_spectacular.types import OpenApiTypes

from accounts.api.schema_passwords import MESSAGE
from accounts.roles import Role
from tenancy.api.idempotent import PARAMETER as IDEMPOTENCY_KEY
from tenancy.api.schema import answers, delete_body, page_of, query
from tenancy.api.schema_organization import ORGANIZATION

_TEXT = {"type": "string"}
_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_FLAG = {"type": "boolean"}
_ROLE = {"type": "string", "enum": Role.values}
_TEXTS = {"type": "array", "items": _TEXT}
_PASSWORD = _TEXT | {"description": "The password that holds now."}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _json(body: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": body}


_PAGING = [
    query("limit", "1..1000, 50 by default.", OpenApiTypes.INT),
    query("cursor", "`page.next` of the page before."),
]
MEMBER: dict[str, Any] = _object(
    id=_ID | {"description": "Of the membership."},
    user=_object(id=_ID, email=_TEXT, name=_TEXT),
    role=_ROLE,
    two_factor=_FLAG | {"description": "Whether they have an authenticator."},
    created_at=_TIME,
)
ACCOUNT: dict[str, Any] = _object(
    id=_ID, email=_TEXT, name=_TEXT, created_at=_TIME, two_factor=_FLAG,
    organization_id=_ID, role=_ROLE, session_id=_ID,
)  # fmt: skip
MY_ORGANIZATION: dict[str, Any] = _object(
    id=_ID, slug=_TEXT, name=_TEXT, role=_ROLE, status=_TEXT, membership_id=_ID,
    created_at=_TIME | {"description": "Of the membership."},
    current=_FLAG | {"description": "Whether the access token is for it."},
)  # fmt: skip
PERMISSIONS: dict[str, Any] = _object(
    role=_ROLE,
    permissions=_TEXTS,
    scopes={**_TEXTS, "type": ["array", "null"], "description": "Of an API key."},
    collections={
        **_TEXTS,
        "type": ["array", "null"],
        "description": "The only ones an API key may touch; null: every one.",
    },
)
FOUNDED: dict[str, Any] = {
    "type": "object",
    "properties": {**ORGANIZATION["properties"], "role": _ROLE, "hint": _TEXT},
}

LIST_MEMBERS: dict[str, Any] = {
    "summary": "List the members, the first first",
    "parameters": [*_PAGING, query("role", "Only those in this role.")],
    "responses": answers(400, 401, 403, 410, 503, s200=page_of(MEMBER)),
}
CHANGE_MEMBER: dict[str, Any] = {
    "summary": "Give a member another role",
    "request": _json(_object("role", role=_ROLE)),
    "responses": answers(400, 401, 403, 404, 409, 410, 415, 422, 503, s200=MEMBER),
}
REMOVE_MEMBER: dict[str, Any] = {
    "summary": "Remove a member",
    "responses": answers(400, 401, 403, 404, 409, 410, 503, s204=None),
}
GET_PERMISSIONS: dict[str, Any] = {
    "summary": "What may I do",
    "responses": answers(400, 401, 403, 410, 503, s200=PERMISSIONS),
}
TRANSFER_OWNERSHIP: dict[str, Any] = {
    "summary": "Make another member an owner, and oneself an admin",
    "request": _json(_object("member", member=_ID | {"description": "The id of a membership."})),
    "responses": answers(400, 401, 403, 404, 409, 410, 415, 422, 503, s200=MEMBER),
}
LEAVE_ORGANIZATION: dict[str, Any] = {
    "summary": "Leave the organization",
    "request": None,
    "responses": answers(400, 401, 403, 409, 410, 503, s204=None),
}
RESTORE_ORGANIZATION: dict[str, Any] = {
    "summary": "Bring the deleted organization back",
    "description": "An owner signs in to a deleted organization by naming it.",
    "request": None,
    "responses": answers(400, 401, 403, 404, 409, 503, s200=ORGANIZATION),
}
FOUND_ORGANIZATION: dict[str, Any] = {
    "summary": "Create another organization",
    "parameters": [IDEMPOTENCY_KEY],
    "request": _json(
        _object("name", name=_TEXT, region=_TEXT | {"description": "Where its data is kept."})
    ),
    "responses": answers(400, 401, 403, 409, 415, 422, 503, s201=FOUNDED),
}
GET_ME: dict[str, Any] = {
    "summary": "Read one's account",
    "responses": answers(400, 401, 403, s200=ACCOUNT),
}
PATCH_ME: dict[str, Any] = {
    "summary": "Change one's name or address",
    "description": (
        "Where `ACCOUNTS_SIGNUP` is `confirmed` a new address is answered with 202, whether or not "
        "somebody has it: a letter goes there, with a token for POST /me/email/confirm."
    ),
    "request": _json(
        _object(
            name=_TEXT,
            email=_TEXT | {"description": "Needs `current_password`; other sessions end."},
            current_password=_PASSWORD,
        )
    ),
    "responses": answers(400, 401, 403, 409, 415, 422, s200=ACCOUNT, s202=MESSAGE),
}
CONFIRM_EMAIL: dict[str, Any] = {
    "summary": "Change one's address, by the token of a letter",
    "description": (
        "The other sessions end. A token that is not valid, too old, used or from before a change "
        "of the password is a 422 that points at `/token`."
    ),
    "request": _json(_object("token", token=_TEXT)),
    "responses": answers(400, 401, 403, 415, 422, s200=ACCOUNT),
}
DELETE_ME: dict[str, Any] = {
    "summary": "Remove one's account",
    "extensions": delete_body(
        _object("current_password", current_password=_PASSWORD), "application/json", required=True
    ),
    "responses": answers(400, 401, 403, 409, 415, 422, s204=None),
}
LIST_MY_ORGANIZATIONS: dict[str, Any] = {
    "summary": "List one's organizations",
    "parameters": _PAGING,
    "responses": answers(400, 401, 403, s200=page_of(MY_ORGANIZATION)),
}
