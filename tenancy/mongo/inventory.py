"""What there is on a cluster, whoever it belongs to: for who compares it with the catalog.

Everything here costs a number of commands that is bounded by what is found, not by documents.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from bson import Binary, MaxKey, MinKey
from bson.binary import UUID_SUBTYPE

from tenancy.mongo.clients import Document, get_client, get_database
from tenancy.mongo.errors import driver_errors
from tenancy.names import NAMESPACE_PREFIX, SHARED_COLLECTION, PlacementAddress

# One command looks into this many gaps between known ranges: about 100 KB, some milliseconds.
GAPS_IN_A_LOOK = 1_000
IDS_IN_A_LOOK = 500
_LOWEST = Binary(b"\x00" * 16, UUID_SUBTYPE)
_HIGHEST = Binary(b"\xff" * 16, UUID_SUBTYPE)


class SharedRange(NamedTuple):
    """The documents of one owner's logical collection in the shared one.

    `owner` is None for documents that nobody can own; `logical` for those that lie in no
    collection.
    """

    owner: UUID | None
    logical: str | None


Bound = tuple[Document, Document]


def list_own_databases(address: PlacementAddress) -> list[str]:
    """Return the names of the databases on the cluster that are, or look like, a tenant's own."""
    mine = {"name": {"$regex": f"^{NAMESPACE_PREFIX}"}}
    with driver_errors(writing=False):
        client = get_client(address.uri)
        found = client.admin.command("listDatabases", nameOnly=True, filter=mine)
    return sorted(str(row["name"]) for row in found["databases"])


def find_uuid(address: PlacementAddress, logical: str) -> UUID | None:
    """Return what MongoDB tells a collection by, whatever its name; None if there is none."""
    with driver_errors(writing=False):
        rows = get_database(address).list_collections(filter={"name": address.physical(logical)})
        for row in rows:
            return UUID(bytes=bytes(row["info"]["uuid"])) if "uuid" in row["info"] else None
    return None


def has_documents(address: PlacementAddress, physical: str) -> bool:
    """Return whether a collection of this very name, not a shared one, holds any document."""
    with driver_errors(writing=False):
        return get_database(address)[physical].find_one({}, {"_id": 1}) is not None


def list_unexpected(
    address: PlacementAddress, known: Iterable[tuple[UUID, str]]
) -> list[SharedRange]:
    """Return what is in the shared collection of a database outside of the known ranges.

    One command for each 1,000 of them looks into the gaps between them, by seeks in the index of
    `_id`. So what is as expected costs a thousandth of a command.
    """
    pairs = sorted({(owner.bytes, logical) for owner, logical in known})
    found = list(_outside(address))
    gaps = list(_gaps(pairs))
    for place in range(0, len(gaps), GAPS_IN_A_LOOK):
        found += _look_into(address, gaps[place : place + GAPS_IN_A_LOOK])
    return list(dict.fromkeys(found))


def _owned(owner: bytes, logical: str, key: Any) -> Document:
    return {"o": Binary(owner, UUID_SUBTYPE), "c": logical, "k": key}


def _gaps(pairs: Sequence[tuple[bytes, str]]) -> Iterator[Bound]:
    low: Document = {"o": _LOWEST}
    for owner, logical in pairs:
        yield low, _owned(owner, logical, MinKey())
        low = _owned(owner, logical, MaxKey())
    yield low, {"o": _HIGHEST, "c": MaxKey()}


def _outside(address: PlacementAddress) -> Iterator[SharedRange]:
    """Look before the first possible owner and after the last one."""
    collection = get_database(address)[SHARED_COLLECTION]
    with driver_errors(writing=False):
        ids = collection.find({}, {"_id": 1}, limit=1, hint=[("_id", 1)])
        yield from (SharedRange(None, None) for _ in ids.max([("_id", {"o": _LOWEST})]))
        ids = collection.find({}, {"_id": 1}, limit=1, hint=[("_id", 1)])
        end = {"o": _HIGHEST, "c": MaxKey(), "k": MaxKey()}
        yield from (SharedRange(None, None) for _ in ids.min([("_id", end)]))


def _look_into(address: PlacementAddress, gaps: list[Bound]) -> list[SharedRange]:
    """Return what lies in gaps; after each find the search goes on behind it."""
    collection, found = get_database(address)[SHARED_COLLECTION], list[SharedRange]()
    while gaps:
        inside = {"$or": [{"_id": {"$gt": low, "$lt": high}} for low, high in gaps]}
        with driver_errors(writing=False):
            ids = collection.find(
                inside, {"_id": 1}, sort=[("_id", 1)], hint=[("_id", 1)], limit=IDS_IN_A_LOOK
            )
            seen = [row["_id"] for row in ids]
        found += dict.fromkeys(map(_range_of, seen))
        if len(seen) < IDS_IN_A_LOOK:
            break
        gaps = _behind(gaps, seen[-1])
    return found


def _range_of(stored_id: Document) -> SharedRange:
    logical = stored_id.get("c")
    is_range = list(stored_id) == ["o", "c", "k"] and isinstance(logical, str)
    return SharedRange(UUID(bytes=bytes(stored_id["o"])), logical if is_range else None)


def _behind(gaps: list[Bound], last: Document) -> list[Bound]:
    """Return the gaps, and the part of one, that come after everything that is like `last`."""
    logical = last.get("c")
    after: Document = {"o": last["o"], "c": MaxKey()}
    if isinstance(logical, str):
        after = {"o": last["o"], "c": logical, "k": MaxKey()}
    left = [gap for gap in gaps if _order(gap[1]) > _order(after)]
    if left:
        left[0] = (after, left[0][1])
    return left if left != gaps else left[1:]  # an _id that nobody makes cannot hold it up


def _order(bound: Document) -> tuple[bytes, bool, str]:
    """Return what sorts bounds as MongoDB does, as far as owner and collection go."""
    logical = bound.get("c", "")
    return bytes(bound["o"]), not isinstance(logical, str), str(logical)
