"""What drf-spectacular has no words for, put into the finished OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from tenancy.api import schema_pipelines, schema_values
from tenancy.api.schema import DELETE_BODY, IN_JSON, MAY_LACK_BODY, PROBLEM

METHODS = frozenset(("get", "post", "put", "patch", "delete"))
# Bodies of the routes with these tags must be there; the others say it themselves.
STRICT = frozenset(("collections", "documents"))


def operations_of(result: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and what is said, for each operation."""
    for path, item in result["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the components, bodies of DELETE, and how parameters are sent. A hook."""
    schemas = result["components"].setdefault("schemas", {})
    schemas.update(schema_values.COMPONENTS, **schema_pipelines.COMPONENTS, Problem=PROBLEM)
    for _path, _method, operation in operations_of(result):
        if DELETE_BODY in operation:
            operation["requestBody"] = operation.pop(DELETE_BODY)
        may_lack = operation.pop(MAY_LACK_BODY, False)
        if "requestBody" in operation and STRICT & set(operation["tags"]):
            operation["requestBody"]["required"] = not may_lack
        for parameter in operation.get("parameters", []):
            if parameter.pop(IN_JSON, False):
                parameter["content"] = {"application/json": {"schema": parameter.pop("schema")}}
    return result
