"""The fields of stored documents that compiled queries name, as dotted paths."""

from collections.abc import Iterator, Mapping
from typing import Any

from tenancy.mongo.filters import LOGICAL, is_operators

Stages = list[dict[str, Any]]
# They give what they are given on as it is.
_PASSING = frozenset(("$match", "$sort", "$limit", "$skip", "$unset"))
_ROOTS = ("$$ROOT.", "$$CURRENT.")


def searched_fields(query: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yield the fields that a filter looks at, and those in the elements of arrays."""
    for key, value in query.items():
        if key in LOGICAL:
            for part in value:
                yield from searched_fields(part, within)
            continue
        yield within + key
        if is_operators(value):
            yield from _searched_in_elements(value, f"{within}{key}.")


def _searched_in_elements(operators: Mapping[str, Any], within: str) -> Iterator[str]:
    for name, value in operators.items():
        if name == "$elemMatch" and not is_operators(value):
            yield from searched_fields(value, within)
        elif name in {"$elemMatch", "$not"}:
            yield from _searched_in_elements(value, within)
        elif name == "$all":
            for each in value:
                if is_operators(each):
                    yield from _searched_in_elements(each, within)


def searched_by_stages(stages: Stages) -> Iterator[str]:
    """Yield the fields that a pipeline's first stages filter by."""
    for stage in stages:
        for name, value in stage.items():
            if name not in _PASSING:
                return
            if name == "$match":
                yield from searched_fields(value)


def used_by_stages(stages: Stages) -> Iterator[str]:
    """Yield the fields of stored documents that a pipeline sorts by, keeps or computes with."""
    for stage in stages:
        for name, value in stage.items():
            if name == "$sort":
                yield from value
            elif name == "$facet":
                for branch in value.values():
                    yield from used_by_stages(branch)
            elif name == "$project":
                yield from (field for field, kept in value.items() if _is_kept(kept))
            if name not in _PASSING:
                yield from _references(value)
                return  # behind it fields may be there that it has made


def _is_kept(value: Any) -> bool:
    return isinstance(value, bool | int | float) and bool(value)


def _references(value: Any) -> Iterator[str]:
    """Yield the fields that an expression, or a stage, refers to."""
    if isinstance(value, str):
        for root in _ROOTS:
            value = value.replace(root, "$", 1) if value.startswith(root) else value
        if value.startswith("$") and not value.startswith("$$"):
            yield value[1:]
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from () if name == "$literal" else _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
