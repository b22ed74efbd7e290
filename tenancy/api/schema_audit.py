"""What the OpenAPI document says of the audit log."""

from typing import Any

from drf_spectacular.types import OpenApiTypes

from tenancy.api.schema import answers, page_of, query
from tenancy.audit_chain import Flaw

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_MAYBE = {"type": ["string", "null"]}
EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sequence": _NUMBER | {"description": "From 1, without gaps: it names the event."},
        "at": {"type": "string", "format": "date-time"},
        "action": _TEXT,
        "actor": _TEXT | {"description": "`user:<id>`, `key:<id>`, `command:<name>`, `anonymous`."},
        "details": {"type": "object", "additionalProperties": True},
        "request_id": _MAYBE,
        "address": _MAYBE,
        "hash": _TEXT | {"description": "Covers the event and the hash of the one before it."},
    },
    "example": {
        "sequence": 17,
        "at": "2026-01-31T09:30:00.123456+00:00",
        "action": "session.opened",
        "actor": "user:0b0e7f0e-5f64-4a3a-8a53-6f1a5d3f7c11",
        "details": {"session": "6f1c0a52-51b5-4c0e-9d0c-0d5f5f0a6a11", "methods": "pwd"},
        "request_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "address": "203.0.113.7",
        "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
}
_BROKEN: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "The first thing that is wrong.",
    "properties": {
        "flaw": {"type": "string", "enum": [flaw.value for flaw in Flaw]},
        "sequence": _NUMBER,
        "detail": _TEXT,
    },
}
VERIFICATION: dict[str, Any] = {
    "type": "object",
    "description": "With `verify=true`: whether the events are as they were written.",
    "properties": {
        "verified": {"type": "boolean"},
        "events": _NUMBER | {"description": "How many were found good."},
        "from": _NUMBER | {"description": "Above 1: only the newest 20,000 were read."},
        "head": _TEXT | {"description": "Keep it elsewhere: it proves all that was before it."},
        "broken": _BROKEN,
    },
}
_PAGE = page_of(EVENT)
_PAGE["properties"]["verification"] = VERIFICATION

LIST_EVENTS: dict[str, Any] = {
    "summary": "Read the audit log, the newest first",
    "parameters": [
        query("limit", "1..1000, 50 by default.", OpenApiTypes.INT),
        query("cursor", "`page.next` of the page before."),
        query("action", "An action such as `session.opened`, or all of a kind: `session.*`."),
        query("actor", "Who acted, such as `user:<id>`."),
        query("since", "From this moment on (RFC 3339; UTC if it does not say)."),
        query("until", "Before this moment."),
        query("verify", "`true`: recompute the chain as well, its newest 20,000 events."),
    ],
    "responses": answers(400, 401, 403, 410, 429, 503, s200=_PAGE),
}
