"""Pages of documents in any order: every document that stays as it is appears exactly once.

Three ways, by what there is. In the order of `_id`: on from the last one; MongoDB chooses the
index. By an index whose entries are in the wanted order: along its entries, at the same cost for
every page. Otherwise, for at most `SORT_MAX_DOCUMENTS`: MongoDB sorts, and leaves out what is not
beyond the last page by the sort key that it made itself.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pymongo.errors import OperationFailure

from tenancy.exceptions import SortNeedsIndex
from tenancy.mongo.advice import MOVE_FIRST, POST_INDEX, advised
from tenancy.mongo.array_indexes import fields_with_arrays
from tenancy.mongo.clients import Document
from tenancy.mongo.handles import Handle
from tenancy.mongo.indexes import IndexSpec
from tenancy.mongo.plans import (
    OPEN,
    Bounds,
    Walk,
    end_of,
    find_walk,
    has_rival,
    points_of,
    suggested_keys,
)
from tenancy.mongo.projected import includes, presented
from tenancy.mongo.query_errors import BAD_VALUE, sort_errors
from tenancy.mongo.raw_batches import read_rows, read_sorted_rows
from tenancy.mongo.revisions import shown
from tenancy.mongo.sort_keys import (
    ENTRY,
    INDEX_KEY,
    KEY,
    MARKED_KEY,
    ORDER_KEY,
    WHOLE,
    Order,
    Position,
    beyond,
    is_first_entry,
    may_be_empty_array,
    tie_of,
)

SORT_MAX_DOCUMENTS = 10_000
# So few documents are rather found by another index and sorted than met along a walk.
FEW_DOCUMENTS = 1_000


@dataclass(frozen=True)
class Selection:
    """What is asked for: a compiled filter, the values it fixes, an order, and a projection.

    `fields` is a projection that keeps `_id` and `_meta`; None stands for whole documents.
    """

    query: Document = field(default_factory=dict)
    equalities: Document = field(default_factory=dict)
    sort: Order = ()
    fields: Document | None = None

    @property
    def order(self) -> Order:
        """The order of the fields up to `_id`, after which nothing is left to order."""
        names = [name for name, _ in self.sort]
        return self.sort[: names.index("_id") + 1] if "_id" in names else self.sort

    @property
    def points(self) -> Document:
        """The fields that the filter fixes to one point of an index."""
        return points_of(self.equalities)


@dataclass(frozen=True)
class Count:
    """How many documents there are, and whether that is exact, a lower bound or an estimate."""

    value: int
    kind: Literal["exact", "at_least", "estimated"]


@dataclass(frozen=True)
class Page:
    """Some documents in order, whether there are more, and where to go on then."""

    documents: list[Document]
    has_more: bool
    position: Position | None = None
    count: Count | None = None


class _NotBuilt(Exception):
    """MongoDB does not have the index that the catalog tells of."""


class _IndexIsThere(AbstractContextManager[None]):
    """Raise _NotBuilt if the index of a hint is not there."""

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        is_refused = isinstance(error, OperationFailure) and error.code == BAD_VALUE
        if is_refused and "hint" in str(error):
            raise _NotBuilt from error


class PagedCollection(Handle):
    """The part of a collection that gives pages."""

    def page(
        self,
        wanted: Selection,
        *,
        limit: int,
        position: Position | None = None,
        indexes: Sequence[IndexSpec] = (),
    ) -> Page:
        """Return at most `limit` (1..1000) documents after a position, and at most about 16 MiB.

        `indexes` are those that the collection should have; one that MongoDB does not have is not
        missed. Raises SortNeedsIndex, InvalidQuery or QueryTimeout.
        """
        with advised(wanted.points, wanted.order), sort_errors():
            walk = self.find_walk(wanted, indexes, tie=position.tie if position else None)
            if is_by_id(wanted):
                return self._page_by_id(wanted, limit, position, walk)
            if walk is not None:
                try:
                    return self._walk(walk, wanted, limit, position)
                except _NotBuilt:
                    pass
            self._assert_sortable(wanted)
            tie = position.tie if position else tie_of(wanted.order)
            return self._sort(ended(wanted.order, tie), wanted, limit, position)

    def find_walk(
        self, wanted: Selection, indexes: Sequence[IndexSpec], *, tie: int | None = None
    ) -> Walk | None:
        """Return the way along an index by which a selection is answered, or None."""
        if self._address.kind == "shared":  # no index of a tenant's is there
            return None
        order = ended(wanted.order, 1) if is_by_id(wanted) else wanted.order
        walk = find_walk(order, wanted.points, indexes, tie=tie)
        if walk is None or is_by_id(wanted):
            return walk
        if has_rival(walk, wanted.points, indexes) and self._is_within(wanted, FEW_DOCUMENTS):
            return None
        return replace(walk, until=end_of(wanted.query, wanted.order))

    def _is_within(self, wanted: Selection, most: int) -> bool:
        """Return whether a filter finds at most so many documents."""
        query = self._boundary.within(wanted.query)
        found = self._collection.count_documents(query, limit=most + 1, session=self._session)
        return found <= most

    def _assert_sortable(self, wanted: Selection) -> None:
        if self._is_within(wanted, SORT_MAX_DOCUMENTS):
            return
        raise SortNeedsIndex(
            f"More than {SORT_MAX_DOCUMENTS:,} documents cannot be sorted without an index.",
            hint=MOVE_FIRST if self._address.kind == "shared" else POST_INDEX,
            extra={"index": {"keys": suggested_keys(wanted.points, wanted.order)}},
        )

    # --- in the order of `_id`

    def _page_by_id(
        self, wanted: Selection, limit: int, position: Position | None, walk: Walk | None
    ) -> Page:
        by = wanted.order[0][1] if wanted.order else 1
        query = self._boundary.within(wanted.query)
        if position is not None:
            # An expression compares across types, and has bounds in every index with the `_id`.
            last = {"$literal": self._boundary.stored_id(position.values[0])}
            later: Document = {"$expr": {"$gt" if by > 0 else "$lt": ["$_id", last]}}
            query = {"$and": [later, query]} if query else later
        try:
            hint = walk.index if walk else None
            rows, limit = self._find(query, wanted.fields, (("_id", by),), limit, hint)
        except _NotBuilt:
            rows, limit = self._find(query, wanted.fields, (("_id", by),), limit, None)
        found = [shown(row) for row in self._all_bare(rows[:limit])]
        if len(rows) <= limit:
            return Page(found, has_more=False)
        return Page(found, has_more=True, position=Position((found[-1]["_id"],), by))

    def _find(
        self, query: Document, projection: Document | None, order: Order, limit: int,
        hint: str | None, bounds: Bounds = OPEN,
    ) -> tuple[list[Document], int]:  # fmt: skip
        """Return what `read_rows` does. One command."""
        cursor: Any = self._collection.find(
            query, projection, sort=list(order), limit=limit + 1, batch_size=limit + 1,
            session=self._session,
        )  # fmt: skip
        if hint is not None:
            cursor = cursor.hint(hint)
        low, high = bounds
        cursor = cursor.min(low) if low else cursor
        cursor = cursor.max(high) if high else cursor
        with _IndexIsThere():
            return read_rows(cursor, limit)

    # --- along an index

    def _walk(self, walk: Walk, wanted: Selection, limit: int, position: Position | None) -> Page:
        if position is not None and (position.in_empty_arrays or self._sorts_arrays(walk)):
            return self._sort(walk.order, wanted, limit, position, hint=walk.index)
        asked = limit
        rows, limit = self._walked(walk, wanted, asked, position, marked=includes(wanted.fields))
        last = rows[limit - 1 : limit]
        if position is not None and not all(is_first_entry(row, walk.order) for row in rows):
            return self._sort(walk.order, wanted, asked, position, hint=walk.index)
        if wanted.fields is None and any(may_be_empty_array(row, walk.order) for row in last):
            rows, limit = self._walked(walk, wanted, asked, position, marked=True)
        elif (
            not includes(wanted.fields) and wanted.fields and any(None in row[KEY] for row in last)
        ):
            return self._sort(walk.order, wanted, asked, position, hint=walk.index)
        keys = [tuple(row[KEY]) for row in rows]
        return _page(rows, keys, limit, walk.order[-1][1])

    def _sorts_arrays(self, walk: Walk) -> bool:
        """Return whether the sort is by a field with arrays: MongoDB would sort all that is left.

        If the answer is out of date, `is_first_entry` finds it out.
        """
        with _IndexIsThere():
            arrays = fields_with_arrays(self._address, self._name, walk.index)
        return not arrays.isdisjoint(dict(walk.order))

    def _walked(
        self, walk: Walk, wanted: Selection, limit: int, position: Position | None, *, marked: bool
    ) -> tuple[list[Document], int]:
        query, bounds = wanted.query, OPEN
        if position is not None:
            bounds = walk.bounds(position)
            query = {"$and": [{"_id": {"$ne": position.values[-1]}}, query]}
        projection: Document = {ENTRY: INDEX_KEY, KEY: MARKED_KEY if marked else ORDER_KEY}
        projection |= wanted.fields or ({WHOLE: "$$ROOT"} if marked else {})
        return self._find(query, projection, walk.order, limit, walk.index, bounds)

    # --- without an index, or where one is of no use for what is left

    def _sort(
        self, order: Order, wanted: Selection, limit: int, position: Position | None,
        hint: str | None = None,
    ) -> Page:  # fmt: skip
        # The sort comes first, for then MongoDB keeps the sort key; so it is on what is stored.
        query, by = self._boundary.within(wanted.query), dict(self._boundary.order(order))
        stages: list[Document] = [{"$match": query}, {"$sort": by}]
        if position is None:
            stages += [{"$limit": limit + 1}, {"$set": {KEY: MARKED_KEY}}]
        else:
            last = (*position.values[:-1], self._boundary.stored_id(position.values[-1]))
            later = {"$match": {"$expr": beyond(last, order)}}
            stages += [{"$set": {KEY: MARKED_KEY}}, later, {"$limit": limit + 1}]
        if wanted.fields:
            kept = {KEY: 1} if includes(wanted.fields) else {}
            stages.append({"$project": {**wanted.fields, **kept}})
        # One more than there will be: so MongoDB sees that there are no more, and ends the cursor.
        options: dict[str, Any] = {"batchSize": limit + 2, **({"hint": hint} if hint else {})}
        with _IndexIsThere():
            found = self._collection.aggregate(
                stages, session=self._session, allowDiskUse=True, **options
            )
            stored, limit = read_sorted_rows(found, limit)
        rows = [self._bare(row) for row in stored]
        keys = [(*row[KEY][:-1], row["_id"]) for row in rows]
        return _page(rows, keys, limit, order[-1][1])


def is_by_id(wanted: Selection) -> bool:
    """Return whether the order is that of `_id` alone."""
    return not wanted.order or wanted.order[0][0] == "_id"


def ended(order: Order, tie: int) -> Order:
    """Return an order with `_id` at its end."""
    return order if order and order[-1][0] == "_id" else (*order, ("_id", tie))


def _page(rows: list[Document], keys: list[tuple[Any, ...]], limit: int, tie: int) -> Page:
    has_more = len(rows) > limit
    position = Position(keys[limit - 1], tie) if has_more else None
    return Page([presented(row) for row in rows[:limit]], has_more, position)
