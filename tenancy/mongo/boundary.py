"""What keeps tenants apart in MongoDB, by the kind of placement.

A collection of the tenant's own holds nothing else: documents are stored under the `_id` that
their user sees. In the shared collection the stored `_id` is `{o, c, k}`: organization, logical
collection, the user's `_id`. MongoDB keeps it unique and unchangeable, so a document cannot change
its tenant, and two tenants may use the same `_id`. This module is the only one that builds it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bson import Binary, MaxKey, MinKey
from bson.binary import UUID_SUBTYPE

from tenancy.names import PlacementAddress

Document = dict[str, Any]
Sort = Sequence[tuple[str, int]]

_LOGICAL = frozenset(("$and", "$or", "$nor"))
# The stored `_id` is longer than the user's by this much, and by the logical collection's name.
SHARED_ID_EXTRA_BYTES = 40


class Boundary:
    """A collection of the tenant's own: everything in it is the tenant's."""

    id_extra_bytes = 0

    def stored_id(self, document_id: Any) -> Any:
        """Return the `_id` in MongoDB of the document that its user knows as `document_id`."""
        return document_id

    def shown_id(self, stored: Any) -> Any:
        """Return the `_id` that the user of a stored document knows."""
        return stored

    def within(self, query: Document) -> Document:
        """Return the filter that finds what `query` describes, in this tenant's documents only."""
        return query

    def order(self, sort: Sort) -> list[tuple[str, int]]:
        """Return a sort as it is stored."""
        return list(sort)

    def pipeline(self, stages: Iterable[Document]) -> list[Document]:
        """Return the stages over this tenant's documents only, as their user sees them."""
        return list(stages)

    @property
    def end(self) -> Any:
        """The stored `_id` after the last possible one of this collection; None: no such."""
        return None


@dataclass(frozen=True)
class SharedBoundary(Boundary):
    """One logical collection of one tenant in the shared collection."""

    owner: Binary
    logical: str

    @property
    def id_extra_bytes(self) -> int:  # type: ignore[override]
        """How much longer a stored document is than the user's."""
        return SHARED_ID_EXTRA_BYTES + len(self.logical)

    def stored_id(self, document_id: Any) -> Document:
        """Return `{o, c, k}`: the order of the keys matters to equality."""
        return {"o": self.owner, "c": self.logical, "k": document_id}

    def shown_id(self, stored: Any) -> Any:
        """Return `k`."""
        return stored["k"]

    def within(self, query: Document) -> Document:
        """Return the filter on this tenant's range of the `_id` index; tight where `_id` is given.

        A filter on `_id` keeps its meaning: `_id.k` compares types as a plain `_id` does.
        """
        rest = {key: value for key, value in query.items() if key != "_id"}
        if "_id" not in query:
            return {"_id": self._range({}), **_renamed(rest)}
        wanted = query["_id"]
        operators = wanted if _is_operators(wanted) else {"$eq": wanted}
        if set(operators) == {"$eq"}:
            return {"_id": self.stored_id(operators["$eq"]), **_renamed(rest)}
        if set(operators) == {"$in"}:
            stored = [self.stored_id(each) for each in operators["$in"]]
            return {"_id": {"$in": stored}, **_renamed(rest)}
        return {"_id": self._range(operators), "_id.k": dict(operators), **_renamed(rest)}

    def _range(self, operators: Mapping[str, Any]) -> Document:
        low = [(name, operators[name]) for name in ("$gt", "$gte") if name in operators]
        high = [(name, operators[name]) for name in ("$lt", "$lte") if name in operators]
        bounds = [*low[:1], *high[:1]]
        tight = {name: self.stored_id(value) for name, value in bounds}
        if not low:
            tight["$gte"] = self.stored_id(MinKey())
        if not high:
            tight["$lte"] = self.stored_id(MaxKey())
        return tight

    def order(self, sort: Sort) -> list[tuple[str, int]]:
        """Return the sort; by `_id` the stored one orders as the user's, for one tenant."""
        return [
            (f"_id.k{field[3:]}" if field.startswith("_id.") else field, by) for field, by in sort
        ]

    def pipeline(self, stages: Iterable[Document]) -> list[Document]:
        """Return the stages behind a match of the range; a first `$match` uses the index, too."""
        rest = list(stages)
        first = rest.pop(0)["$match"] if rest and set(rest[0]) == {"$match"} else {}
        return [{"$match": self.within(first)}, {"$set": {"_id": "$_id.k"}}, *rest]

    @property
    def end(self) -> Document:
        """The stored `_id` after the last possible one of this collection."""
        return self.stored_id(MaxKey())


def _is_operators(value: Any) -> bool:
    return isinstance(value, Mapping) and any(str(key).startswith("$") for key in value)


def _renamed(query: Document) -> Document:
    """Return a filter in which `_id` is where the shared collection has the user's."""
    return {_renamed_key(key): _renamed_value(key, value) for key, value in query.items()}


def _renamed_key(key: str) -> str:
    return f"_id.k{key[3:]}" if key == "_id" or key.startswith("_id.") else key


def _renamed_value(key: str, value: Any) -> Any:
    return [_renamed(each) for each in value] if key in _LOGICAL else value


@lru_cache(maxsize=10_000)
def owner_of(address: PlacementAddress) -> Binary:
    """Return what the stored `_id`s of a tenant in a shared collection begin with."""
    return Binary(address.organization_id.bytes, UUID_SUBTYPE)


def boundary_of(address: PlacementAddress, logical: str) -> Boundary:
    """Return what keeps a logical collection at a placement apart from others."""
    if address.kind == "shared":
        return SharedBoundary(owner_of(address), logical)
    return Boundary()


def range_of_owner(address: PlacementAddress) -> Document:
    """Return the filter on `_id` that finds everything of a tenant in the shared collection."""
    owner = owner_of(address)
    return {"_id": {"$gte": {"o": owner}, "$lt": {"o": owner, "c": MaxKey()}}}
