"""How many documents a tenant has, and how many bytes their fields are. `_meta` does not count."""

from dataclasses import dataclass

import pymongo
from pymongo.errors import OperationFailure

from tenancy.mongo.boundary import SHARED_ID_EXTRA_BYTES, boundary_of
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.errors import NAMESPACE_NOT_FOUND, driver_errors
from tenancy.mongo.revisions import bytes_of_meta
from tenancy.names import PlacementAddress

# Of a collection of one's own MongoDB knows the size with `_meta`; how much that is, these tell.
SAMPLE_DOCUMENTS = 100
_META_BYTES = {"$subtract": [{"$bsonSize": {"_meta": "$_meta"}}, 5]}


@dataclass(frozen=True)
class Measure:
    """Documents, and bytes of their fields."""

    documents: int
    bytes: int

    def __add__(self, other: "Measure") -> "Measure":
        """Return both together."""
        return Measure(self.documents + other.documents, self.bytes + other.bytes)


NOTHING = Measure(0, 0)


def measure_collection(
    address: PlacementAddress, logical: str, *, timeout_seconds: float
) -> Measure:
    """Return what a logical collection holds; nothing if it is missing.

    Of a collection of its own the figures are MongoDB's: two commands, whatever the size; the
    share of `_meta` is taken from a sample. In the shared collection the tenant's documents are
    read: not for the request path.
    """
    measure = _read_range if address.kind == "shared" else _read_statistics
    with driver_errors(writing=False), pymongo.timeout(timeout_seconds):
        return measure(address, logical)


def _read_statistics(address: PlacementAddress, logical: str) -> Measure:
    collection = get_database(address)[address.physical(logical)]
    try:
        shards = list(collection.aggregate([{"$collStats": {"storageStats": {}}}]))
    except OperationFailure as error:
        if error.code == NAMESPACE_NOT_FOUND:
            return NOTHING
        raise
    statistics = [shard["storageStats"] for shard in shards]
    documents = sum(int(each["count"]) for each in statistics)
    sizes = [
        bytes_of_meta(each) for each in collection.find({}, {"_meta": 1}, limit=SAMPLE_DOCUMENTS)
    ]
    of_meta = round(documents * sum(sizes) / len(sizes)) if sizes else 0
    return Measure(documents, max(0, sum(int(each["size"]) for each in statistics) - of_meta))


def _read_range(address: PlacementAddress, logical: str) -> Measure:
    collection = get_database(address)[address.physical(logical)]
    extra = SHARED_ID_EXTRA_BYTES + len(logical)
    fields = {"$subtract": [{"$bsonSize": "$$ROOT"}, {"$add": [_META_BYTES, extra]}]}
    total: Document = {"_id": None, "documents": {"$sum": 1}, "bytes": {"$sum": fields}}
    mine = boundary_of(address, logical).within({})
    for row in collection.aggregate([{"$match": mine}, {"$group": total}]):
        return Measure(int(row["documents"]), int(row["bytes"]))
    return NOTHING
