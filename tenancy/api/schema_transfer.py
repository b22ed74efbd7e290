"""What the OpenAPI document says of imports and exports."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

from tenancy.api.idempotent import PARAMETER
from tenancy.api.schema import COLLECTION, TYPES, USUAL, answered, answers, asked, header, query
from tenancy.api.schema_queries import CONDITIONS, FILTER_PARAMETER
from tenancy.api.schema_values import ref

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
_YES_NO: dict[str, Any] = {"type": "string", "enum": ["1", "true", "0", "false"], "default": "0"}


def _one_of(default: str, other: str) -> dict[str, Any]:
    return {"type": "string", "enum": [default, other], "default": default}


REPORT: dict[str, Any] = {
    "type": "object",
    "required": [
        "lines", "inserted", "replaced", "skipped", "failed", "warned", "problems",
        "complete", "dry_run",
    ],
    "properties": {
        "lines": _COUNT,
        "inserted": _COUNT,
        "replaced": _COUNT,
        "skipped": {**_COUNT, "description": "Lines without a document."},
        "failed": _COUNT,
        "warned": {**_COUNT, "description": "Stored although the schema, which warns, is against."},
        "problems": {"type": "array", "items": _LINE_PROBLEM, "description": "The first 100."},
        "complete": {"type": "boolean"},
        "dry_run": {"type": "boolean"},
    },
}  # fmt: skip
_EXAMPLE_LINES = '{"_id": "A-7", "total": 40}\n{"_id": "A-8", "total": 12}\n'
_IMPORTED = {
    "lines": 2, "inserted": 2, "replaced": 0, "skipped": 0, "failed": 0, "warned": 0,
    "problems": [], "complete": True, "dry_run": False,
}  # fmt: skip
_TAKEN = {
    "line": 1, "code": "already_exists", "detail": "There is a document with this _id already.",
    "errors": [],
}  # fmt: skip
EXPORT: dict[str, Any] = {
    "summary": "Export all documents of one moment, as NDJSON",
    "description": (
        "In `_id` order. An export that could not be finished has as its last line "
        '`{"_export": {"error": {"code", "detail"}}}`, and packed with gzip it has no end. '
        "It ends so, too, when the session, role or key of whoever began it ends."
    ),
    "parameters": [
        COLLECTION,
        FILTER_PARAMETER,
        query("footer", 'End with the line `{"_export": {"count", "sha256"}}`.', _YES_NO),
        TYPES,
        CONDITIONS,
        header("Accept-Encoding", "`gzip`: packed."),
    ],
    "responses": {(200, _NDJSON): _LINES, **answers(*USUAL, 422, 504)},
    "examples": [
        OpenApiExample(
            "Two documents",
            value='{"_id":"A-7","total":40,"_meta":{"rev":1}}\n{"_id":"A-8","_meta":{"rev":1}}\n',
            media_type=_NDJSON,
            response_only=True,
            status_codes=["200"],
        )
    ],
}
IMPORT: dict[str, Any] = {
    "summary": "Import documents from NDJSON",
    "description": (
        "With an `Idempotency-Key` a repeat of an import that was interrupted goes on behind what "
        "was stored. What was stored before an error stays: `import` in the problem says how much. "
        "A body without a `Content-Length` is one gzip file, or its last line is "
        '`{"_export": {"count": N}}`: else it may have been broken off, which is 400. '
        "A session, role or key that ends in the middle ends the import, with 401 or 403; that an "
        "access token gets too old does not."
    ),
    "parameters": [
        COLLECTION,
        query("mode", "`upsert`: replace documents that are there.", _one_of("insert", "upsert")),
        query("on_error", "What to do at a line that fails.", _one_of("stop", "skip")),
        query("dry_run", "Only look.", _YES_NO),
        header("Content-Encoding", "How the body is packed.", _one_of("identity", "gzip")),
        PARAMETER,
    ],
    "request": {_NDJSON: {**_LINES, "x-lines": ref("NewDocument")}},
    "responses": answers(*USUAL, 409, 413, 415, 422, 504, s200=REPORT, s207=REPORT),
    "examples": [
        asked(_EXAMPLE_LINES, media_type=_NDJSON),
        answered(_IMPORTED),
        answered({**_IMPORTED, "inserted": 1, "failed": 1, "problems": [_TAKEN]}, 207, "Skipped"),
    ],
}
