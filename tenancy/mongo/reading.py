"""Read the documents of one logical collection."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tenancy.mongo.clients import Document
from tenancy.mongo.errors import driver_errors
from tenancy.mongo.handles import Handle
from tenancy.mongo.revisions import shown

PAGE_MAX_DOCUMENTS = 1_000
START: Any = object()  # the place before the first document; null may be an `_id`


@dataclass(frozen=True)
class Page:
    """Some documents in `_id` order, and whether there are more."""

    documents: list[Document]
    has_more: bool


class ReadableCollection(Handle):
    """The reading half of a TenantCollection."""

    def get(self, document_id: Any) -> Document:
        """Return a document, or raise DocumentNotFound. One command."""
        return shown(self._read(document_id))

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
            cursor = self._collection.find(wanted, sort=[("_id", 1)], limit=limit + 1)
            if after is not START:
                cursor = cursor.min([("_id", start)]).hint([("_id", 1)])
            if after is not START and self._boundary.end is not None:
                cursor = cursor.max([("_id", self._boundary.end)])
            found = [shown(self._bare(document)) for document in cursor.batch_size(limit + 1)]
        return Page(found[:limit], len(found) > limit)

    def count(self, query: Document | None = None) -> int:
        """Return how many documents a checked filter finds; exact, by counting."""
        with driver_errors(writing=False):
            return self._collection.count_documents(
                self._boundary.within(query or {}), session=self._session
            )

    def aggregate(self, stages: Iterable[Document]) -> Iterator[Document]:
        """Return what checked pipeline stages make of the documents; only its own are in reach."""
        with driver_errors(writing=False):
            yield from self._collection.aggregate(self._boundary.pipeline(stages))
