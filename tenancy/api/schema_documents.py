"""What the OpenAPI document says of single documents: data for `extend_schema`."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from tenancy.api.schema import (
    COLLECTION,
    IDEMPOTENCY_KEY,
    TYPES,
    USUAL,
    answered,
    answers,
    asked,
    header,
)
from tenancy.api.schema_values import FIELDS_TEXT, ref, text

_JSON, _MERGE_PATCH = "application/json", "application/merge-patch+json"
DOCUMENT_ID = OpenApiParameter(
    "document_id", {"type": "string", "minLength": 1}, "path",
    description="24 hex digits: an ObjectId; else a string; `oid: str: int: uuid:` are explicit.",
)  # fmt: skip
_ETAGS = text(r'(\*|(W/)?"[^"]*"( *, *(W/)?"[^"]*")*)')
_IF_MATCH = header(
    "If-Match", 'Only at one of these revisions, as `"r3"`; `*`: if it exists.', _ETAGS
)
_NOT_AT = header(
    "If-None-Match", "Only if it is at none of these revisions; `*`: never if it is there.", _ETAGS
)
FIELDS = OpenApiParameter(
    "fields", FIELDS_TEXT, "query",
    description="`name,address.city`: only these; `-secret`: all but these.",
)  # fmt: skip
_AT = {"$date": "2026-01-31T09:30:00Z"}
ORDER = {"_id": "A-7", "status": "open", "total": 40, "tags": ["new"]}


def stored(fields: dict[str, Any], revision: int = 1) -> dict[str, Any]:
    """Return an example of a document as it is answered."""
    return {**fields, "_meta": {"rev": revision, "created_at": _AT, "updated_at": _AT}}


_MADE = answered(stored(ORDER), 201, "Made")
CREATE_DOCUMENT: dict[str, Any] = {
    "summary": "Store a new document",
    "parameters": [COLLECTION, IDEMPOTENCY_KEY, TYPES],
    "request": {_JSON: ref("NewDocument")},
    "responses": answers(*USUAL, 409, 413, 415, 422, s201=ref("Document")),
    "examples": [asked(ORDER), _MADE],
}
READ_DOCUMENT: dict[str, Any] = {
    "summary": "Read a document",
    "parameters": [
        COLLECTION,
        DOCUMENT_ID,
        header("If-None-Match", "304 if the document is at this revision.", _ETAGS),
        FIELDS,
        TYPES,
    ],
    "responses": answers(*USUAL, 504, s200=ref("Document"), s304=None),
    "examples": [answered(stored(ORDER))],
}
PUT_DOCUMENT: dict[str, Any] = {
    "summary": "Replace or create a document",
    "parameters": [
        COLLECTION,
        DOCUMENT_ID,
        _IF_MATCH,
        header("If-None-Match", "`*`: create only.", text(r"\*")),
        IDEMPOTENCY_KEY,
        TYPES,
    ],
    "request": {_JSON: ref("NewDocument")},
    "responses": answers(
        *USUAL, 409, 412, 413, 415, 422, s200=ref("Document"), s201=ref("Document")
    ),
    "examples": [
        asked({"status": "paid", "total": 40}),
        answered(stored({"_id": "A-7", "status": "paid", "total": 40}, 2)),
        _MADE,
    ],
}
_PATCH = {"status": "paid", "tags": None}
PATCH_DOCUMENT: dict[str, Any] = {
    "summary": "Change a document by a JSON merge patch (RFC 7396)",
    "parameters": [COLLECTION, DOCUMENT_ID, _IF_MATCH, _NOT_AT, IDEMPOTENCY_KEY, TYPES],
    "request": {_MERGE_PATCH: ref("Patch"), _JSON: ref("Patch")},
    "responses": answers(*USUAL, 409, 412, 413, 415, 422, s200=ref("Document")),
    "examples": [
        asked(_PATCH, media_type=_MERGE_PATCH),
        asked(_PATCH),
        answered(stored({"_id": "A-7", "status": "paid", "total": 40}, 2)),
    ],
}
DELETE_DOCUMENT: dict[str, Any] = {
    "summary": "Delete a document",
    "parameters": [COLLECTION, DOCUMENT_ID, _IF_MATCH, _NOT_AT, IDEMPOTENCY_KEY],
    "responses": answers(*USUAL, 409, 412, 422, s204=None),
}
