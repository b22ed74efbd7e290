"""The schemas inside of a JSON Schema that satisfies the meta-schema: where, and what for."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

Place: TypeAlias = tuple[str | int, ...]

# Applied to the very value that the schema around them is applied to.
IN_PLACE = ("not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas")
# Of these, one is applied to each member of the value; of the others below, all may be.
NAMED = ("properties", "prefixItems")
CHILDREN = (
    "additionalProperties", "items", "contains", "propertyNames", "patternProperties",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
# Applied only where they are referred to.
KEPT = ("$defs", "definitions")
_MAPS = frozenset(("properties", "patternProperties", "dependentSchemas", *KEPT))


def pointer_of(path: Iterable[str | int]) -> str:
    """Return an RFC 6901 pointer."""
    return "".join(f"/{str(token).replace('~', '~0').replace('/', '~1')}" for token in path)


def inner_places(schema: Any, place: Place, *keywords: str) -> Iterator[Place]:
    """Yield where the schemas are that some keywords of a schema hold."""
    for keyword in keywords:
        value = schema.get(keyword) if isinstance(schema, dict) else None
        if isinstance(value, list):
            yield from ((*place, keyword, index) for index in range(len(value)))
        elif isinstance(value, dict) and keyword in _MAPS:
            yield from ((*place, keyword, name) for name in value)
        elif isinstance(value, dict | bool):
            yield (*place, keyword)


def find_places(schema: dict[str, Any]) -> dict[Place, Any]:
    """Return every schema inside, and the whole, by its place."""
    found: dict[Place, Any] = {(): schema}
    pending: list[Place] = [()]
    while pending:
        place = pending.pop()
        for inner in inner_places(found[place], place, *IN_PLACE, *NAMED, *CHILDREN, *KEPT):
            value = found[place]
            for token in inner[len(place) :]:
                value = value[token]
            found[inner] = value
            pending.append(inner)
    return found
