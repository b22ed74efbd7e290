"""JSON expressions of pipelines -> checked MongoDB expressions, by a list of what is allowed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tenancy.exceptions import OperatorNotAllowed, QueryTooComplex
from tenancy.mongo.expression_operators import (
    COMPARISONS,
    DATE_PART,
    DATE_PARTS,
    NAMED,
    OPERATORS,
    SYSTEM_VARIABLES,
    Named,
)
from tenancy.mongo.field_paths import flaw_of_path
from tenancy.mongo.projections import is_direction
from tenancy.mongo.query_values import REFUSED_TYPES, WRAPPERS, Path, Walk, meant
from tenancy.mongo.raw_json import shown
from tenancy.wording import shorten

EXPRESSION_MAX_DEPTH = 20
PIPELINE_MAX_NODES = 500
SEPARATOR_MAX_CHARACTERS = 100
VARIABLE = re.compile(r"[a-z][A-Za-z0-9_]{0,63}")
_WHOLE = frozenset(("ROOT", "CURRENT"))


@dataclass(frozen=True)
class Scope:
    """The variables in reach: `own` ones, and `others` from outside of the $map or $filter."""

    own: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    is_iterating: bool = False

    def with_names(self, names: frozenset[str]) -> "Scope":
        """Return what is in reach inside of $let."""
        return replace(self, own=self.own | names)

    def of_element(self, name: str) -> "Scope":
        """Return what is in reach where something is computed for each element."""
        return Scope(frozenset((name,)), self.own | self.others, is_iterating=True)


class ExpressionWalk(Walk):
    """One look at the expressions of a pipeline; it counts their parts."""

    nodes = 0

    def read_expression(
        self, raw: Any, path: Path, scope: Scope | None = None, depth: int = 1
    ) -> Any:
        """Return a compiled expression. Raises OperatorNotAllowed, TypeNotAllowed,
        QueryTooComplex, or ValidationFailed for another shape."""
        scope = scope or Scope()
        self._count(path, depth)
        if isinstance(raw, str):
            if raw.startswith("$"):
                self._check_reference(raw, path, scope)
            return raw
        if isinstance(raw, list):
            return [
                self.read_expression(each, (path, index), scope, depth + 1)
                for index, each in enumerate(raw)
            ]
        if isinstance(raw, dict):
            return self._read_object(raw, path, scope, depth)
        return self.decode(raw, path)

    def _count(self, path: Path, depth: int) -> None:
        self.nodes += 1
        if depth > EXPRESSION_MAX_DEPTH:
            message = f"Expressions nest at most {EXPRESSION_MAX_DEPTH} levels deep."
            self.refuse(path, message, QueryTooComplex)
        if self.nodes > PIPELINE_MAX_NODES:
            message = f"The expressions of a pipeline have at most {PIPELINE_MAX_NODES} parts."
            self.refuse(path, message, QueryTooComplex)

    def _count_data(self, raw: Any, path: Path) -> None:
        self._count(path, 1)
        if isinstance(raw, dict | list):
            for each in raw.values() if isinstance(raw, dict) else raw:
                self._count_data(each, path)

    def _check_reference(
        self, text: str, path: Path, scope: Scope, *, may_look_out: bool = False
    ) -> None:
        """Refuse what is no path of a field, or no variable in reach."""
        if text.startswith("$$"):
            name, dot, rest = text[2:].partition(".")
            if name not in scope.own | scope.others | SYSTEM_VARIABLES:
                self._refuse_variable(name, path, scope)
            is_outside = name in _WHOLE or (name in scope.others and name not in scope.own)
        else:
            name, dot, rest, is_outside = "", ".", text[1:], True
        if flaw := flaw_of_path(rest, is_nested=True) if dot else "":
            self.refuse(path, flaw)
        if is_outside and f"{rest}.".startswith("_meta.by."):
            self.refuse(path, "The field _meta.by is not shown.")
        if is_outside and scope.is_iterating and not may_look_out:
            self.refuse(
                path,
                f"Inside of $map and $filter, {shorten(text)} can only be compared: as what stands"
                " directly in $eq, $ne, $gt, $gte, $lt, $lte or $cmp.",
                QueryTooComplex,
            )

    def _refuse_variable(self, name: str, path: Path, scope: Scope) -> None:
        known = sorted(scope.own | scope.others | SYSTEM_VARIABLES)
        message = f"There is no variable $${shorten(name)} here.{meant(name, known)}"
        self.refuse(path, message, OperatorNotAllowed)

    def _read_object(self, raw: dict[str, Any], path: Path, scope: Scope, depth: int) -> Any:
        operators = [key for key in raw if key.startswith("$")]
        for key in operators:
            if key not in OPERATORS and key not in WRAPPERS and key not in REFUSED_TYPES:
                message = f"The operator {shorten(key)} is not allowed.{meant(key, OPERATORS)}"
                self.refuse((path, key), message, OperatorNotAllowed)
        if not operators:
            return self._read_fields(raw, path, scope, depth)
        if not any(key in OPERATORS for key in operators):
            return self.decode(raw, path)
        if len(raw) > 1:
            self.refuse(path, f"{operators[0]} stands alone in its object.")
        name = operators[0]
        return {name: self._read_operator(name, raw[name], (path, name), scope, depth + 1)}

    def _read_fields(
        self, raw: dict[str, Any], path: Path, scope: Scope, depth: int
    ) -> dict[str, Any]:
        for key in raw:
            if "." in key:
                self.refuse((path, key), f"The name {shown(key)} holds a dot.")
            if flaw := flaw_of_path(key, is_nested=True):
                self.refuse((path, key), flaw)
        return {
            key: self.read_expression(value, (path, key), scope, depth + 1)
            for key, value in raw.items()
        }

    def _read_operator(self, name: str, raw: Any, path: Path, scope: Scope, depth: int) -> Any:
        if name in _SPECIAL:
            return _SPECIAL[name](self, raw, path, scope, depth)
        if name in NAMED and not (name == "$cond" and isinstance(raw, list)):
            return self._read_named(raw, path, scope, depth, NAMED[name])
        if name in DATE_PARTS and isinstance(raw, dict) and "date" in raw:
            return self._read_named(raw, path, scope, depth, DATE_PART)
        if name in COMPARISONS:
            return self._read_comparison(raw, path, scope, depth)
        if name == "$split":
            self._check_split(raw, path)
        return self.read_expression(raw, path, scope, depth)

    def _read_comparison(self, raw: Any, path: Path, scope: Scope, depth: int) -> list[Any]:
        compared = []
        for index, each in enumerate(self.check_array(raw, path, "A comparison")):
            at = (path, index)
            if isinstance(each, str) and each.startswith("$"):
                self._check_reference(each, at, scope, may_look_out=True)
                compared.append(each)
            else:
                compared.append(self.read_expression(each, at, scope, depth + 1))
        return compared

    def _check_split(self, raw: Any, path: Path) -> None:
        separator = raw[1] if isinstance(raw, list) and len(raw) == 2 else None
        if not isinstance(separator, str) or separator.startswith("$") or not separator:
            self.refuse(path, "$split takes [text, separator]; the separator is written out.")
        if len(separator) > SEPARATOR_MAX_CHARACTERS:
            message = f"A separator has at most {SEPARATOR_MAX_CHARACTERS} characters."
            self.refuse(path, message, QueryTooComplex)

    def _read_named(
        self, raw: Any, path: Path, scope: Scope, depth: int, names: Named
    ) -> dict[str, Any]:
        arguments = self._check_names(raw, path, names)
        return {
            key: self.read_expression(value, (path, key), scope, depth + 1)
            for key, value in arguments.items()
        }

    def _check_names(self, raw: Any, path: Path, names: Named) -> dict[str, Any]:
        arguments = self.check_object(raw, path, "What this operator takes")
        known = names.required | names.optional
        for key in arguments:
            if key not in known:
                message = f"There is no argument {shown(key)} here.{meant(key, known)}"
                self.refuse((path, key), message)
        if missing := sorted(names.required - arguments.keys()):
            self.refuse(path, f"The argument {shown(missing[0])} is missing.")
        return arguments

    def _read_literal(self, raw: Any, path: Path, scope: Scope, depth: int) -> Any:
        self._count_data(raw, path)
        return self.decode(raw, path)

    def _check_variable(self, raw: Any, path: Path) -> str:
        if not isinstance(raw, str) or not VARIABLE.fullmatch(raw):
            self.refuse(path, "A variable is a lower-case letter, then letters, digits and _.")
        return raw

    def _read_let(self, raw: Any, path: Path, scope: Scope, depth: int) -> dict[str, Any]:
        arguments = self._check_names(raw, path, _LET)
        at = (path, "vars")
        given = self.check_object(arguments["vars"], at, "What $let binds")
        bound = {
            self._check_variable(name, (at, name)): self.read_expression(
                value, (at, name), scope, depth + 1
            )
            for name, value in given.items()
        }
        inside = scope.with_names(frozenset(bound))
        body = self.read_expression(arguments["in"], (path, "in"), inside, depth + 1)
        return {"vars": bound, "in": body}

    def _read_map(self, raw: Any, path: Path, scope: Scope, depth: int) -> dict[str, Any]:
        return self._read_each(self._check_names(raw, path, _MAP), "in", path, scope, depth)

    def _read_filter(self, raw: Any, path: Path, scope: Scope, depth: int) -> dict[str, Any]:
        arguments = self._check_names(raw, path, _FILTER)
        return self._read_each(arguments, "cond", path, scope, depth)

    def _read_each(
        self, arguments: dict[str, Any], body: str, path: Path, scope: Scope, depth: int
    ) -> dict[str, Any]:
        if scope.is_iterating:
            message = "$map and $filter do not stand inside of one another."
            self.refuse(path, message, QueryTooComplex)
        name = self._check_variable(arguments.get("as", "this"), (path, "as"))
        read = {}
        for key, value in arguments.items():
            reach = scope.of_element(name) if key == body else scope
            read[key] = (
                name if key == "as" else self.read_expression(value, (path, key), reach, depth + 1)
            )
        return read

    def _read_switch(self, raw: Any, path: Path, scope: Scope, depth: int) -> dict[str, Any]:
        arguments = dict(self._check_names(raw, path, _SWITCH))
        at = (path, "branches")
        branches = self.check_array(arguments.pop("branches"), at, "“branches”")
        read = [
            self._read_named(each, (at, index), scope, depth + 1, _BRANCH)
            for index, each in enumerate(branches)
        ]
        rest = {
            key: self.read_expression(value, (path, key), scope, depth + 1)
            for key, value in arguments.items()
        }
        return {"branches": read, **rest}

    def _read_sort_array(self, raw: Any, path: Path, scope: Scope, depth: int) -> dict[str, Any]:
        arguments = self._check_names(raw, path, _SORT_ARRAY)
        by, at = arguments["sortBy"], (path, "sortBy")
        if not is_direction(by):
            self.check_directions(by, at)
        array = self.read_expression(arguments["input"], (path, "input"), scope, depth + 1)
        return {"input": array, "sortBy": by}

    def check_directions(self, raw: Any, path: Path, *, is_nested: bool = True) -> None:
        """Refuse what is not {field: 1 or -1} with some fields."""
        keys = self.check_object(raw, path, "A sort")
        if not 0 < len(keys) <= SORT_MAX_FIELDS:
            self.refuse(path, f"A sort has 1 to {SORT_MAX_FIELDS} fields.")
        for key, direction in keys.items():
            if flaw := flaw_of_path(key, is_nested=is_nested):
                self.refuse((path, key), flaw)
            if not is_direction(direction):
                self.refuse((path, key), "The direction of a sort is 1 or -1.")


SORT_MAX_FIELDS = 16
_LET = Named(frozenset(("vars", "in")))
_MAP = Named(frozenset(("input", "in")), frozenset(("as",)))
_FILTER = Named(frozenset(("input", "cond")), frozenset(("as", "limit")))
_SWITCH = Named(frozenset(("branches",)), frozenset(("default",)))
_BRANCH = Named(frozenset(("case", "then")))
_SORT_ARRAY = Named(frozenset(("input", "sortBy")))
_SPECIAL: Mapping[str, Callable[[ExpressionWalk, Any, Path, Scope, int], Any]] = {
    "$literal": ExpressionWalk._read_literal,  # noqa: SLF001
    "$let": ExpressionWalk._read_let,  # noqa: SLF001
    "$map": ExpressionWalk._read_map,  # noqa: SLF001
    "$filter": ExpressionWalk._read_filter,  # noqa: SLF001
    "$switch": ExpressionWalk._read_switch,  # noqa: SLF001
    "$sortArray": ExpressionWalk._read_sort_array,  # noqa: SLF001
}
