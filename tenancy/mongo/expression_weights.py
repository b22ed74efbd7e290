"""How much memory MongoDB may need for what an expression makes, judged before it runs.

MongoDB stops a `$group`, a `$sort` and a `$facet` at 100 MB each; what one expression puts together
it does not bound. So every expression is weighed, as if each document were the worst there can be.

The unit is 32 MiB: the elements of the largest document, 16 MiB of BSON, as MongoDB computes with
them. An element has at least 8 bytes of BSON (a type, the digits of its place, NUL) and becomes a
value of 16 bytes. All numbers below are in values of 16 bytes for each of those. What an object, an
array and a text take was measured with MongoDB 6.0 for the worst content: arrays of nulls, objects
of one null, texts of separators. What operators make of them, FACTORS and GROWTHS, was measured for
some of them and is estimated for the others, from what they build; a bound, not the true need.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as made_by
from typing import Any

from tenancy.mongo.expression_operators import SCALAR

VALUE_BYTES = 16
# An object made for each element has 252 bytes with one field, 380 with four; an array 80 and its
# values; a text 55 and its characters.
OBJECT, FIELD, ARRAY, TEXT = 13, 3, 5, 4
# A path through an array makes another of what it finds, in objects of at least 16 bytes.
PATH = 0.5
# What operators make of each value they are given, where that is not one: the nodes of sets, the
# places of a sort, an object of 300 bytes for each field, a value for each character.
FACTORS = {
    **dict.fromkeys(("$setUnion", "$setIntersection", "$setDifference"), 5),
    **dict.fromkeys(("$setEquals", "$setIsSubset"), 5),
    "$sortArray": 3,
    "$arrayToObject": 3,
    "$mergeObjects": 8,
    "$split": 10,
    "$objectToArray": 26,
    "$bsonSize": 1,
}
# How much more than what they are given their results are to the next.
GROWTHS = {"$objectToArray": 4, "$split": 8, "$dateToString": 2}
# They give one of what they are given, as it is.
CHOOSING = frozenset(
    ("$cond", "$switch", "$ifNull", "$min", "$max", "$first", "$last", "$arrayElemAt")
)
ARRAYS = frozenset((
    *("$concatArrays", "$reverseArray", "$slice", "$sortArray", "$objectToArray", "$split"),
    *("$setUnion", "$setIntersection", "$setDifference"),
))  # fmt: skip
OBJECTS = {"$mergeObjects": 1, "$arrayToObject": 1, "$dateToParts": 8}
_SMALL = ("$$NOW", "$$REMOVE")
_WHOLE = ("$$ROOT", "$$CURRENT")


@dataclass(frozen=True)
class Weight:
    """`size` of a result, as long as it would be written out; `held`, what was allocated for it,
    and `peak`, what is at most allocated while it is computed. Equal values share memory."""

    size: float = 0
    held: float = 0
    peak: float = 0


@dataclass(frozen=True)
class Reach:
    """What an expression may take: the largest `field`, the `whole` document, variables; and for
    how many elements `each` it is computed, in $map."""

    field: float
    whole: float
    names: Mapping[str, float] = made_by(default_factory=dict)
    each: float = 0

    def naming(self, names: Mapping[str, float], each: float | None = None) -> "Reach":
        """Return what is in reach inside of $let, $filter or $map."""
        each = self.each if each is None else each
        return replace(self, names={**self.names, **names}, each=each)


def together(weights: Iterable[Weight]) -> Weight:
    """Return the weight of what is computed one after the other, and kept."""
    size = held = peak = 0.0
    for each in weights:
        peak = max(peak, held + each.peak)
        size, held = size + each.size, held + each.held
    return Weight(size, held, peak)


def weigh(expression: Any, reach: Reach) -> Weight:
    """Return the weight of a compiled expression."""
    if isinstance(expression, str) and expression.startswith("$"):
        return _weigh_reference(expression, reach)
    if isinstance(expression, list):
        made = reach.each * (ARRAY + len(expression))
        return _more(together(weigh(each, reach) for each in expression), made, made)
    if not isinstance(expression, dict):
        return Weight(size=_size_of_data(expression, reach))
    name = next(iter(expression), "")
    if name.startswith("$"):
        return _weigh_operator(name, expression[name], reach)
    made = reach.each * (OBJECT + FIELD * len(expression))
    parts = together(weigh(each, reach) for each in expression.values())
    return _more(parts, reach.each * (1 + len(expression)), made)


def _more(weight: Weight, size: float, made: float) -> Weight:
    return Weight(weight.size + size, weight.held + made, weight.peak + made)


def _size_of_data(value: Any, reach: Reach) -> float:
    """Return the size of a constant; it counts only where it is put together for each element."""
    if not reach.each:
        return 0
    if isinstance(value, dict | list):
        children = value.values() if isinstance(value, dict) else value
        return reach.each + sum(_size_of_data(child, reach) for child in children)
    length = len(value) if isinstance(value, str | bytes) else 0
    return reach.each * (1 + length / VALUE_BYTES * 4)  # UTF-8 has up to four bytes a character


def _weigh_reference(text: str, reach: Reach) -> Weight:
    name, dot, _ = text.partition(".")
    if name in _SMALL:
        return Weight()
    if name in _WHOLE and not dot:
        return Weight(size=reach.whole)
    size = reach.names.get(name[2:], reach.field)
    made = PATH * size if dot else 0
    return Weight(size, made, made)


def _weigh_operator(name: str, inner: Any, reach: Reach) -> Weight:
    if name == "$literal":
        return Weight(size=_size_of_data(inner, reach))
    if name == "$let":
        return _weigh_let(inner, reach)
    if name in {"$map", "$filter"}:
        return _weigh_each(inner, reach)
    parts = [weigh(each, reach) for each in _arguments_of(name, inner)]
    given = together(parts)
    if name in SCALAR:
        return Weight(0, 0, given.peak + FACTORS.get(name, 0) * given.size)
    if name in CHOOSING:
        return replace(given, size=max((each.size for each in parts), default=0))
    fresh = reach.each * _allocated(name)
    made = fresh + given.size * FACTORS.get(name, GROWTHS.get(name, 1))
    return _more(replace(given, size=given.size * GROWTHS.get(name, 1)), fresh, made)


def _arguments_of(name: str, inner: Any) -> list[Any]:
    if isinstance(inner, list):
        return inner
    if name == "$switch":
        parts = [each for branch in inner["branches"] for each in branch.values()]
        return [*parts, inner.get("default")]
    if isinstance(inner, dict) and not next(iter(inner), "$").startswith("$"):
        return list(inner.values())
    return [inner]


def _allocated(name: str) -> int:
    if name in OBJECTS:
        return OBJECT + FIELD * OBJECTS[name]
    return ARRAY if name in ARRAYS else TEXT


def _weigh_let(arguments: dict[str, Any], reach: Reach) -> Weight:
    bound = {name: weigh(each, reach) for name, each in arguments["vars"].items()}
    names = {name: each.size for name, each in bound.items()}
    body = weigh(arguments["in"], reach.naming(names))
    return replace(together([*bound.values(), body]), size=body.size)


def _weigh_each(arguments: dict[str, Any], reach: Reach) -> Weight:
    """Weigh $map and $filter; `each` is how many values the input may have."""
    given = weigh(arguments["input"], reach)
    names = {str(arguments.get("as", "this")): given.size}
    if "cond" in arguments:
        # What a condition puts together is free again before the next element.
        judged = weigh(arguments["cond"], reach.naming(names))
        held = given.held + given.size
        return Weight(given.size, held, max(given.peak, held + judged.peak))
    made = weigh(arguments["in"], reach.naming(names, given.size))
    kept = together([given, made])
    return _more(replace(kept, size=made.size), given.size, given.size)
