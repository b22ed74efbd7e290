"""What the OpenAPI document says of routes that change many documents."""

from typing import Any

from tenancy.api.bulk_body import FIELDS, REVISION_LIMIT
from tenancy.api.schema import COLLECTION, IDEMPOTENCY_KEY, USUAL, answered, answers, asked
from tenancy.api.schema_values import closed, ref
from tenancy.mongo.bulk import BULK_MAX_OPERATIONS
from tenancy.mongo.many import MANY_MAX_AFFECTED

_ID: dict[str, Any] = {
    "description": (
        "As in a path, a string: 24 hex digits are an ObjectId, `oid: str: int: uuid:` are "
        "explicit. Or Extended JSON: an integer, `$oid`, `$numberLong`, `$uuid`. By default the "
        "`_id` in the document, which must not differ; an `insert` may have neither."
    ),
    "anyOf": [{"type": "string", "minLength": 1}, ref("Id")],
}
_FIELDS: dict[str, Any] = {
    "id": _ID,
    "document": {
        **ref("NewDocument"),
        "description": "What it breaks is the problem of this operation alone.",
    },
    "patch": ref("Patch"),
    "if_rev": {
        "type": "integer",
        "minimum": 0,
        "exclusiveMaximum": REVISION_LIMIT,
        "description": "Only if the document is at this revision, else 412. Not for `insert`.",
    },
}
_MEANING = {
    "insert": "The id must be free.",
    "replace": "The document must be there.",
    "upsert": "Replace or create.",
    "patch": "RFC 7396; the document must be there.",
    "delete": "The document must be there.",
}


def _operation(op: str) -> dict[str, Any]:
    """Return what one kind of operation is, by the table that the request is checked by."""
    named = [name.rstrip("*") for name in FIELDS[op]]
    needed = [name[:-1] for name in FIELDS[op] if name.endswith("*")]
    properties = {"op": {"const": op}, **{name: _FIELDS[name] for name in named}}
    return closed(properties, "op", *needed, description=_MEANING[op])


_BULK: dict[str, Any] = {
    "type": "object",
    "required": ["operations"],
    "properties": {
        "operations": {
            "type": "array",
            "items": {"oneOf": [_operation(op) for op in FIELDS]},
            "minItems": 1,
            "maxItems": BULK_MAX_OPERATIONS,
        },
        "atomic": {
            "type": "boolean",
            "default": False,
            "description": "All, or none and 409 `bulk_aborted`: one transaction.",
        },
    },
    "additionalProperties": False,
}
_PROBLEM_OF_ONE: dict[str, Any] = {
    "type": "object",
    "description": "As the problem of a whole answer; pointers begin with `/operations/<index>`.",
    "required": ["code", "detail", "errors"],
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["index", "op", "status"],
    "properties": {
        "index": {"type": "integer", "description": "Of the operation in the request."},
        "op": {"type": "string"},
        "status": {"type": "integer", "description": "What the single call would have answered."},
        "id": {"type": "string", "description": "As it stands in a path, and in `id` again."},
        "rev": {"type": "integer", "description": "The revision of the document now."},
        "problem": _PROBLEM_OF_ONE,
    },
}
_COUNT = {"type": "integer", "minimum": 0}
_RESULTS: dict[str, Any] = {
    "type": "object",
    "required": ["results", "counts"],
    "properties": {
        "results": {"type": "array", "items": _RESULT, "description": "One for each, in order."},
        "counts": {
            "type": "object",
            "required": ["created", "changed", "deleted", "failed"],
            "properties": dict.fromkeys(("created", "changed", "deleted", "failed"), _COUNT),
        },
    },
}
BULK: dict[str, Any] = {
    "summary": "Do up to 1,000 operations on documents, in order",
    "description": (
        "Each for itself, with 207 and `Bulk-Failed` if some failed; or with `atomic` all or none. "
        "A body of a wrong shape is 422 and nothing is done; a document that is not valid is what "
        "is wrong with its operation. The body has at most 16 MiB."
    ),
    "parameters": [COLLECTION, IDEMPOTENCY_KEY],
    "request": {"application/json": _BULK},
    "responses": answers(*USUAL, 409, 413, 415, 422, s200=_RESULTS, s207=_RESULTS),
    "examples": [
        asked(
            {
                "operations": [
                    {"op": "insert", "document": {"_id": "ada", "name": "Ada"}},
                    {"op": "patch", "id": "A-7", "patch": {"total": 41}, "if_rev": 1},
                    {"op": "delete", "id": "int:7"},
                ]
            },
        ),
        answered(
            {
                "results": [
                    {"index": 0, "op": "insert", "status": 201, "id": "ada", "rev": 1},
                    {"index": 1, "op": "patch", "status": 200, "id": "A-7", "rev": 2},
                    {"index": 2, "op": "delete", "status": 204, "id": "int:7"},
                ],
                "counts": {"created": 1, "changed": 1, "deleted": 1, "failed": 0},
            },
        ),
        answered(
            {
                "results": [
                    {"index": 0, "op": "insert", "status": 201, "id": "ada", "rev": 1},
                    {
                        "index": 1, "op": "patch", "status": 412, "id": "A-7",
                        "problem": {
                            "code": "precondition_failed",
                            "detail": "The document is at revision 4.",
                            "current": '"r4"', "errors": [],
                        },
                    },
                    {"index": 2, "op": "delete", "status": 204, "id": "int:7"},
                ],
                "counts": {"created": 1, "changed": 0, "deleted": 1, "failed": 1},
            },
            207,
            "Two done, one refused",
        ),
    ],
}  # fmt: skip
_MAX_AFFECTED = {
    "type": "integer",
    "minimum": 1,
    "maximum": MANY_MAX_AFFECTED,
    "description": "If more documents match: 422 `max_affected_exceeded`, and nothing is done.",
}
_DRY_RUN = {
    "type": "boolean",
    "default": False,
    "description": "Only say how many match; `ids` are the first 10. Nothing is changed.",
}


def _body(**more: Any) -> dict[str, Any]:
    properties = {
        "filter": ref("Filter"),
        **more,
        "max_affected": _MAX_AFFECTED,
        "dry_run": _DRY_RUN,
    }
    return {
        "type": "object",
        "required": ["filter", *more, "max_affected"],
        "properties": properties,
        "additionalProperties": False,
    }


def _done(verb: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["matched", "dry_run"],
        "properties": {
            "matched": _COUNT,
            verb: _COUNT,
            "within_max_affected": {"type": "boolean", "description": "Of a dry run."},
            "ids": {"type": "array", "items": {}, "description": "Of a dry run."},
            "dry_run": {"type": "boolean"},
        },
    }


UPDATE_MANY: dict[str, Any] = {
    "summary": "Patch every document that a filter finds, all or none",
    "description": (
        "A document that the patch leaves as it is keeps its revision, and is not counted in "
        "`changed`. If one may not become what it would, none is changed; `id` says which."
    ),
    "parameters": [COLLECTION, IDEMPOTENCY_KEY],
    "request": {"application/json": _body(patch=ref("Patch"))},
    "responses": answers(*USUAL, 409, 413, 415, 422, 504, s200=_done("changed")),
    "examples": [
        asked(
            {
                "filter": {"status": "open", "total": {"$lt": 100}},
                "patch": {"status": "small"},
                "max_affected": 500,
            },
        ),
        answered({"matched": 42, "changed": 40, "dry_run": False}),
    ],
}
DELETE_MANY: dict[str, Any] = {
    "summary": "Delete every document that a filter finds, all or none",
    "parameters": [COLLECTION, IDEMPOTENCY_KEY],
    "request": {"application/json": _body()},
    "responses": answers(*USUAL, 409, 413, 415, 422, 504, s200=_done("deleted")),
    "examples": [
        asked({"filter": {"status": "draft"}, "max_affected": 100, "dry_run": True}),
        answered({"matched": 2, "within_max_affected": True, "ids": ["A-7", 7], "dry_run": True}),
    ],
}
