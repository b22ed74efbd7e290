"""What the OpenAPI document says of all routes: problems, parameters, examples."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from tenancy.api.schema_values import ref, text
from tenancy.names import COLLECTION_NAME

DELETE_BODY = "x-delete-body"
# A parameter that is sent as JSON, and a body that may be left out.
IN_JSON, MAY_LACK_BODY = "x-in-json", "x-may-lack-body"
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": [
        "type",
        "title",
        "status",
        "code",
        "detail",
        "instance",
        "request_id",
        "retryable",
        "errors",
    ],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; GET /api/v1/errors lists them."},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean"},
        "errors": {
            "type": "array",
            "description": "Where the request is wrong: RFC 6901 pointers into its body.",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
        "hint": {"type": "string"},
    },
    # Such as `current` of a 412, or `limit`, `used` and `name` where a plan is used up.
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


_PROBLEM_TITLES = {
    400: "The request is malformed: JSON, parameter, id or cursor.",
    401: "No valid credential.",
    403: "Not allowed, or the organization is suspended.",
    404: "It does not exist, or not for this credential.",
    406: "The header `Accept` takes nothing of what there is.",
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

NOT_ACCEPTABLE = 406  # every route looks at `Accept`
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
    for status in sorted({*problems, *implied, NOT_ACCEPTABLE}):
        responses[(status, "application/problem+json")] = OpenApiResponse(
            ref("Problem"), description=_PROBLEM_TITLES[status]
        )
    return responses


def delete_body(schema: dict[str, Any], *media_types: str, required: bool) -> dict[str, Any]:
    """Return the extension by which a DELETE route says what its body is."""
    content = {media_type: {"schema": schema} for media_type in media_types}
    return {DELETE_BODY: {"required": required, "content": content}}


def header(name: str, description: str, kind: Any = OpenApiTypes.STR) -> OpenApiParameter:
    """Return an optional request header."""
    return OpenApiParameter(name, kind, "header", description=description)


def query(name: str, description: str, kind: Any = OpenApiTypes.STR) -> OpenApiParameter:
    """Return an optional query parameter."""
    return OpenApiParameter(name, kind, "query", description=description)


IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "1 to 255 printable ASCII characters. For 24 hours a repeat gets the first answer.",
    {"type": "string", "pattern": "^[ -~]{1,255}$"},
)
TYPES = query(
    "types",
    "`plain`: dates, ids and decimals as strings, for people.",
    {"type": "string", "enum": ["lossless", "plain"], "default": "lossless"},
)
COLLECTION = OpenApiParameter(
    "collection", text(COLLECTION_NAME.pattern), "path",
    description="A lower-case letter, then up to 62 of a-z, 0-9, _ and -.",
)  # fmt: skip
USUAL = (400, 401, 403, 404, 410, 503)


def asked(value: Any, name: str = "Asked", media_type: str | None = None) -> OpenApiExample:
    """Return an example of a request's body."""
    return OpenApiExample(name, value=value, request_only=True, media_type=media_type)


def answered(value: Any, status: int = 200, name: str = "Answered") -> OpenApiExample:
    """Return an example of an answer."""
    return OpenApiExample(name, value=value, response_only=True, status_codes=[str(status)])


_STATUS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"type": "string"},
        "checks": {"type": "object"},
        "limits": {"type": "string", "description": "`ok`, `memory`, `degraded` or `off`."},
        "changes": {"type": "string", "description": "`ok`, `degraded` or `off`."},
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
