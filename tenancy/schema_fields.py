"""Which fields documents can have by a JSON Schema, and what a name that none can have may mean.

A dotted path is followed as MongoDB does: through the elements of arrays, too. That there can be no
such field is said only if it is certain; what would need a look at values or patterns is let pass.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

from tenancy.schema_walk import find_places, inner_places, pointer_of
from tenancy.wording import find_nearest

# Of one question, however many paths it is about: a step is one schema that is looked at.
MAX_STEPS = 5_000
# Schemas that are applied one within the other: up to 9 calls each, and Python allows 1,000 in all.
MAX_DEPTH = 40
MAX_NAMES = 200
SLIP_CUTOFF = 0.7
_TYPES: Mapping[type, str] = {dict: "object", list: "array"}
# What is applied to the same value, and may make a field known for `unevaluatedProperties`.
_EVALUATING = ("if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas")
_OPEN = ("patternProperties", "additionalProperties", "unevaluatedProperties", "$dynamicRef")


@dataclass(frozen=True)
class Doubt:
    """A field that the schema does not name; `near` is the path that may have been meant, or ''."""

    path: str
    is_impossible: bool
    near: str


class SchemaFields:
    """The fields of documents by a schema that `check_schema` has taken."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.root = schema
        self._targets: dict[str, Any] = {}
        for place, each in find_places(schema).items():
            self._targets[pointer_of(place)] = each
            if isinstance(each, dict) and "$anchor" in each:
                self._targets[each["$anchor"]] = each

    def target_of(self, schema: dict[str, Any]) -> Any:
        """Return the schema that another one refers to; True, which says nothing, if none."""
        return self._targets.get(unquote(schema.get("$ref", "-")[1:]), True)

    def find_doubts(self, paths: Iterable[str]) -> Iterator[Doubt]:
        """Yield those paths that no document can have, or that may be slips."""
        budget = _Budget()
        for path in paths:
            if path.startswith("_"):  # `_id` and `_meta` are ours
                continue
            segments = path.split(".")
            is_impossible = not _Following(self, segments, budget).ends()
            near = _nearest(self, segments, budget)
            if is_impossible or near:
                yield Doubt(path, is_impossible, near)


class _Budget:
    steps = MAX_STEPS

    def spend(self) -> bool:
        """Count one step. Return whether it may be taken."""
        self.steps -= 1
        return self.steps > 0


class _Following:
    """One path, followed into a schema."""

    def __init__(self, fields: SchemaFields, segments: list[str], budget: _Budget) -> None:
        self._fields, self._segments, self._budget = fields, segments, budget
        self._known: dict[tuple[int, int, str], bool] = {}
        self._depth = 0
        self._rules: Mapping[str, Callable[[dict[str, Any], int], bool]] = {
            "object": self._goes_on_in_object,
            "array": self._goes_on_in_array,
        }

    def ends(self) -> bool:
        """Return whether a document may have the field."""
        return self._goes_on_as("object", self._fields.root, 0)

    def _goes_on(self, schema: Any, at: int) -> bool:
        """Return whether a value that a schema takes may have the path from a segment on."""
        if at == len(self._segments):
            return schema is not False
        return any(self._goes_on_as(kind, schema, at) for kind in self._rules)

    def _goes_on_as(self, kind: str, schema: Any, at: int) -> bool:
        if not isinstance(schema, dict):
            return bool(schema)
        key = (id(schema), at, kind)
        if key not in self._known:
            self._known[key] = True  # meanwhile, and in doubt
            if self._depth < MAX_DEPTH and self._budget.spend():
                self._depth += 1
                self._known[key] = self._permits(kind, schema, at)
                self._depth -= 1
        return self._known[key]

    def _permits(self, kind: str, schema: dict[str, Any], at: int) -> bool:
        """Return whether a schema, and each that is applied along with it, takes such a value."""
        if kind not in _types_of(schema) or not self._rules[kind](schema, at):
            return False
        further = partial(self._goes_on_as, kind, at=at)
        if "$ref" in schema and not further(self._fields.target_of(schema)):
            return False
        if not all(map(further, schema.get("allOf", ()))):
            return False
        choices = [schema[keyword] for keyword in ("anyOf", "oneOf") if keyword in schema]
        return all(any(map(further, each)) for each in choices)

    def _goes_on_in_object(self, schema: dict[str, Any], at: int) -> bool:
        name = self._segments[at]
        named = schema.get("properties", {})
        if name in named:
            return self._goes_on(named[name], at + 1)
        if "patternProperties" in schema:
            return True
        if "additionalProperties" in schema:
            return self._goes_on(schema["additionalProperties"], at + 1)
        others = schema.get("unevaluatedProperties", True)
        return self._goes_on(others, at + 1) or self._may_evaluate(schema, name)

    def _goes_on_in_array(self, schema: dict[str, Any], at: int) -> bool:
        """Return whether an element may have the rest, by its number or without."""
        elements = [*schema.get("prefixItems", ()), schema.get("items", True)]
        if any(self._goes_on(each, at) for each in elements):
            return True
        return self._segments[at].isdecimal() and any(
            self._goes_on(each, at + 1) for each in elements
        )

    def _may_evaluate(self, schema: dict[str, Any], name: str) -> bool:
        """Return whether a schema beside `unevaluatedProperties` may know a field."""
        pending = [*_beside(self._fields, schema, _EVALUATING)]
        while pending:
            each = pending.pop()
            if not isinstance(each, dict):
                continue
            if not self._budget.spend() or name in each.get("properties", ()):
                return True
            if any(keyword in each for keyword in _OPEN):
                return True
            pending += _beside(self._fields, each, _EVALUATING)
        return "$dynamicRef" in schema


def _types_of(schema: dict[str, Any]) -> Iterable[str]:
    """Return names of types among which are those of the values with others in them."""
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return [_TYPES.get(type(value), "") for value in values]
    types = schema.get("type", ("object", "array"))
    return (types,) if isinstance(types, str) else types


def _beside(fields: SchemaFields, schema: Any, keywords: Iterable[str]) -> Iterator[Any]:
    """Yield the schemas that some keywords of a schema hold, and the one it refers to."""
    if not isinstance(schema, dict):
        return
    for place in inner_places(schema, (), *keywords):
        inner: Any = schema
        for token in place:
            inner = inner[token]
        yield inner
    if "$ref" in schema:
        yield fields.target_of(schema)


# --- what may have been meant


def _nearest(fields: SchemaFields, segments: list[str], budget: _Budget) -> str:
    """Return the path with its first name that the schema does not have mended, or ''."""
    level = [fields.root]
    for at, segment in enumerate(segments):
        here = _in_reach(fields, level, budget)
        names = dict.fromkeys(name for each in here for name in each.get("properties", ()))
        if segment not in names and not segment.isdecimal():
            near = find_nearest(segment, [*names][:MAX_NAMES], cutoff=SLIP_CUTOFF)
            return ".".join([*segments[:at], near, *segments[at + 1 :]]) if near else ""
        level = [each["properties"][segment] for each in here if segment in each["properties"]]
        level = level if segment in names else here
    return ""


def _in_reach(fields: SchemaFields, level: list[Any], budget: _Budget) -> list[Any]:
    """Return all schemas with `properties` that are applied to a value, or to its elements."""
    keywords = (*_EVALUATING, "prefixItems", "items")
    pending, seen, found = [*level], set[int](), []
    while pending and budget.spend():
        each = pending.pop()
        if isinstance(each, dict) and id(each) not in seen:
            seen.add(id(each))
            found += [each] if "properties" in each else []
            pending += _beside(fields, each, keywords)
    return found
