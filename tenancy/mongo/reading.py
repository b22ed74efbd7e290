"""Read the documents of one logical collection."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bson import encode
from bson.errors import InvalidBSON

from tenancy.exceptions import DocumentNotFound, QueryTooComplex
from tenancy.mongo.advice import advised
from tenancy.mongo.clients import Document
from tenancy.mongo.distinct_values import stages_of_distinct
from tenancy.mongo.errors import driver_errors
from tenancy.mongo.extended_types import REPLY_OPTIONS
from tenancy.mongo.filters import equalities_of
from tenancy.mongo.indexes import IndexSpec
from tenancy.mongo.plans import points_of
from tenancy.mongo.query_errors import pipeline_errors, query_errors
from tenancy.mongo.query_plans import Explanation, explanation_of
from tenancy.mongo.raw_batches import read_rows
from tenancy.mongo.revisions import shown
from tenancy.mongo.sorted_pages import (
    Count,
    Page,
    PagedCollection,
    Selection,
    ended,
    is_by_id,
)

__all__ = ["PAGE_MAX_DOCUMENTS", "START", "Count", "Page", "ReadableCollection", "Selection"]

PAGE_MAX_DOCUMENTS = 1_000
START: Any = object()  # the place before the first document; null may be an `_id`
# What is only estimated is counted up to this, where MongoDB keeps no figure.
ESTIMATE_MAX_DOCUMENTS = 10_000
DISTINCT_MAX_VALUES, DISTINCT_MAX_BYTES = 10_000, 1_048_576
AGGREGATE_MAX_DOCUMENTS, AGGREGATE_MAX_BYTES = 10_000, 16 * 1_048_576
EXPLAINED_LIMIT = 50


class ReadableCollection(PagedCollection):
    """The reading half of a TenantCollection."""

    def get(self, document_id: Any, fields: Document | None = None) -> Document:
        """Return a document, or some of its fields, or raise DocumentNotFound. One command."""
        if fields is None:
            return shown(self._read(document_id))
        with query_errors():
            row = self._collection.find_one(
                self._find_by_id(document_id, {}), fields, session=self._session
            )
        if row is None:
            raise DocumentNotFound
        return shown(self._bare(row))

    def list_page(self, *, limit: int, after: Any = START, query: Document | None = None) -> Page:
        """Return at most `limit` (1..1000) documents in `_id` order, after the given `_id`.

        `query` is a filter that has been checked. `min` and `hint` walk the index itself: a `$gt`
        filter would see only ids of one BSON type.
        """
        wanted, start = self._boundary.within(query or {}), self._boundary.stored_id(None)
        if after is not START:
            start = self._boundary.stored_id(after)
            wanted = {"$and": [{"_id": {"$ne": start}}, wanted]}
        with driver_errors(writing=False):
            cursor: Any = self._collection.find(
                wanted, sort=[("_id", 1)], limit=limit + 1, batch_size=limit + 1
            )
            if after is not START:
                cursor = cursor.min([("_id", start)]).hint([("_id", 1)])
            if after is not START and self._boundary.end is not None:
                cursor = cursor.max([("_id", self._boundary.end)])
            rows, limit = read_rows(cursor, limit)
        found = [shown(self._bare(row)) for row in rows]
        return Page(found[:limit], len(found) > limit)

    def count(self, query: Document | None = None) -> int:
        """Return how many documents a checked filter finds; exact, by counting."""
        with advised(points_of(equalities_of(query or {})), ()), query_errors():
            return self._collection.count_documents(
                self._boundary.within(query or {}), session=self._session
            )

    def counted(self, query: Document, how: str) -> Count:
        """Return how many documents a filter finds: `exact`, `estimated`, or `bounded:N`."""
        if how == "exact":
            return Count(self.count(query), "exact")
        if how == "estimated":
            return self.estimate(query)
        return self.count_up_to(query, int(how.removeprefix("bounded:")))

    def count_up_to(self, query: Document, most: int) -> Count:
        """Return how many documents a filter finds, or that there are more than `most`."""
        with query_errors():
            found = self._collection.count_documents(
                self._boundary.within(query), limit=most + 1, session=self._session
            )
        return Count(most, "at_least") if found > most else Count(found, "exact")

    def estimate(self, query: Document) -> Count:
        """Return about how many documents a filter finds, cheaply.

        Of a whole collection of its own that is MongoDB's figure; else it is counted, up to
        ESTIMATE_MAX_DOCUMENTS.
        """
        if query or self._address.kind == "shared" or self._session is not None:
            return self.count_up_to(query, ESTIMATE_MAX_DOCUMENTS)
        with query_errors():
            return Count(self._collection.estimated_document_count(), "estimated")

    def aggregate(self, stages: Iterable[Document]) -> Iterator[Document]:
        """Return what checked pipeline stages make of the documents; only its own are in reach.

        The errors of expressions quote the values they met, cut in the middle of a letter: what
        cannot be read is asked for once more, to learn whether it was such an error.
        """
        pipeline = self._boundary.pipeline(stages)
        with pipeline_errors():
            try:
                yield from self._collection.aggregate(
                    pipeline, session=self._session, allowDiskUse=False
                )
            except InvalidBSON:
                for _ in self._lenient.aggregate(pipeline, allowDiskUse=False):
                    pass
                raise

    def aggregated(self, stages: Iterable[Document]) -> list[Document]:
        """Return all that checked stages make; raise QueryTooComplex over 10,000 or 16 MiB."""
        return _bounded(
            self.aggregate(stages), AGGREGATE_MAX_DOCUMENTS, AGGREGATE_MAX_BYTES,
            "Match fewer documents, or end the pipeline with $limit.",
        )  # fmt: skip

    def distinct(self, field: str, query: Document) -> list[Any]:
        """Return the distinct values of a field, sorted; the elements of arrays one by one.

        Raises QueryTooComplex over 10,000 values or 1 MiB.
        """
        order: list[Document] = [{"$sort": {"_id": 1}}, {"$limit": DISTINCT_MAX_VALUES + 1}]
        rows = self.aggregate([{"$match": query}, *stages_of_distinct(field), *order])
        hint = "Ask for fewer documents in the filter, or page through /query by the field."
        found = _bounded(rows, DISTINCT_MAX_VALUES, DISTINCT_MAX_BYTES, hint)
        return [row["_id"]["v"] for row in found]

    def explain(self, wanted: Selection, *, indexes: Sequence[IndexSpec] = ()) -> Explanation:
        """Return how the first page of a selection is found; the page is read for it."""
        with advised(wanted.points, wanted.order), query_errors():
            walk = self.find_walk(wanted, indexes)
            order = walk.order if walk else ended(wanted.order, 1)
            find: Document = {
                "find": self._name,
                "filter": self._boundary.within(wanted.query),
                "sort": dict(order),
                "limit": EXPLAINED_LIMIT + 1,
            }
            find |= {"hint": walk.index} if walk and not is_by_id(wanted) else {}
            answer = self._collection.database.command(
                {"explain": find, "verbosity": "executionStats"}, codec_options=REPLY_OPTIONS
            )
        return explanation_of(answer, wanted.points, wanted.order)


def _bounded(rows: Iterator[Document], most: int, most_bytes: int, hint: str) -> list[Document]:
    found, size = [], 0
    for row in rows:
        found.append(row)
        size += len(encode(row))
        if len(found) > most or size > most_bytes:
            raise QueryTooComplex(
                f"The answer is larger than {most:,} values or {most_bytes:,} bytes.", hint=hint
            )
    return found
