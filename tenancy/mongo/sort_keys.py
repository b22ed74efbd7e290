"""Where a page ends in an order of documents, and how MongoDB tells what lies beyond it.

MongoDB makes the sort key of each document: the value of each field, null for one that is missing,
the least element of an array in an ascending order, the greatest in a descending one. An empty
array has the key `undefined`, before null; BSON libraries no longer write that, so that here
EMPTY_ARRAY stands for it, a type that clients cannot store.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bson import MinKey, encode

Document = dict[str, Any]
Order = tuple[tuple[str, int], ...]

EMPTY_ARRAY = MinKey()
# Names that no document of a client has at its top.
KEY, ENTRY, WHOLE = "__key", "__entry", "__whole"
ORDER_KEY: Document = {"$meta": "sortKey"}
INDEX_KEY: Document = {"$meta": "indexKey"}
MARKED_KEY: Document = {
    "$map": {
        "input": ORDER_KEY,
        "in": {"$cond": [{"$eq": [{"$type": "$$this"}, "undefined"]}, EMPTY_ARRAY, "$$this"]},
    }
}


@dataclass(frozen=True)
class Position:
    """The sort key of the last document of a page; the last of `values` is its `_id`.

    `tie` is the direction of the `_id`, which ends every order.
    """

    values: tuple[Any, ...]
    tie: int

    @property
    def in_empty_arrays(self) -> bool:
        """Whether the page ended among empty arrays; an index cannot be asked to go on there."""
        return any(isinstance(value, MinKey) for value in self.values)


def beyond(last: Sequence[Any], order: Order) -> Document:
    """Return the expression that holds for a document with a KEY after the `last` one.

    Expressions compare as sorts do, across types; the operators of filters do not.
    """
    same: list[Document] = []
    ways: list[Document] = []
    for place, ((_, direction), value) in enumerate(zip(order, last, strict=True)):
        pair = [{"$arrayElemAt": [f"${KEY}", place]}, {"$literal": value}]
        ways.append({"$and": [*same, {"$gt" if direction > 0 else "$lt": pair}]})
        same.append({"$eq": pair})
    return {"$or": ways}


def is_first_entry(row: Document, order: Order) -> bool:
    """Return whether the index entry under which a document was found is its sort key.

    One with an array has several entries; found under a later one, it may not be beyond.
    """
    entry = [row[ENTRY].get(field) for field, _ in order]
    return bool(row[KEY] == entry) or encode({"": row[KEY]}) == encode({"": entry})


def may_be_empty_array(row: Document, order: Order) -> bool:
    """Return whether one of the Nones in the key of a whole document may stand for `undefined`."""
    fields = [field for (field, _), value in zip(order, row[KEY], strict=True) if value is None]
    return any(_holds_array(row.get(field.partition(".")[0])) for field in fields)


def _holds_array(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_array, value.values()))
    return isinstance(value, list)


def tie_of(sort: Sequence[tuple[str, int]]) -> int:
    """Return the direction of the `_id` at the end of an order, where nothing asks for another."""
    return sort[-1][1] if sort else 1
