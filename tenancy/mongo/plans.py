"""Which index answers a filter and an order, read from the definitions of the indexes alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import Binary, Decimal128, MaxKey, MinKey, ObjectId
from bson.datetime_ms import DatetimeMS

from tenancy.mongo.indexes import IndexSpec
from tenancy.mongo.sort_keys import Order, Position, tie_of

Document = dict[str, Any]
Bound = list[tuple[str, Any]]
Bounds = tuple[Bound | None, Bound | None]
OPEN: Bounds = (None, None)

INDEX_MAX_FIELDS = 8
# Values that are one point in an index, whatever type a document has beside them.
_POINTS = (str, int, float, bool, ObjectId, Binary, Decimal128, datetime, DatetimeMS)
_UPPER, _LOWER = ("$lt", "$lte", "$eq"), ("$gt", "$gte", "$eq")
NOWHERE: Any = object()


@dataclass(frozen=True)
class Walk:
    """A way along an index whose entries are in the wanted order, `_id` last.

    `fixed` are the values of its first fields, which the filter asks for; `until` is the value of
    the first sort field beyond which the filter finds nothing, or NOWHERE.
    """

    index: str
    keys: Order
    forward: bool
    fixed: tuple[Any, ...]
    until: Any = NOWHERE

    @property
    def order(self) -> Order:
        """The order of the documents along the way."""
        way = 1 if self.forward else -1
        return tuple((field, direction * way) for field, direction in self.keys[len(self.fixed) :])

    @property
    def reach(self) -> frozenset[str]:
        """The fields that the index has."""
        return frozenset(field for field, _ in self.keys)

    def bounds(self, position: Position) -> Bounds:
        """Return `min`, which is inclusive, and `max`, which is not, of what is left to walk."""
        here, end = self._entry(self.fixed + position.values), self._end()
        return (here, end) if self.forward else (end, here)

    def _end(self) -> Bound | None:
        known = self.fixed if self.until is NOWHERE else (*self.fixed, self.until)
        if not known:
            return None
        way = 1 if self.forward else -1
        rest = [MaxKey() if by == way else MinKey() for _, by in self.keys[len(known) :]]
        return self._entry((*known, *rest))

    def _entry(self, values: Sequence[Any]) -> Bound:
        return [(field, value) for (field, _), value in zip(self.keys, values, strict=True)]


def points_of(equalities: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the fields that a filter fixes whose value is one point in an index."""
    return {field: value for field, value in equalities.items() if isinstance(value, _POINTS)}


def find_walk(
    sort: Order, points: Mapping[str, Any], indexes: Sequence[IndexSpec], *, tie: int | None = None
) -> Walk | None:
    """Return the way along the index that fixes most fields, or None.

    `sort` ends with `_id`, or else `tie` is its direction, where that is settled already.
    """
    walks = [
        walk for spec in indexes if _is_whole(spec) for walk in _walks(spec, sort, points, tie)
    ]
    return max(walks, key=lambda walk: len(walk.fixed), default=None)


def _is_whole(spec: IndexSpec) -> bool:
    """Return whether every document has an entry, in the order of plain sorts."""
    return not spec.sparse and not spec.options


def _walks(
    spec: IndexSpec, sort: Order, points: Mapping[str, Any], tie: int | None
) -> Iterator[Walk]:
    keys = tuple((field, int(by)) for field, by in spec.keys if isinstance(by, int))
    for order in _endings(sort, tie):
        start = len(keys) - len(order)
        prefix = [field for field, _ in keys[: max(0, start)]]
        if len(keys) != len(spec.keys) or start < 0 or not points.keys() >= set(prefix):
            continue
        fixed = tuple(points[field] for field in prefix)
        if keys[start:] == order:
            yield Walk(spec.name, keys, forward=True, fixed=fixed)
        elif keys[start:] == tuple((field, -by) for field, by in order):
            yield Walk(spec.name, keys, forward=False, fixed=fixed)


def _endings(sort: Order, tie: int | None) -> list[Order]:
    """Return the orders by `sort` and then `_id`, in the direction that is settled or in both."""
    if "_id" in dict(sort):
        return [sort]
    usual = tie_of(sort)
    return [(*sort, ("_id", by)) for by in ([usual, -usual] if tie is None else [tie])]


def has_rival(walk: Walk, points: Mapping[str, Any], indexes: Sequence[IndexSpec]) -> bool:
    """Return whether another index begins with what the filter fixes, and the walk's has not."""
    left = points.keys() - walk.reach
    return any(spec.keys[0][0] in left for spec in indexes)


def end_of(query: Document, sort: Order) -> Any:
    """Return the value of the first sort field beyond which a filter finds nothing, or NOWHERE."""
    field, direction = sort[0]
    operators = _UPPER if direction > 0 else _LOWER
    for part in [query, *query.get("$and", [])]:
        wanted = part.get(field)
        named = wanted if isinstance(wanted, dict) else {"$eq": wanted}
        for operator in operators:
            if isinstance(named.get(operator), _POINTS):
                return named[operator]
    return NOWHERE


def suggested_keys(points: Mapping[str, Any], sort: Order) -> list[list[Any]] | None:
    """Return the keys of an index by which a filter and an order would be answered, or None."""
    ordered = [[field, by] for field, by in sort if field != "_id"]
    fixed = [[field, 1] for field in points if field not in {*dict(sort), "_id"}]
    keys = [*fixed[: INDEX_MAX_FIELDS - 1 - len(ordered)], *ordered]
    tie = dict(sort).get("_id", tie_of(sort))
    return [*keys, ["_id", tie]] if keys else None
