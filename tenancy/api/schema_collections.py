"""What the OpenAPI document says of collections and their indexes."""

from typing import Any

from tenancy.api.schema import COLLECTION, USUAL, answered, answers, asked, query
from tenancy.api.schema_organization import OPERATION
from tenancy.api.schema_schemas import MODE
from tenancy.api.schema_values import FIELD_OF_INDEX, KEYS_ANSWERED, PAIR, closed, text
from tenancy.names import COLLECTION_NAME

_INDEX_EXAMPLE = {
    "name": "status_1_created_at_-1",
    "keys": [["status", 1], ["created_at", -1]],
    "unique": False,
    "sparse": False,
    "ttl_seconds": None,
}
_INDEX_FIELDS: dict[str, Any] = {
    "name": text(
        "[A-Za-z0-9_][A-Za-z0-9_.-]*",
        maxLength=128,
        description="Made from the keys where it is not given.",
    ),
    "keys": {
        "type": "array",
        "minItems": 1,
        "maxItems": 8,
        "description": "Pairs of a field (dots reach into documents) and a direction, 1 or -1.",
        "items": {**PAIR, "prefixItems": [FIELD_OF_INDEX, PAIR["prefixItems"][1]]},
    },
    "unique": {"type": "boolean", "default": False},
    "sparse": {"type": "boolean", "default": False},
    "ttl_seconds": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 2**31 - 1,
        "description": "Documents expire so long after the date in the index's single field.",
    },
}
NEW_INDEX: dict[str, Any] = {
    "type": "object",
    "required": ["keys"],
    "properties": {**_INDEX_FIELDS, "name": {"anyOf": [_INDEX_FIELDS["name"], {"const": ""}]}},
    "additionalProperties": False,
}
INDEX: dict[str, Any] = {
    "type": "object",
    "properties": {
        **_INDEX_FIELDS,
        "keys": KEYS_ANSWERED,
        "built": {
            "type": "boolean",
            "description": (
                "False while it is being built, and where only the definition is kept: in a shared "
                "collection."
            ),
        },
        "failure": {
            "type": ["string", "null"],
            "description": "Why it could not be built. Remove it, or ask for it again.",
        },
    },
    "additionalProperties": False,
}
_BUILT = {**_INDEX_EXAMPLE, "built": True, "failure": None}
INDEXES: dict[str, Any] = {
    "type": "object",
    "properties": {"data": {"type": "array", "items": INDEX}},
}
NAMED: dict[str, Any] = closed({"name": text(COLLECTION_NAME.pattern)}, "name")
COLLECTIONS: dict[str, Any] = {
    "type": "object",
    "properties": {"data": {"type": "array", "items": NAMED}},
}

COLLECTION_DETAILS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
        "documents": {
            "type": ["integer", "null"],
            "description": "Null where it is not known without counting.",
        },
        "bytes": {"type": ["integer", "null"]},
        "indexes": {"type": "array", "items": INDEX},
        "schema_mode": MODE,
    },
    "additionalProperties": False,
}
_DETAILS = {
    "name": "orders",
    "created_at": "2026-01-31T09:30:00+00:00",
    "documents": 1204,
    "bytes": 318042,
    "indexes": [_BUILT],
    "schema_mode": "off",
}
LIST_COLLECTIONS: dict[str, Any] = {
    "summary": "List collections",
    "responses": answers(*USUAL, s200=COLLECTIONS),
    "examples": [answered({"data": [{"name": "main"}, {"name": "orders"}]})],
}
CREATE_COLLECTION: dict[str, Any] = {
    "summary": "Create a collection",
    "request": {"application/json": NAMED},
    "responses": answers(*USUAL, 409, 415, 422, s201=NAMED),
    "examples": [asked({"name": "invoices"}), answered({"name": "invoices"}, 201)],
}
GET_COLLECTION: dict[str, Any] = {
    "summary": "Read a collection: its size and its indexes",
    "parameters": [COLLECTION],
    "responses": answers(*USUAL, s200=COLLECTION_DETAILS),
    "examples": [answered(_DETAILS)],
}
DELETE_COLLECTION: dict[str, Any] = {
    "summary": "Drop a collection with all its documents",
    "parameters": [COLLECTION, query("confirm", "The name of the collection, once more.")],
    "responses": answers(*USUAL, 409, 422, s202=OPERATION),
    "examples": [answered({**OPERATION["example"], "kind": "drop_collection"}, 202)],
}
LIST_INDEXES: dict[str, Any] = {
    "summary": "List the indexes of a collection",
    "parameters": [COLLECTION],
    "responses": answers(*USUAL, s200=INDEXES),
    "examples": [answered({"data": [_BUILT]})],
}
CREATE_INDEX: dict[str, Any] = {
    "summary": "Create an index; 200 if the very same one is there, 202 if it takes time to build",
    "request": {"application/json": NEW_INDEX},
    "responses": answers(*USUAL, 409, 415, 422, s200=INDEX, s201=INDEX, s202=INDEX),
    "parameters": [COLLECTION],
    "examples": [
        asked({"keys": [["status", 1], ["created_at", -1]]}),
        answered(_BUILT, 201, "Built"),
        answered(_BUILT, 200, "There already"),
        answered({**_BUILT, "built": False}, 202, "Being built"),
    ],
}
DELETE_INDEX: dict[str, Any] = {
    "summary": "Remove an index",
    "parameters": [COLLECTION],
    "responses": answers(*USUAL, 409, s204=None),
}
