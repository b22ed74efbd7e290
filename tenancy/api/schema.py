"""What the OpenAPI document says of the tenant's routes: data for `extend_schema`."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

DELETE_BODY = "x-delete-body"
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "code", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; README.md lists them."},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
        "hint": {"type": "string"},
    },
}
DOCUMENT: dict[str, Any] = {
    "type": "object",
    "description": "A document in relaxed Extended JSON v2: the user's fields, `_id` and `_meta`.",
    "properties": {
        "_id": {},
        "_meta": {
            "type": "object",
            "readOnly": True,
            "properties": {
                "rev": {"type": "integer"},
                "created_at": {"type": "object"},
                "updated_at": {"type": "object"},
            },
        },
    },
    "additionalProperties": True,
}


def page_of(item: dict[str, Any]) -> dict[str, Any]:
    """Return what a page of items is."""
    following = {"type": ["string", "null"], "description": "The cursor to go on with."}
    return {
        "type": "object",
        "required": ["data", "page"],
        "properties": {
            "data": {"type": "array", "items": item},
            "page": {
                "type": "object",
                "required": ["next", "limit"],
                "properties": {"next": following, "limit": {"type": "integer"}},
            },
        },
    }


PAGE: dict[str, Any] = page_of(DOCUMENT)

_PROBLEM_TITLES = {
    400: "The request is malformed: JSON, parameter, id or cursor.",
    401: "No valid credential.",
    403: "Not allowed, or the organization is suspended.",
    404: "It does not exist, or not for this credential.",
    409: "It exists already, or another operation is running.",
    410: "The organization was deleted.",
    412: "The document is at another revision; `current` says which.",
    413: "The body or document is too large.",
    415: "The body is not application/json.",
    422: "Fields are missing or not valid; `errors` points at them.",
    429: "Too many requests: wait `Retry-After` seconds.",
    503: "Not now: wait `Retry-After` seconds. After `outcome_unknown` a write may have happened.",
    504: "The read took too long.",
}

# Whoever has a credential has a plan, which may limit how often; what is counted or looked up may
# be out of reach; and a body may be too large.
_IMPLIED = {401: (429, 503), 415: (413,), 429: (503,)}


def answers(*problems: int, **good: dict[str, Any] | None) -> dict[Any, Any]:
    """Return the responses of a route: `s200=SCHEMA` for good ones, and statuses of problems."""
    responses: dict[Any, Any] = {}
    for name, body in good.items():
        status = int(name.removeprefix("s"))
        if body is None:
            responses[status] = OpenApiResponse(description="Done.")
        else:
            responses[(status, "application/json")] = body
    implied = (status for problem in problems for status in _IMPLIED.get(problem, ()))
    for status in dict.fromkeys((*problems, *implied)):
        responses[(status, "application/problem+json")] = OpenApiResponse(
            PROBLEM, description=_PROBLEM_TITLES[status]
        )
    return responses


def take_bodies_of_delete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe the bodies that DELETE takes: drf-spectacular has none there. A hook of its own."""
    for item in result["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict) and DELETE_BODY in operation:
                operation["requestBody"] = operation.pop(DELETE_BODY)
    return result


def delete_body(schema: dict[str, Any], *media_types: str, required: bool) -> dict[str, Any]:
    """Return the extension by which a DELETE route says what its body is."""
    content = {media_type: {"schema": schema} for media_type in media_types}
    return {DELETE_BODY: {"required": required, "content": content}}


def header(name: str, description: str) -> OpenApiParameter:
    """Return an optional request header."""
    return OpenApiParameter(name, OpenApiTypes.STR, "header", description=description)


def query(name: str, description: str, kind: Any = OpenApiTypes.STR) -> OpenApiParameter:
    """Return an optional query parameter."""
    return OpenApiParameter(name, kind, "query", description=description)


_ID = OpenApiParameter(
    "document_id", OpenApiTypes.STR, "path",
    description="24 hex digits: an ObjectId; else a string; `oid: str: int: uuid:` are explicit.",
)  # fmt: skip
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "1 to 255 printable ASCII characters. For 24 hours a repeat gets the first answer.",
)
TYPES = query("types", "`plain`: dates, ids and decimals as strings, for people.")
_IF_MATCH = header("If-Match", 'Only at one of these revisions, as `"r3"`; `*`: if it exists.')
USUAL = (400, 401, 403, 404, 410, 503)
_BODY = {"application/json": DOCUMENT}

_STATUS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"type": "string"},
        "checks": {"type": "object"},
        "limits": {"type": "string", "description": "`ok`, `memory`, `degraded` or `off`."},
    },
}
LIVEZ: dict[str, Any] = {
    "summary": "Is the process alive?",
    "auth": [],
    "responses": answers(s200=_STATUS),
}
READYZ: dict[str, Any] = {
    "summary": "Can it serve?",
    "auth": [],
    "responses": answers(s200=_STATUS, s503=_STATUS),
}
METRICS: dict[str, Any] = {
    "summary": "Figures for Prometheus; needs `METRICS_TOKEN` as the bearer token",
    "auth": [],
    "responses": {(200, "text/plain"): str, **answers(404)},
}
CREATE_DOCUMENT: dict[str, Any] = {
    "summary": "Store a new document",
    "parameters": [IDEMPOTENCY_KEY, TYPES],
    "request": _BODY,
    "responses": answers(*USUAL, 409, 413, 415, 422, s201=DOCUMENT),
}
GET_DOCUMENT: dict[str, Any] = {
    "summary": "Read a document",
    "parameters": [_ID, header("If-None-Match", "304 if the document is at this revision.")],
    "responses": answers(*USUAL, 504, s200=DOCUMENT, s304=None),
}
PUT_DOCUMENT: dict[str, Any] = {
    "summary": "Replace or create a document",
    "parameters": [
        _ID,
        _IF_MATCH,
        header("If-None-Match", "`*`: create only."),
        IDEMPOTENCY_KEY,
        TYPES,
    ],
    "request": _BODY,
    "responses": answers(*USUAL, 409, 412, 413, 415, 422, s200=DOCUMENT, s201=DOCUMENT),
}
PATCH_DOCUMENT: dict[str, Any] = {
    "summary": "Change a document by a JSON merge patch (RFC 7396)",
    "parameters": [_ID, _IF_MATCH, IDEMPOTENCY_KEY, TYPES],
    "request": {"application/merge-patch+json": DOCUMENT, "application/json": DOCUMENT},
    "responses": answers(*USUAL, 409, 412, 413, 415, 422, s200=DOCUMENT),
}
DELETE_DOCUMENT: dict[str, Any] = {
    "summary": "Delete a document",
    "parameters": [_ID, _IF_MATCH, IDEMPOTENCY_KEY],
    "responses": answers(*USUAL, 409, 412, 422, s204=None),
}
