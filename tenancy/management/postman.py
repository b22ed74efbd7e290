"""The OpenAPI document as a Postman collection, version 2.1, which Bruno and Insomnia import too.

https://schema.postman.com/collection/json/v2.1.0/draft-07/docs/index.html
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
METHODS = ("get", "post", "put", "patch", "delete")
# Values with which a request can be sent as it is.
SAMPLES = {"collection": "main", "document_id": "hello"}
# Requests whose answer signs in: what they give is kept for all others.
SIGNING_IN = frozenset(
    ("/api/v1/auth/signup", "/api/v1/auth/login", "/api/v1/auth/refresh", "/org/create")
)
KEEP_TOKENS = (
    "if (pm.response.code < 300) {",
    "  const answer = pm.response.json();",
    "  for (const name of ['access_token', 'refresh_token'])",
    "    if (answer[name]) pm.collectionVariables.set(name, answer[name]);",
    "}",
)
EXAMPLE_DEPTH = 6

Json = dict[str, Any]


def make_collection(document: Mapping[str, Any], base_url: str) -> Json:
    """Return the collection of an OpenAPI 3.1 document: a folder for each tag, sorted requests."""
    folders: dict[str, list[Json]] = {tag["name"]: [] for tag in document.get("tags", [])}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                tag = item[method].get("tags", ["other"])[0]
                folders.setdefault(tag, []).append(_request(path, method, item[method]))
    return {
        "info": {
            "name": document["info"]["title"],
            "description": document["info"].get("description", ""),
            "schema": FORMAT,
        },
        "auth": {"type": "bearer", "bearer": [_pair("token", "{{access_token}}", type="string")]},
        "variable": [_pair("base_url", base_url), _pair("access_token"), _pair("refresh_token")],
        "item": [{"name": tag, "item": items} for tag, items in folders.items() if items],
    }


def _pair(key: str, value: str = "", **more: Any) -> Json:
    return {"key": key, "value": value, **more}


def _request(path: str, method: str, operation: Json) -> Json:
    body = _body(operation)
    kind = [_pair("Content-Type", body[0])] if body else []
    request: Json = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "header": [*kind, *_parameters(operation, "header")],
        "url": _url(path, operation),
    }
    if body:
        language = {"raw": {"language": "json" if "json" in body[0] else "text"}}
        request["body"] = {"mode": "raw", "raw": body[1], "options": language}
    if not operation.get("security"):
        request["auth"] = {"type": "noauth"}
    item: Json = {"name": operation.get("summary") or path, "request": request, "response": []}
    if path in SIGNING_IN:
        script = {"type": "text/javascript", "exec": list(KEEP_TOKENS)}
        item["event"] = [{"listen": "test", "script": script}]
    return item


def _url(path: str, operation: Json) -> Json:
    segments = path.strip("/").split("/")
    named = [f":{each[1:-1]}" if each.startswith("{") else each for each in segments]
    query = _parameters(operation, "query")
    variables = [
        _pair(each["name"], SAMPLES.get(each["name"], ""), description=each.get("description", ""))
        for each in _of(operation, "path")
    ]
    return {
        "raw": "{{base_url}}/" + "/".join(named),
        "host": ["{{base_url}}"],
        "path": named,
        "query": query,
        "variable": variables,
    }


def _of(operation: Json, place: str) -> Iterable[Json]:
    return (each for each in operation.get("parameters", []) if each["in"] == place)


def _parameters(operation: Json, place: str) -> list[Json]:
    """Return the parameters of one place; what may be left out is there and switched off."""
    return [
        _pair(
            each["name"],
            str(_example(each, EXAMPLE_DEPTH)),
            description=each.get("description", ""),
            disabled=not each.get("required", False),
        )
        for each in _of(operation, place)
    ]


def _body(operation: Json) -> tuple[str, str] | None:
    """Return the media type and the text of an example body."""
    content: Json = operation.get("requestBody", {}).get("content", {})
    if not content:
        return None
    media_type, described = next(iter(content.items()))
    example = _example(described, EXAMPLE_DEPTH)
    if isinstance(example, str):
        return media_type, example
    return media_type, json.dumps(example, indent=2, ensure_ascii=False)


def _example(described: Json, depth: int) -> Any:
    """Return an example that the document gives, or one that is made from the schema."""
    if "example" in described:
        return described["example"]
    for example in (described.get("examples") or {}).values():
        return example["value"]
    return _made(described.get("schema", {}), depth)


def _made(schema: Json, depth: int) -> Any:
    """Return the smallest value that says what the schema wants: what is required, made up."""
    for name in ("example", "default", "const"):
        if name in schema:
            return schema[name]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "")
    kind = next((each for each in kind if each != "null"), "") if isinstance(kind, list) else kind
    if kind == "object" and depth:
        properties, wanted = schema.get("properties", {}), schema.get("required", [])
        return {name: _made(properties.get(name, {}), depth - 1) for name in wanted}
    if kind == "array":
        return [_made(schema.get("items", {}), depth - 1)] if depth and "minItems" in schema else []
    return {"integer": schema.get("minimum", 1), "number": 1, "boolean": False}.get(kind, "")
