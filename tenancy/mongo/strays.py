"""Take documents home from where their tenant lived before, one by one, and lose none.

A stray is deleted only as what was carried: whoever writes to it in between makes it another one,
which is carried, too. All of it is safe to repeat.
"""

from collections.abc import Iterator
from typing import Any

from bson import decode
from bson.codec_options import DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from tenancy.mongo import fences, late_writes
from tenancy.mongo.boundary import boundary_of
from tenancy.mongo.errors import driver_errors
from tenancy.mongo.extended_types import CODEC_OPTIONS, RAW_OPTIONS
from tenancy.mongo.fences import STRAY_SUFFIX
from tenancy.mongo.inventory import has_documents
from tenancy.mongo.provisioning import drop_physical, get_collection
from tenancy.mongo.raw_collections import END, FIRST, RawCollection
from tenancy.mongo.raw_documents import id_of, raw_form_of
from tenancy.names import PlacementAddress

# So many documents are carried in one go: about 100 ms.
CARRIED_AT_ONCE = 100

__all__ = ["END", "FIRST", "StrayCollection", "holds_only_marks", "remove_if_empty"]

IN_MILLISECONDS = CODEC_OPTIONS.with_options(datetime_conversion=DatetimeConversion.DATETIME_MS)


class StrayCollection:
    """A collection that lies where its tenant does not live, and the one it belongs to."""

    def __init__(
        self, place: tuple[PlacementAddress, str], home: tuple[PlacementAddress, str]
    ) -> None:
        self._here, self._home = RawCollection(*place), RawCollection(*home)
        self._collection = get_collection(*place)
        self._boundary = boundary_of(*place)
        self._form = raw_form_of(self._boundary)

    def read_some(self, start: Any) -> tuple[list[bytes], Any]:
        """Return at most 100 documents from `start` on, and where the next ones start, or END."""
        found, following = self._here.read_some(start)
        if len(found) <= CARRIED_AT_ONCE:
            return found, following
        return found[:CARRIED_AT_ONCE], id_of(found[CARRIED_AT_ONCE])

    def is_lost(self, document: bytes, left_ms: int) -> bool:
        """Return whether a document is older than `left_ms` (since 1970), and not at home.

        It was there when its tenant left, and so it went along: since then it was deleted.
        """
        meta = decode(document, IN_MILLISECONDS).get("_meta")
        written = meta.get("updated_at") if isinstance(meta, dict) else None
        if not isinstance(written, DatetimeMS) or int(written) > left_ms:
            return False
        return not list(self._home.read_ids([id_of(document)]))

    def carry(self, document: bytes) -> None:
        """Put a document in its place at home, unless what is there was written later."""
        self._home.carry(document)

    def remove(self, document: bytes) -> bool:
        """Delete a document here that was carried. Return False if it has changed since."""
        stored = RawBSONDocument(self._form.stored(document), RAW_OPTIONS)
        unchanged = {"$expr": {"$eq": ["$$ROOT", {"$literal": stored}]}}
        only = {"_id": self._boundary.stored_id(id_of(document)), **unchanged}
        with driver_errors(writing=True):
            return self._collection.delete_one(only).deleted_count == 1


def remove_if_empty(address: PlacementAddress, physical: str) -> bool:
    """Drop a collection that is no shared one, unless it holds a document. Return if it is gone.

    It is set aside before the look: whoever still writes to the name makes a new collection, so no
    document can get in between the look and the drop.
    """
    if has_documents(address, physical):
        return False
    aside = physical + STRAY_SUFFIX
    fences.move_collection(address, physical, aside)
    if has_documents(address, aside):
        fences.move_collection(address, aside, physical)
        return False
    drop_physical(address, aside)
    return True


def holds_only_marks(address: PlacementAddress, logical: str) -> bool:
    """Return whether no document has anything but its `_id`, the mark of `late_writes` apart."""
    return all(
        len(RawBSONDocument(each, RAW_OPTIONS)) == 1 or id_of(each) == late_writes.MARK
        for each in _all(RawCollection(address, logical))
    )


def _all(collection: RawCollection) -> Iterator[bytes]:
    start: Any = FIRST
    while start is not END:
        found, start = collection.read_some(start)
        yield from found
