"""What the OpenAPI document says of imports and exports."""

from typing import Any

from drf_spectacular.types import OpenApiTypes

from tenancy.api.idempotent import PARAMETER
from tenancy.api.schema import TYPES, USUAL, answers, header, query

_NDJSON = "application/x-ndjson"
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_LINES: dict[str, Any] = {
    "type": "string",
    "description": "A document in Extended JSON on each line.",
}
_LINE_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["line", "code", "detail", "errors"],
    "properties": {
        "line": {"type": "integer", "minimum": 1},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
REPORT: dict[str, Any] = {
    "type": "object",
    "required": [
        "lines", "inserted", "replaced", "skipped", "failed", "problems", "complete",
    ],
    "properties": {
        "lines": _COUNT,
        "inserted": _COUNT,
        "replaced": _COUNT,
        "skipped": {**_COUNT, "description": "Lines without a document."},
        "failed": _COUNT,
        "problems": {"type": "array", "items": _LINE_PROBLEM, "description": "The first 100."},
        "complete": {"type": "boolean"},
    },
    "example": {
        "lines": 3, "inserted": 2, "replaced": 0, "skipped": 0, "failed": 1,
        "problems": [
            {"line": 2, "code": "already_exists", "detail": "…", "errors": []},
        ],
        "complete": True,
    },
}  # fmt: skip
EXPORT: dict[str, Any] = {
    "summary": "Export all documents of one moment, as NDJSON",
    "description": (
        "In `_id` order. An export that could not be finished has as its last line "
        '`{"_export": {"error": {"code", "detail"}}}`, and packed with gzip it has no end.'
    ),
    "parameters": [
        query("filter", "As in the list of documents; so are `field=value`, `field__op=value`."),
        query("footer", 'End with the line `{"_export": {"count", "sha256"}}`: 1 or 0.'),
        TYPES,
        header("Accept-Encoding", "`gzip`: packed."),
    ],
    "responses": {(200, _NDJSON): _LINES, **answers(*USUAL, 504)},
}
IMPORT: dict[str, Any] = {
    "summary": "Import documents from NDJSON",
    "description": (
        "With an `Idempotency-Key` a repeat of an import that was interrupted goes on behind what "
        "was stored. What was stored before an error stays: `import` in the problem says how much."
    ),
    "parameters": [
        query("mode", "`insert` (the default), or `upsert`: replace documents that are there."),
        query("on_error", "`stop` (the default) at the first line that fails, or `skip` it."),
        query("dry_run", "Only look: 1 or 0.", OpenApiTypes.STR),
        header("Content-Encoding", "`gzip`, or nothing."),
        PARAMETER,
    ],
    "request": {_NDJSON: _LINES},
    "responses": answers(*USUAL, 409, 413, 415, 422, 504, s200=REPORT, s207=REPORT),
}
