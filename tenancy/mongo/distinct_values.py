"""The stages that find what MongoDB's own `distinct` does, wherever the arrays are.

A name of digits takes one element of an array, any other name goes on in each of its elements that
is an object; an array at the end is given element by element. What is found by a name is unwound
before the next one: so the cost grows as the arrays do, and no faster.
"""

from collections.abc import Iterator
from typing import Any

Stage = dict[str, Any]

INDEX_MAX = 2**31 - 1  # MongoDB takes no larger one, and no array is as long
FOUND = "found"
_VALUE = "$$value"


def stages_of_distinct(path: str) -> Iterator[Stage]:
    """Give the stages that make `{_id: {v: value}}` of documents, one for each distinct value."""
    first, *others = path.split(".")
    value: Any = f"${first}"
    for name in others:
        yield from _unwound(value, _where_to_find(name))
        value = _value_of(name)
    yield from _unwound(value, {"array": _VALUE, "missing": [], "other": [_VALUE]})
    yield {"$group": {"_id": {"v": f"${FOUND}"}}}


def _unwound(value: Any, by_type: dict[str, Any]) -> Iterator[Stage]:
    """Give the stages that find each element of a list, which the type of the value tells."""
    branches = [
        {"case": {"$eq": [{"$type": _VALUE}, kind]}, "then": found}
        for kind, found in by_type.items()
        if kind != "other"
    ]
    chosen = {"$switch": {"branches": branches, "default": by_type["other"]}}
    yield {"$project": {"_id": 0, FOUND: {"$let": {"vars": {"value": value}, "in": chosen}}}}
    yield {"$unwind": f"${FOUND}"}


def _where_to_find(name: str) -> dict[str, Any]:
    """Return, by the type of a value, the objects and arrays that a name is looked up in."""
    is_object = {"$eq": [{"$type": "$$element"}, "object"]}
    objects = {"$filter": {"input": _VALUE, "as": "element", "cond": is_object}}
    return {
        "array": [_VALUE] if _is_digits(name) else objects,
        "object": [_VALUE],
        "other": [],
    }


def _value_of(name: str) -> Any:
    """Return the value of a name in what was found: an object, or an array if it is of digits."""
    field = f"${FOUND}.{name}"
    if not _is_digits(name):
        return field
    return {"$cond": [{"$isArray": f"${FOUND}"}, _element(name), field]}


def _element(digits: str) -> Any:
    """Return what has an index; "00" is none, as in MongoDB."""
    is_index = str(int(digits)) == digits and int(digits) <= INDEX_MAX
    return {"$arrayElemAt": [f"${FOUND}", int(digits)]} if is_index else "$$REMOVE"


def _is_digits(name: str) -> bool:
    return name.isascii() and name.isdigit()
