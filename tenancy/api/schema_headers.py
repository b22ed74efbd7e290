"""Which headers answers have, for the OpenAPI document: by status and by kind of route."""

from collections.abc import Iterator
from typing import Any

from tenancy.api.bulk import FAILED
from tenancy.api.idempotent import HEADER, REPLAYED
from tenancy.api.schema_hooks import operations_of
from tenancy.api.views import VIOLATIONS

_TEXT = {"type": "string"}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Of the request, or made for it; the log and the audit have it, too.",
        "schema": _TEXT,
        "required": True,
    },
    "Location": {
        "description": "Where what was made is read or changed.",
        "schema": _TEXT,
        "required": True,
    },
    "Retry-After": {
        "description": "Seconds after which it is worth another try.",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    },
    "WWW-Authenticate": {
        "description": 'As `Bearer realm="tenantry", error="token_expired"`.',
        "schema": _TEXT,
        "required": True,
    },
    "ETag": {"description": 'The revision of the document, as `"r3"`.', "schema": _TEXT},
    "RateLimit-Policy": {
        "description": 'What the plan allows, as `"minute";q=600;w=60`; where it limits at all.',
        "schema": _TEXT,
    },
    "RateLimit": {
        "description": 'What is left of it, as `"minute";r=599;t=60`.',
        "schema": _TEXT,
    },
    REPLAYED: {
        "description": f"`true` where a repeat with the same `{HEADER}` gets the first answer.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    VIOLATIONS: {
        "description": "How many documents were stored although the schema, which only warns, is "
        "against them.",
        "schema": {"type": "integer", "minimum": 1},
    },
    FAILED: {
        "description": "How many of the operations failed.",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    },
    "Deprecation": {"description": "Since when, by RFC 9745.", "schema": _TEXT, "required": True},
    "Link": {
        "description": 'The next page: `rel="next"`; of a deprecated route, the one that came '
        'after it: `rel="successor-version"`.',
        "schema": _TEXT,
    },
}


# The method and the last part of the path of what stores documents that a schema may be against.
_STORING = frozenset((
    ("post", "documents"), ("put", "{document_id}"), ("patch", "{document_id}"), ("post", "bulk"),
    ("post", "update-many"),
))  # fmt: skip


def describe_headers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Name the headers of every answer. A hook of drf-spectacular's."""
    result["components"]["headers"] = _HEADERS
    for path, method, operation in operations_of(result):
        route = (method, path.rpartition("/")[2])
        for status, answer in operation.get("responses", {}).items():
            names = _names(route, operation, int(status), answer)
            answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return result


def _names(
    route: tuple[str, str], operation: dict[str, Any], status: int, answer: dict[str, Any]
) -> Iterator[str]:
    yield "X-Request-Id"
    yield from _of_status(route, status, answer)
    yield from _of_documents(route, status)
    if _is_counted(operation):
        yield from ("RateLimit-Policy", "RateLimit")
    if any(each["name"] == HEADER for each in operation.get("parameters", [])):
        yield REPLAYED
    if operation.get("deprecated"):
        yield from ("Deprecation", "Link")


def _of_status(route: tuple[str, str], status: int, answer: dict[str, Any]) -> Iterator[str]:
    if status == 201 and route[0] == "post":  # what a PUT makes is where it was put
        yield "Location"
    if status in {429, 503} and "application/problem+json" in answer.get("content", {}):
        yield "Retry-After"
    if status == 401:
        yield "WWW-Authenticate"


def _of_documents(route: tuple[str, str], status: int) -> Iterator[str]:
    if _is_about_one(route, status):
        yield "ETag"
    if route == ("get", "documents") and status == 200:
        yield "Link"
    if route == ("post", "bulk") and status == 207:
        yield FAILED
    if route in _STORING and status in {200, 201, 207}:
        yield VIOLATIONS


def _is_counted(operation: dict[str, Any]) -> bool:
    """Return whether it takes a credential, whose organization's plan may say how often."""
    security = operation.get("security", [])
    return bool(security) and {} not in security


def _is_about_one(route: tuple[str, str], status: int) -> bool:
    is_one = route[1] == "{document_id}" or route == ("post", "documents")
    return is_one and status in {200, 201, 304, 412}
