"""Compute once what a pipeline puts into the elements of arrays.

`{who: {city: "$address.city"}}` in a `$project` or `$set` is, where `who` is an array, made for
each of its elements; and MongoDB evaluates `$address.city` for each anew. Where `address` is an
array, too, that is an array for each element. Measured with 6.0, for two arrays of 3,000: 132 MB
and 2.8 s; for the largest in 1 MiB it would be 25 GB. Computed by a `$set` before, all elements
share one: 3 MB and 0.15 s for these.
"""

from typing import Any

# No field of a document and none that a pipeline makes begins with it: see `field_paths`.
PREFIX = "_tenantry_once"
_WHOLE = ("$$ROOT", "$$CURRENT")
HOISTED = ("$set", "$project")

Stage = dict[str, Any]


def hoisted(name: str, fields: Any) -> list[Stage]:
    """Return the stages that do the same as a compiled one, and compute nothing for each element.

    Mostly it is that stage. What is given for a document is the same, whatever is in it.
    """
    if name not in HOISTED or not any(map(_costs_for_each, fields.items())):
        return [{name: fields}]
    hoisting = _Hoisting()
    sees_all = [field for field, value in fields.items() if _sees_all(value)]
    made = {
        field: hoisting.inner(value)
        if _is_inner(field, value)
        else hoisting.hoist(value) if field in sees_all else value
        for field, value in fields.items()
    }  # fmt: skip
    stages = [{"$set": hoisting.found}, {name: made}]
    return stages if name == "$project" else [*stages, {"$unset": list(hoisting.found)}]


class _Hoisting:
    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def hoist(self, expression: Any) -> str:
        """Keep an expression for the stage before. Return what refers to its value."""
        field = f"{PREFIX}{len(self.found)}"
        self.found[field] = expression
        return f"${field}"

    def inner(self, value: Any) -> Any:
        """Return a field inside of another one with nothing left to compute."""
        if _is_object(value):
            return {name: self.inner(each) for name, each in value.items()}
        return value if _is_free(value) else self.hoist(value)


def _costs_for_each(item: tuple[str, Any]) -> bool:
    field, value = item
    return _is_inner(field, value) and not _is_free_inside(value)


def _is_free_inside(value: Any) -> bool:
    if _is_object(value):
        return all(map(_is_free_inside, value.values()))
    return _is_free(value)


def _is_inner(field: str, value: Any) -> bool:
    return "." in field or _is_object(value)


def _is_object(value: Any) -> bool:
    """Return whether a value says what is in a field of fields; {} is an empty object."""
    return isinstance(value, dict) and bool(value) and not next(iter(value)).startswith("$")


def _is_free(value: Any) -> bool:
    """Return whether to evaluate it again takes no memory: a constant, or a field as it is."""
    if isinstance(value, str):
        return not value.startswith("$") or ("." not in value and not value.startswith("$$"))
    return not isinstance(value, dict | list) or not value


def _sees_all(value: Any) -> bool:
    """Return whether an expression may see the whole document, and so what was hoisted."""
    if isinstance(value, str):
        return value.startswith(_WHOLE)
    if isinstance(value, dict | list):
        return any(map(_sees_all, value.values() if isinstance(value, dict) else value))
    return False
