"""What the OpenAPI document says of the organization itself, its use and its operations."""

from typing import Any

from drf_spectacular.types import OpenApiTypes

from tenancy.api.schema import answers, delete_body, page_of, query
from tenancy.models import OperationStatus

_NUMBER = {"type": "integer"}
_LIMIT = {"type": ["integer", "null"]}
_USED = {"documents": 1204, "bytes": 318042, "collections": 3, "members": 12}
_ALLOWED = {
    "documents": 100000, "bytes": None, "collections": 100, "document_bytes": 1048576,
    "members": 50, "requests_per_minute": 600, "burst": 50,
}  # fmt: skip
_LIMITS: dict[str, Any] = {
    "type": "object",
    "description": "What the plan allows; null: no limit.",
    "properties": dict.fromkeys(_ALLOWED, _LIMIT),
    "example": _ALLOWED,
}
_USAGE: dict[str, Any] = {
    "type": "object",
    "description": "Counted along with writes; at most about a second old, members a few.",
    "properties": dict.fromkeys(_USED, _NUMBER),
    "example": _USED,
}
USAGE: dict[str, Any] = {
    "type": "object",
    "properties": {**_USAGE["properties"], "limits": _LIMITS},
    "example": {**_USED, "limits": _ALLOWED},
}
_SETTINGS: dict[str, Any] = {
    "type": "object",
    "description": "What clients keep about the organization: at most 16 KiB of JSON.",
    "additionalProperties": True,
}
ORGANIZATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "name": {"type": "string"},
        "slug": {"type": "string"},
        "status": {"type": "string"},
        "plan": {"type": "string"},
        "region": {"type": ["string", "null"]},
        "placement": {
            "type": "object",
            "properties": {
                "kind": {"type": "string"},
                "cluster": {"type": "string"},
                "namespace": {"type": "string"},
                "epoch": {"type": "integer"},
            },
        },
        "collections": {"type": "array", "items": {"type": "string"}},
        "usage": _USAGE,
        "limits": _LIMITS,
        "settings": _SETTINGS,
        "two_factor_required": {"type": "boolean"},
        "created_at": {"type": "string", "format": "date-time"},
    },
}
OPERATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "kind": {"type": "string"},
        "status": {"type": "string", "enum": OperationStatus.values},
        "step": {"type": "string", "description": "The last step that is done."},
        "progress": {
            "type": "object",
            "properties": {
                "done": {"type": "integer"},
                "total": {"type": "integer", "description": "0: this kind does not count."},
                "unit": {"type": "string"},
            },
        },
        "error": {"type": ["string", "null"]},
        "by": {"type": "string"},
        "not_before": {"type": "string", "format": "date-time"},
        "created_at": {"type": "string", "format": "date-time"},
        "ended_at": {"type": ["string", "null"], "format": "date-time"},
    },
    "example": {
        "id": "6f1c0a52-51b5-4c0e-9d0c-0d5f5f0a6a11",
        "kind": "rename",
        "status": "succeeded",
        "step": "unfence",
        "progress": {"done": 0, "total": 0},
        "error": None,
        "by": "user:0b0e7f0e-5f64-4a3a-8a53-6f1a5d3f7c11",
        "not_before": "2026-01-31T09:30:05+00:00",
        "created_at": "2026-01-31T09:30:00+00:00",
        "ended_at": "2026-01-31T09:30:05+00:00",
    },
}
DELETION: dict[str, Any] = {
    "type": "object",
    "properties": {
        **OPERATION["properties"],
        "purge_after": {"type": ["string", "null"], "format": "date-time"},
    },
}
GET_ORGANIZATION: dict[str, Any] = {
    "summary": "Read the organization",
    "responses": answers(400, 401, 403, 410, 503, s200=ORGANIZATION),
}
PATCH_ORGANIZATION: dict[str, Any] = {
    "summary": "Rename the organization, change its settings or its policy",
    "description": "Settings are merged (RFC 7396): null removes, objects merge, else replaced.",
    "request": {
        "application/json": {
            "type": "object",
            "minProperties": 1,
            "properties": {
                "name": {"type": "string"},
                "settings": _SETTINGS,
                "two_factor_required": {
                    "type": "boolean",
                    "description": "Serve members only who signed in with two factors.",
                },
            },
        }
    },
    "responses": answers(400, 401, 403, 409, 410, 415, 422, 503, s200=ORGANIZATION),
}
DELETE_ORGANIZATION: dict[str, Any] = {
    "summary": "Delete the organization",
    "extensions": delete_body(
        {
            "type": "object",
            "required": ["confirm"],
            "properties": {
                "confirm": {"type": "string", "description": "The slug."},
                "purge": {"type": "boolean", "description": "Drop the data now, for good."},
            },
        },
        "application/json",
        required=True,
    ),
    "responses": answers(400, 401, 403, 409, 410, 415, 422, 503, s202=DELETION),
}
GET_USAGE: dict[str, Any] = {
    "summary": "What the organization uses, and what it may",
    "responses": answers(400, 401, 403, 410, 503, s200=USAGE),
}
LIST_OPERATIONS: dict[str, Any] = {
    "summary": "List operations, the newest first",
    "parameters": [
        query("limit", "1..1000, 50 by default.", OpenApiTypes.INT),
        query("cursor", "`page.next` of the page before."),
        query("status", "Only those of this status."),
        query("kind", "Only those of this kind."),
    ],
    "responses": answers(400, 401, 403, 410, 503, s200=page_of(OPERATION)),
}
GET_OPERATION: dict[str, Any] = {
    "summary": "Read an operation: how far it is, or how it ended",
    "responses": answers(400, 401, 403, 404, 410, 503, s200=OPERATION),
}
