"""Where a drill's organization lives, looked at directly: its documents, digests, what is left.

Nothing here uses the service's own code, so that the two can disagree.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bson import (
    Binary,
    Code,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
    encode,
)
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection

from benchmarks.drill_check import BATCH, Document, batched, connect, index_definitions
from benchmarks.drill_check import ORGANIZATION_PREFIX as PREFIX
from benchmarks.drill_load import preloaded_id

MAIN = "main"
SHARED = "shared"
RICH_DOCUMENTS = 200
SCRATCH = "drill_scratch"
FROZEN_PREFIX = preloaded_id(0)[:2]


@dataclass(frozen=True)
class Place:
    """One placement of the organization: the collection that has its documents."""

    kind: str
    cluster: str
    namespace: str
    owner: Binary
    collection: Collection[Document]

    @property
    def filter(self) -> Document:
        """Find the documents of `main`, in the shared collection by a range of `_id`."""
        if self.kind != SHARED:
            return {}
        key = {"o": self.owner, "c": MAIN}
        return {"_id": {"$gte": {**key, "k": MinKey()}, "$lte": {**key, "k": MaxKey()}}}

    def documents(self) -> Iterator[Document]:
        """Yield every document with the `_id` that its user knows."""
        for document in self.collection.find(self.filter):
            yield self._bare(document)

    def _bare(self, document: Document) -> Document:
        return {**document, "_id": document["_id"]["k"]} if self.kind == SHARED else document

    def store(self, documents: Iterable[Document]) -> None:
        """Insert documents as the service stores them at this kind of placement."""
        for batch in batched(documents, BATCH):
            self.collection.insert_many([self._stored(document) for document in batch])

    def _stored(self, document: Document) -> Document:
        if self.kind != SHARED:
            return document
        return {**document, "_id": {"o": self.owner, "c": MAIN, "k": document["_id"]}}

    def frozen_digest(self) -> str:
        """Return the SHA-256 of the documents that nobody changes, in the order of their `_id`."""
        frozen = {
            encode({"_id": document["_id"]}): encode(document)
            for document in self.documents()
            if is_frozen(document["_id"])
        }
        digest = hashlib.sha256()
        for key in sorted(frozen):
            digest.update(frozen[key])
        return digest.hexdigest()

    def leftovers(self) -> list[str]:
        """Return what lies at the place, for when the organization has left it."""
        database = self.collection.database
        if self.kind == SHARED:
            mine = {"_id": {"$gte": {"o": self.owner}, "$lte": {"o": self.owner, "c": MaxKey()}}}
            return [str(each["_id"]) for each in self.collection.find(mine, {"_id": 1}, limit=5)]
        if self.kind == "collection":
            names = database.list_collection_names()
            return [name for name in names if f"{name}.".startswith(f"{self.namespace}.")]
        return [name for name in database.client.list_database_names() if name == self.namespace]

    def index_definitions(self) -> dict[str, Document]:
        """Return the indexes of the place, without that of `_id`."""
        found = index_definitions(self.collection)
        return {name: index for name, index in found.items() if name != "_id_"}


def is_frozen(document_id: Any) -> bool:
    """Return whether nobody changes the document with this `_id`."""
    return not isinstance(document_id, str) or document_id.startswith(FROZEN_PREFIX)


class Places:
    """The clusters of a drill, each by its alias, and what lies there."""

    def __init__(self, stack: ExitStack, database: str, **uris: str) -> None:
        self._database = database
        self.clients: dict[str, MongoClient[Document]] = {}
        for alias, uri in uris.items():
            client, _ = connect(uri, database)
            self.clients[alias] = stack.enter_context(client)
            stack.callback(client.drop_database, database)

    def at(self, organization: Document) -> Place:
        """Return where an organization lives that the API has shown."""
        placement, owner = organization["placement"], UUID(organization["id"])
        kind, namespace = placement["kind"], placement["namespace"]
        client = self.clients[placement["cluster"]]
        names = {
            "shared": (self._database, SHARED),
            "collection": (self._database, namespace),
            "database": (namespace, MAIN),
            "cluster": (namespace, MAIN),
        }
        database, collection = names[kind]
        binary = Binary(owner.bytes, 4)
        found = client[database][collection]
        return Place(kind, placement["cluster"], namespace, binary, found)

    def strays(self, place: Place) -> list[str]:
        """Return the organization's databases where it does not live; others may have theirs."""
        own = f"{PREFIX}{bytes(place.owner).hex()}"
        return [
            f"{alias}: {name}"
            for alias, client in self.clients.items()
            for name in client.list_database_names()
            if name == own and (alias, name) != (place.cluster, place.namespace)
        ]


@dataclass
class PlainCopy:
    """What copying took that does nothing but copy: raw batches out, raw batches in."""

    documents: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.documents / sum(self.seconds) if self.seconds else 0.0

    def measure(self, source: Place, target: MongoClient[Document]) -> None:
        """Copy the place once into a collection that is dropped again."""
        scratch = target[SCRATCH]["copied"]
        scratch.drop()
        scratch.database.create_collection(scratch.name)
        began = time.monotonic()
        batches: Any = source.collection.find_raw_batches(source.filter, batch_size=BATCH)
        for batch in batches:
            documents = list(_split(batch))
            scratch.insert_many(documents, ordered=False)
            self.documents += len(documents)
        self.seconds.append(time.monotonic() - began)
        target.drop_database(SCRATCH)


def _split(batch: bytes) -> Iterator[RawBSONDocument]:
    place = 0
    while place < len(batch):
        end = place + int.from_bytes(batch[place : place + 4], "little")
        yield RawBSONDocument(batch[place:end])
        place = end


def rich_documents() -> Iterator[Document]:
    """Yield documents of every type that BSON has, with `_id`s of several types.

    All of them sort after the `_id`s that are text: readers know which come first.
    """
    stamp = datetime(2024, 2, 29, 23, 59, 59, 999000, tzinfo=UTC)
    for number in range(RICH_DOCUMENTS):
        ids = [
            ObjectId(f"{number:024x}"), Binary(bytes([number]), 128),
            datetime.fromtimestamp(number, UTC), Timestamp(number, 1), {"a": number, "b": "x"},
        ]  # fmt: skip
        yield {
            "_id": ids[number % len(ids)],
            "int32": number, "int64": Int64(number), "double": float(number), "minus": -0.0,
            "nan": float("nan"), "decimal": Decimal128("1.10"), "null": None, "at": stamp,
            "binary": Binary(bytes(range(number)), 0), "uuid": Binary(bytes(16), 4),
            "regex": Regex("^a", "i"), "code": Code("f()"), "stamp": Timestamp(5, 7),
            "min": MinKey(), "max": MaxKey(), "z": 1, "a": [1, [2, {"b": []}], {}], "": "empty",
            "a.b": 1, "text": "ä\u0000ß" * number,
        }  # fmt: skip
