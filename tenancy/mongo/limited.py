"""A tenant's collection whose growth is bounded by the plan."""

from collections.abc import Callable, Iterable
from typing import Any

from bson import encode

from tenancy.exceptions import DocumentNotFound, PlanLimitReached
from tenancy.mongo.clients import Document
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.revisions import IfMatch, bytes_of_meta

AssertRoom = Callable[[int, int], None]


class LimitedCollection(TenantCollection):
    """A collection that asks, before it grows, whether there is room.

    `assert_room(documents, bytes)` raises PlanLimitReached. What makes nothing larger is never
    refused.
    """

    def __init__(self, *place: Any, assert_room: AssertRoom, **options: Any) -> None:
        super().__init__(*place, **options)
        self._assert_room = assert_room

    def _room(self, documents: int, size: int) -> None:
        self._assert_room(documents, size)

    def _new_document(self, fields: Document) -> tuple[Document, int]:
        document, size = super()._new_document(fields)
        self._assert_room(1, size)
        return document, size

    def insert_many(self, batch: Iterable[Document]) -> int:
        """Store all of the new documents or, if there is no room for all, none."""
        documents = list(batch)
        self._assert_room(len(documents), sum(map(self._check_size, documents)))
        return super().insert_many(documents)

    def replace(
        self, document_id: Any, fields: Document, *, if_match: IfMatch | None = None
    ) -> tuple[Document, bool]:
        """Replace or create a document; near a limit, after a look at how large it is now."""
        size = self._check_size({"_id": document_id, **fields})
        try:
            self._assert_room(0, size)
        except PlanLimitReached:
            self._assert_room(0, size - self._size_now(document_id))
        return super().replace(document_id, fields, if_match=if_match)

    def _size_now(self, document_id: Any) -> int:
        try:
            current = self._read(document_id)
        except DocumentNotFound:
            return 0
        return len(encode(current)) - bytes_of_meta(current)

    def _swap(self, current: Document, merged: Document) -> Document | None:
        grown = {key: value for key, value in merged.items() if key != "_meta"}
        old_size = len(encode(current)) - bytes_of_meta(current)
        self._assert_room(0, self._check_size(grown) - old_size)
        return super()._swap(current, merged)
