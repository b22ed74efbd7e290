"""The places where an organization may live, and what MongoDB itself has there.

Nothing here uses the product's own idea of how documents are stored: tests judge it by this.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from bson import Binary
from bson.codec_options import CodecOptions
from django.conf import settings
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from tenancy.catalog import address_of
from tenancy.models import Organization
from tenancy.names import Kind, Naming, PlacementAddress
from tests.environment import SECOND_URI

Document = dict[str, Any]
NOWHERE = "mongodb://nowhere"
_TEST = UUID("6f1c1f39-3d2e-4d0c-9e5a-6a8f5a0c7a11")


@dataclass(frozen=True)
class Place:
    """A kind of placement, and how it is named."""

    kind: Kind
    naming: Naming

    @property
    def uri(self) -> str:
        """Where the deployment of the place is: `cluster` means the second one."""
        if self.kind == "cluster":
            return os.environ.get(SECOND_URI, NOWHERE)
        return str(settings.MONGODB_URI)

    def address(self, slug: str) -> PlacementAddress:
        """Return where an organization that only the data plane knows has its place."""
        own_id = f"org_{uuid5(_TEST, f'{settings.TENANCY_DATABASE} {slug}').hex}"
        is_named = self.kind == "collection" and self.naming == "name"
        namespace = f"org_{slug}" if is_named else own_id
        database = settings.TENANCY_DATABASE
        if self.kind in {"database", "cluster"}:
            database = namespace
        cluster = "second" if self.kind == "cluster" else "default"
        return PlacementAddress(self.kind, cluster, database, namespace, self.uri)


PLACES = {
    "collection-name": Place("collection", "name"),
    "collection-id": Place("collection", "id"),
    "shared": Place("shared", "id"),
    "database": Place("database", "id"),
    "cluster": Place("cluster", "id"),
}
CAST = ("acme", "globex")


# What others have in the shared collection, under `_id`s that tests use for acme's documents.
NEIGHBOURS_IDS = (0, 1, 2, 3, "", "x", "a", "nothing", None, True)


def clear_database(database: Database[Document]) -> None:
    """Leave nothing of a database; dropping it whole would take 100 ms, dropping its parts 1."""
    names = database.list_collection_names()
    if "system.views" in names:
        database.client.drop_database(database.name)
        return
    for name in names:
        database.drop_collection(name)


class Stored:
    """One logical collection as MongoDB has it, with the `_id`s that its users know.

    In the shared collection that is the part of it with `{o, c}`, and an `_id` is `k`.
    """

    def __init__(
        self, client: MongoClient[Document], address: PlacementAddress, logical: str = "main"
    ) -> None:
        self.collection: Collection[Document] = client[address.database][_name(address, logical)]
        self._mine: Document | None = None
        if address.kind == "shared":
            owner = UUID(address.namespace.removeprefix("org_"))
            self._mine = {"o": Binary(owner.bytes, 4), "c": logical}

    def _physical(self, document: Document) -> Document:
        if self._mine is None:
            return document
        if "_id" not in document:
            raise ValueError("a document of the shared collection needs an _id")
        return {**document, "_id": {**self._mine, "k": document["_id"]}}

    def _shown(self, document: Document) -> Document:
        return document if self._mine is None else {**document, "_id": document["_id"]["k"]}

    def _query(self, query: Document) -> Document:
        if self._mine is None:
            return query
        inside = {f"_id.{key}": value for key, value in self._mine.items()}
        return {**inside, **{_inner(key): value for key, value in query.items()}}

    def find(
        self, query: Document | None = None, sort: Sequence[tuple[str, int]] | None = None
    ) -> list[Document]:
        """Return the documents that a plain filter finds."""
        return [
            self._shown(row) for row in self.collection.find(self._query(query or {}), sort=sort)
        ]

    def find_one(self, query: Document | None = None) -> Document | None:
        """Return one of the documents, or None."""
        return next(iter(self.find(query)), None)

    def count_documents(self, query: Document) -> int:
        """Return how many documents a plain filter finds."""
        return self.collection.count_documents(self._query(query))

    def insert_one(self, document: Document) -> None:
        """Store a document as somebody else would, without metadata."""
        self.collection.insert_one(self._physical(document))

    def insert_many(self, documents: Iterable[Document]) -> None:
        """Store documents as somebody else would, without metadata."""
        self.collection.insert_many([self._physical(document) for document in documents])

    def create_index(self, keys: Any, **options: Any) -> None:
        """Create an index of the physical collection."""
        self.collection.create_index(keys, **options)

    def with_options(self, codec_options: CodecOptions[Document]) -> "Stored":
        """Return the same, read with other codec options."""
        other = object.__new__(Stored)
        other._mine = self._mine
        other.collection = self.collection.with_options(codec_options=codec_options)
        return other


def _name(address: PlacementAddress, logical: str) -> str:
    if address.kind == "shared":
        return "shared"
    if address.kind == "collection":
        return address.namespace if logical == "main" else f"{address.namespace}.{logical}"
    return logical


def _inner(key: str) -> str:
    return f"_id.k{key[3:]}" if key == "_id" or key.startswith("_id.") else key


@dataclass(frozen=True)
class Behind:
    """A look behind the product's back, at both deployments."""

    first: MongoClient[Document]
    second: MongoClient[Document]

    def _client(self, address: PlacementAddress) -> MongoClient[Document]:
        return self.second if address.kind == "cluster" else self.first

    def stored(self, address: PlacementAddress, logical: str = "main") -> Stored:
        """Return a logical collection at an address."""
        return Stored(self._client(address), address, logical)

    def neighbours(self, address: PlacementAddress) -> list[Stored]:
        """Return what lies beside acme's main collection in a shared one; else nothing."""
        if address.kind != "shared":
            return []
        globex = replace(address, namespace=f"org_{uuid5(_TEST, 'globex').hex}")
        return [
            self.stored(globex),
            *[self.stored(address, logical) for logical in ("mai", "main0", "a")],
        ]

    def move_neighbours_in(self, address: PlacementAddress) -> None:
        """Put documents of others beside acme's main collection."""
        for number, neighbour in enumerate(self.neighbours(address)):
            neighbour.insert_many(
                {"_id": each, "n": -1, "email": f"{number}.{place}@neighbour.example"}
                for place, each in enumerate(NEIGHBOURS_IDS)
            )

    def stored_of(self, organization: Organization, logical: str = "main") -> Stored:
        """Return a logical collection of an organization."""
        organization.refresh_from_db()
        return self.stored(address_of(organization.placement), logical)

    def physical_names(self) -> set[tuple[str, str, str]]:
        """Return every collection of this test, anywhere: deployment, database, name."""
        return {
            (where, database.name, name)
            for where, client in (("first", self.first), ("second", self.second))
            for database in self._databases(client)
            for name in database.list_collection_names()
        }

    def names_of(self, organization: Organization, *logical: str) -> set[tuple[str, str, str]]:
        """Return which collections in MongoDB an organization's logical ones are."""
        address = address_of(organization.placement)
        where = "second" if address.kind == "cluster" else "first"
        return {(where, address.database, _name(address, each)) for each in logical}

    def _databases(self, client: MongoClient[Document]) -> list[Database[Document]]:
        ids = Organization.objects.values_list("pk", flat=True)
        names = [settings.TENANCY_DATABASE, *(f"org_{each.hex}" for each in ids)]
        return [client[name] for name in names]

    def clear(self) -> None:
        """Leave nothing of what the organizations of the catalog have anywhere."""
        for client in (self.first, self.second):
            for database in self._databases(client):
                clear_database(database)
