"""Create and drop what a placement consists of. Every call is safe to repeat.

A namespace is a prefix in a database (kind `collection`), a database (`database`, `cluster`), or a
range of the shared collection's `_id`s (`shared`). Every function works on names that
`tenancy.names` derived, and on nothing else.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from bson import MaxKey, MinKey
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from tenancy.mongo.boundary import boundary_of, owner_of
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.errors import NAMESPACE_EXISTS, driver_errors
from tenancy.names import OWN_DATABASE, RECORDS_COLLECTION, PlacementAddress, logical_collection

Guarded = Callable[[], AbstractContextManager[None]]

DROP_BATCH = 1_000


@dataclass(frozen=True)
class PhysicalCollection:
    """What MongoDB has under one name: a collection, or a view on another one."""

    name: str
    view_on: str | None

    @property
    def is_view(self) -> bool:
        """Whether it is a view: here, a fence at an old name."""
        return self.view_on is not None


def get_collection(address: PlacementAddress, logical: str) -> Collection[Document]:
    """Return the collection that holds a logical one; in the shared one, others' documents too."""
    return get_database(address)[address.physical(logical)]


def _list(database: Database[Document], condition: Document | None = None) -> list[Document]:
    return [dict(row) for row in database.list_collections(filter=condition or {})]


def list_physical(
    address: PlacementAddress, condition: Document | None = None
) -> list[PhysicalCollection]:
    """Return everything in the address's database.

    Left out are system collections, and the records of keys: they are no tenant's collection.
    """
    with driver_errors(writing=False):
        rows = _list(get_database(address), condition)
    return [
        PhysicalCollection(row["name"], row.get("options", {}).get("viewOn"))
        for row in sorted(rows, key=lambda row: str(row["name"]))
        if not row["name"].startswith("system.") and row["name"] != RECORDS_COLLECTION
    ]


def list_namespace(address: PlacementAddress) -> dict[str, PhysicalCollection]:
    """Return what lies under the address's namespace, by logical name.

    In the shared collection that is what has documents: an empty one leaves no trace.
    """
    if address.kind == "shared":
        return {name: PhysicalCollection(address.physical(name), None) for name in _shared(address)}
    if address.kind in OWN_DATABASE:
        return {physical.name: physical for physical in list_physical(address)}
    prefix = address.namespace
    # "." and "/" are neighbours in ASCII: the range is every name that begins with the prefix.
    under = {"$or": [{"name": prefix}, {"name": {"$gt": f"{prefix}.", "$lt": f"{prefix}/"}}]}
    found = list_physical(address, under)
    return {str(logical_collection(prefix, physical.name)): physical for physical in found}


def _shared(address: PlacementAddress) -> list[str]:
    """Return a tenant's logical collections in the shared one: one seek in the index for each."""
    owner, names = owner_of(address), list[str]()
    collection = get_collection(address, "")
    place: Document = {"o": owner, "c": MinKey()}
    with driver_errors(writing=False):
        while True:
            after = {"_id": {"$gt": place, "$lt": {"o": owner, "c": MaxKey()}}}
            found = collection.find_one(after, {"_id": 1}, sort=[("_id", 1)])
            if found is None:
                return names
            names.append(found["_id"]["c"])
            place = {"o": owner, "c": found["_id"]["c"], "k": MaxKey()}


def create_collection(address: PlacementAddress, logical: str) -> None:
    """Create one collection of a namespace, if it is not there."""
    with driver_errors(writing=True):
        try:
            get_database(address).create_collection(address.physical(logical), check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise


def has_documents(address: PlacementAddress, logical: str) -> bool:
    """Return whether a collection of the namespace holds any document."""
    everything = boundary_of(address, logical).within({})
    with driver_errors(writing=False):
        return get_collection(address, logical).find_one(everything, {"_id": 1}) is not None


def drop_namespace(address: PlacementAddress, guarded: Guarded = nullcontext) -> int:
    """Drop every collection and fence under the namespace. Return how many there were.

    Each drop is done in a block of `guarded`, which may refuse it.
    """
    found = list_namespace(address)
    for logical, physical in found.items():
        if address.kind == "shared":
            drop_collection(address, logical, guarded)
            continue
        with guarded():
            drop_physical(address, physical.name)
    if address.kind in OWN_DATABASE:
        with guarded(), driver_errors(writing=True):
            get_database(address).client.drop_database(address.database)
    return len(found)


def drop_collection(
    address: PlacementAddress, logical: str, guarded: Guarded = nullcontext
) -> None:
    """Drop one logical collection with its documents; silent when it is missing."""
    if address.kind == "shared":
        while _delete_some(address, logical, guarded):
            pass
        return
    with guarded():
        drop_physical(address, address.physical(logical))


def _delete_some(address: PlacementAddress, logical: str, guarded: Guarded) -> bool:
    """Delete a batch of a tenant's documents in the shared collection. Return False at the end."""
    collection, mine = get_collection(address, logical), boundary_of(address, logical).within({})
    with guarded(), driver_errors(writing=True):
        batch = collection.find(mine, {"_id": 1}, sort=[("_id", 1)], limit=DROP_BATCH)
        ids = [document["_id"] for document in batch]
        if ids:
            collection.delete_many({"_id": {"$gte": ids[0], "$lte": ids[-1]}})
    return len(ids) == DROP_BATCH


def drop_empty(address: PlacementAddress) -> None:
    """Drop what lies under the namespace, except collections that hold a document."""
    if address.kind == "shared":
        return  # where there is no document, there is nothing
    for logical, physical in list_namespace(address).items():
        if physical.is_view or not has_documents(address, logical):
            drop_physical(address, physical.name)


def drop_physical(address: PlacementAddress, name: str) -> None:
    """Drop one collection or view; silent when it is missing."""
    with driver_errors(writing=True):
        get_database(address).drop_collection(name)
