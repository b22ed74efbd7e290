"""JSON filters -> MongoDB filters, by a list of what is allowed.

The walk is over the raw JSON, before any Extended JSON in it is read: what a wrapper would turn
into an object can hide nothing. A filter that was compiled is in the user's view; where it runs,
`tenancy.mongo.boundary` keeps it within the tenant's documents.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

from tenancy.exceptions import OperatorNotAllowed, QueryTooComplex
from tenancy.mongo.extended_json import dumps
from tenancy.mongo.field_paths import flaw_of_path
from tenancy.mongo.filter_operators import LIST_MAX_VALUES, OPERATORS
from tenancy.mongo.query_values import REFUSED_TYPES, WRAPPERS, Path, Walk, meant
from tenancy.wording import shorten

FILTER_MAX_BYTES = 16_384
FILTER_MAX_DEPTH = 8
FILTER_MAX_PREDICATES = 100
LOGICAL = ("$and", "$or", "$nor")
ON_FIELDS = (*OPERATORS, "$not", "$elemMatch")


def compile_filter(raw: Any, at: str = "") -> dict[str, Any]:
    """Return the MongoDB filter that raw JSON spells; `at` is the pointer to it in the request.

    At most FILTER_MAX_BYTES of JSON, FILTER_MAX_PREDICATES conditions, and FILTER_MAX_DEPTH levels
    of filters and operators within one another; values nest as in documents. Raises
    OperatorNotAllowed, TypeNotAllowed, QueryTooComplex, or ValidationFailed for another shape.
    """
    walk = FilterWalk(at)
    walk.check_size(raw, FILTER_MAX_BYTES)
    return walk.read_filter(raw, None, 1)


class FilterWalk(Walk):
    """One look at a raw filter; it counts the conditions."""

    predicates = 0

    def read_filter(
        self, raw: Any, path: Path, depth: int, *, is_nested: bool = False
    ) -> dict[str, Any]:
        """Return a compiled filter; `is_nested` says that it is on the elements of an array."""
        self._check_depth(path, depth)
        query = {}
        for key, value in self.check_object(raw, path, "A filter").items():
            at = (path, key)
            if key in LOGICAL:
                query[key] = self._read_parts(value, at, depth, is_nested=is_nested)
            elif key.startswith("$"):
                self._refuse_operator(key, at, LOGICAL)
            elif flaw := flaw_of_path(key, is_nested=is_nested):
                self.refuse(at, flaw)
            else:
                query[key] = self._read_condition(value, at, depth)
        return query

    def _read_parts(
        self, raw: Any, path: Path, depth: int, *, is_nested: bool
    ) -> list[dict[str, Any]]:
        parts = self.check_array(raw, path, "A logical operator")
        if not parts:
            self.refuse(path, "A logical operator takes at least one filter.")
        return [
            self.read_filter(part, (path, index), depth + 1, is_nested=is_nested)
            for index, part in enumerate(parts)
        ]

    def _read_condition(self, raw: Any, path: Path, depth: int) -> Any:
        """Return what stands behind a field: operators, or the value that it equals."""
        if not isinstance(raw, dict) or not any(key.startswith("$") for key in raw):
            self._count(path)
            return self.decode(raw, path)
        if not any(key in ON_FIELDS for key in raw):
            self._check_wrapper(raw, path)
            self._count(path)
            return self.decode(raw, path)
        return self._read_operators(raw, path, depth + 1)

    def _check_wrapper(self, raw: dict[str, Any], path: Path) -> None:
        for key in raw:
            if key.startswith("$") and key not in WRAPPERS and key not in REFUSED_TYPES:
                self._refuse_operator(key, (path, key), ON_FIELDS)

    def _read_operators(self, raw: Any, path: Path, depth: int) -> dict[str, Any]:
        self._check_depth(path, depth)
        operators = self.check_object(raw, path, "This operator")
        if not operators:
            self.refuse(path, "There is no operator.")
        return {
            key: self._read_operator(key, value, (path, key), depth)
            for key, value in operators.items()
        }

    def _read_operator(self, key: str, value: Any, path: Path, depth: int) -> Any:
        self._count(path)
        if key == "$not":
            return self._read_operators(value, path, depth + 1)
        if key == "$elemMatch":
            return self._read_elements(value, path, depth + 1)
        if key == "$all" and _are_elements(value):
            return self._read_all_elements(value, path, depth + 1)
        if key not in OPERATORS:
            self._refuse_operator(key, path, ON_FIELDS)
        return OPERATORS[key](self, value, path)

    def _read_elements(self, raw: Any, path: Path, depth: int) -> dict[str, Any]:
        condition = self.check_object(raw, path, "$elemMatch")
        if any(key in ON_FIELDS for key in condition):
            return self._read_operators(condition, path, depth)
        return self.read_filter(condition, path, depth, is_nested=True)

    def _read_all_elements(self, raw: list[Any], path: Path, depth: int) -> list[Any]:
        if len(raw) > LIST_MAX_VALUES:
            self.refuse(path, f"At most {LIST_MAX_VALUES:,} are accepted.", QueryTooComplex)
        found = []
        for index, each in enumerate(raw):
            at = (path, index)
            if not _is_elements(each):
                self.refuse(at, "$all takes values, or nothing but $elemMatch.")
            found.append(self._read_operators(each, at, depth))
        return found

    def _refuse_operator(self, key: str, path: Path, known: tuple[str, ...]) -> NoReturn:
        if not key.startswith("$"):
            self.refuse(path, f"“{shorten(key)}” stands among operators.")
        remedy = meant(key, known) or (" It belongs behind a field." if key in ON_FIELDS else "")
        message = f"The operator {shorten(key)} is not allowed here.{remedy}"
        self.refuse(path, message, OperatorNotAllowed)

    def _check_depth(self, path: Path, depth: int) -> None:
        if depth > FILTER_MAX_DEPTH:
            message = f"Filters and operators nest at most {FILTER_MAX_DEPTH} levels deep."
            self.refuse(path, message, QueryTooComplex)

    def _count(self, path: Path) -> None:
        self.predicates += 1
        if self.predicates > FILTER_MAX_PREDICATES:
            message = f"A filter has at most {FILTER_MAX_PREDICATES} conditions."
            self.refuse(path, message, QueryTooComplex)


def _is_elements(raw: Any) -> bool:
    return isinstance(raw, dict) and raw.keys() == {"$elemMatch"}


def _are_elements(raw: Any) -> bool:
    return isinstance(raw, list) and any(_is_elements(each) for each in raw)


# --- what a compiled filter says


def canonical(query: dict[str, Any]) -> str:
    """Return a text that is the same for the same compiled filter, whatever the order of its
    fields and operators, and whether an equality is spelled with `$eq`."""
    return dumps(_normal(query)).decode()


def _normal(query: dict[str, Any]) -> dict[str, Any]:
    return {
        key: [_normal(part) for part in query[key]]
        if key in LOGICAL
        else _normal_condition(query[key])
        for key in sorted(query)
    }


def _normal_condition(condition: Any) -> dict[str, Any]:
    if not is_operators(condition):
        return {"$eq": condition}
    return {key: condition[key] for key in sorted(condition)}


def is_operators(condition: Any) -> bool:
    """Return whether what stands behind a field of a compiled filter is operators."""
    return isinstance(condition, dict) and any(key.startswith("$") for key in condition)


def fields_of(query: dict[str, Any]) -> frozenset[str]:
    """Return the dotted paths of the fields that a compiled filter looks at."""
    return frozenset(_paths(query))


def _paths(query: dict[str, Any]) -> Iterator[str]:
    for key, value in query.items():
        if key in LOGICAL:
            for part in value:
                yield from _paths(part)
        else:
            yield key


def equalities_of(query: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a compiled filter fixes to one scalar value each.

    A field that equals two values is there with the first.
    """
    found: dict[str, Any] = {}
    for key, value in query.items():
        if key == "$and":
            parts = [equalities_of(part) for part in value]
        elif key in LOGICAL:
            continue
        else:
            wanted = value.get("$eq", value) if is_operators(value) else value
            parts = [{}] if isinstance(wanted, dict | list) else [{key: wanted}]
        for part in parts:
            found = {**part, **found}
    return found
