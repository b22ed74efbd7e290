"""Which headers answers have, for the OpenAPI document: by status and by kind of route."""

from collections.abc import Iterator
from typing import Any

from tenancy.api.idempotent import HEADER, REPLAYED

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
    "Deprecation": {"description": "Since when, by RFC 9745.", "schema": _TEXT, "required": True},
    "Link": {
        "description": 'The route that came after it: `rel="successor-version"`.',
        "schema": _TEXT,
        "required": True,
    },
}


def describe_headers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Name the headers of every answer. A hook of drf-spectacular's."""
    result["components"]["headers"] = _HEADERS
    for item in result["paths"].values():
        for method, operation in item.items():
            for status, answer in operation.get("responses", {}).items():
                names = _names(method, operation, int(status), answer)
                answer["headers"] = {
                    name: {"$ref": f"#/components/headers/{name}"} for name in names
                }
    return result


def _names(
    method: str, operation: dict[str, Any], status: int, answer: dict[str, Any]
) -> Iterator[str]:
    yield "X-Request-Id"
    if status == 201 and method == "post":  # what a PUT makes is where it was put
        yield "Location"
    if status in {429, 503} and "application/problem+json" in answer.get("content", {}):
        yield "Retry-After"
    if status == 401:
        yield "WWW-Authenticate"
    if operation["tags"] == ["documents"] and _is_about_one(status, operation):
        yield "ETag"
    if _is_counted(operation):
        yield from ("RateLimit-Policy", "RateLimit")
    if any(each["name"] == HEADER for each in operation.get("parameters", [])):
        yield REPLAYED
    if operation.get("deprecated"):
        yield from ("Deprecation", "Link")


def _is_counted(operation: dict[str, Any]) -> bool:
    """Return whether it takes a credential, whose organization's plan may say how often."""
    security = operation.get("security", [])
    return bool(security) and {} not in security


def _is_about_one(status: int, operation: dict[str, Any]) -> bool:
    is_list = operation["operationId"].endswith("_list")
    return status in {200, 201, 304, 412} and not is_list
