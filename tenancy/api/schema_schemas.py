"""What the OpenAPI document says of the JSON Schemas of collections."""

from typing import Any

from tenancy.api.schema import COLLECTION, MAY_LACK_BODY, USUAL, answered, answers, asked
from tenancy.schema_rules import DIALECT

_EXAMPLE: dict[str, Any] = {
    "$schema": DIALECT,
    "type": "object",
    "required": ["status", "total"],
    "properties": {
        "status": {"enum": ["open", "paid"]},
        "total": {"type": "number", "minimum": 0},
        "due": {"type": "object", "required": ["$date"]},
    },
}
_JSON_SCHEMA: dict[str, Any] = {
    "type": ["object", "null"],
    "description": (
        "JSON Schema 2020-12: at most 64 KiB, 64 levels, 1,000 schemas and 50 patterns. It is "
        'applied to a document as GET answers it (dates are `{"$date": ...}`), without `_meta`, '
        "and without `_id` unless its top level names that. Only `#...` can be referred to; "
        "patterns have no look-around and no back-references; `format` is asserted."
    ),
}
MODE: dict[str, Any] = {
    "type": "string",
    "enum": ["off", "warn", "enforce"],
    "description": (
        "`warn`: documents are stored, and the answer counts those that do not satisfy the schema "
        "in `Schema-Violations`; `enforce`: they are refused, 422 `schema_violation`. Other "
        "processes follow within half a second."
    ),
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["json_schema", "mode"],
    "properties": {"json_schema": _JSON_SCHEMA, "mode": MODE},
    "additionalProperties": False,
}
_SCHEMA_EXAMPLE = {"json_schema": _EXAMPLE, "mode": "enforce"}
_TRIAL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "json_schema": {**_JSON_SCHEMA, "type": "object"},
        "cursor": {
            "type": "string",
            "description": "`next` of an answer that is not complete, with the same schema.",
        },
    },
    "additionalProperties": False,
}
_VIOLATION: dict[str, Any] = {
    "type": "object",
    "required": ["_id", "pointer", "code", "message"],
    "properties": {
        "_id": {},
        "pointer": {"type": "string", "description": "The place in the document, by RFC 6901."},
        "code": {"type": "string", "description": "The keyword of the schema."},
        "message": {"type": "string"},
    },
    "additionalProperties": False,
}
EXAMINATION: dict[str, Any] = {
    "type": "object",
    "required": ["examined", "failing", "complete", "next", "violations"],
    "properties": {
        "examined": {"type": "integer", "minimum": 0},
        "failing": {"type": "integer", "minimum": 0},
        "complete": {"type": "boolean", "description": "False where 5 seconds were too short."},
        "next": {"type": ["string", "null"], "description": "The cursor to go on with."},
        "violations": {"type": "array", "maxItems": 100, "items": _VIOLATION},
    },
    "additionalProperties": False,
}
_EXAMINED = {
    "examined": 1204,
    "failing": 1,
    "complete": True,
    "next": None,
    "violations": [
        {
            "_id": 7,
            "pointer": "/total",
            "code": "minimum",
            "message": "The value is less than the minimum of 0",
        }
    ],
}
GET_SCHEMA: dict[str, Any] = {
    "summary": "Read the JSON Schema of a collection",
    "parameters": [COLLECTION],
    "responses": answers(*USUAL, s200=SCHEMA),
    "examples": [answered(_SCHEMA_EXAMPLE)],
}
PUT_SCHEMA: dict[str, Any] = {
    "summary": "Set the JSON Schema of a collection, and what it does; null takes it away",
    "parameters": [COLLECTION],
    "request": {"application/json": SCHEMA},
    "responses": answers(*USUAL, 409, 413, 415, 422, s200=SCHEMA),
    "examples": [asked(_SCHEMA_EXAMPLE), answered(_SCHEMA_EXAMPLE)],
}
CHECK_SCHEMA: dict[str, Any] = {
    "summary": "Count the documents that a JSON Schema, or the collection's own, is against",
    "parameters": [COLLECTION],
    "extensions": {MAY_LACK_BODY: True},
    "request": {"application/json": _TRIAL},
    "responses": answers(*USUAL, 413, 415, 422, 504, s200=EXAMINATION),
    "examples": [asked({"json_schema": _EXAMPLE}), answered(_EXAMINED)],
}
