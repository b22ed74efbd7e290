"""Rename the collections of a namespace, and guard the old names while stragglers may use them.

For kind `collection`, the only one whose physical names hold the organization's slug. Every call
is safe to repeat.
"""

from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from tenancy.exceptions import TenantBusy
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.errors import (
    COMMAND_NOT_SUPPORTED_ON_VIEW,
    NAMESPACE_EXISTS,
    NAMESPACE_NOT_FOUND,
    driver_errors,
)
from tenancy.mongo.provisioning import list_physical
from tenancy.mongo.revisions import meta_of
from tenancy.names import PlacementAddress

CARRY_BATCH = 500
FENCE_ATTEMPTS = 100
# `~` is in no logical name, so no tenant can have a collection of this name.
STRAY_SUFFIX = ".~stray"


def _rename(address: PlacementAddress, old: str, new: str) -> bool:
    """Rename a collection within its database; its indexes travel with it.

    Return False if nothing real is at the old name: it has left before. An existing target is
    never overwritten: the driver raises.
    """
    try:
        get_database(address)[old].rename(new)
    except OperationFailure as error:
        # A view at the old name is a fence: the collection has already left.
        if error.code in {NAMESPACE_NOT_FOUND, COMMAND_NOT_SUPPORTED_ON_VIEW}:
            return False
        raise
    return True


def move_collection(address: PlacementAddress, old: str, new: str) -> None:
    """Bring the collection at `old` to `new`, whatever an interrupted earlier try has left.

    The caller has made sure once that nothing foreign is at `new`; so what is there now is either
    a fence of an earlier rename, or the collection itself, and then what is at `old` is a
    straggler's.
    """
    with driver_errors(writing=True):
        drop_fence(address, new)
        try:
            _rename(address, old, new)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise
            rescue_stragglers(address, old, new, overrule=True)


def return_collection(address: PlacementAddress, old: str, new: str) -> None:
    """Bring the collection at `new` back to `old`, where a fence or a straggler's insert may be."""
    with driver_errors(writing=True):
        for _ in range(FENCE_ATTEMPTS):
            drop_fence(address, old)
            try:
                _rename(address, new, old)
            except OperationFailure as error:
                if error.code != NAMESPACE_EXISTS:
                    raise
                rescue_stragglers(address, old, new, overrule=True)
            else:
                return
    raise TenantBusy("Writes keep arriving at the old name.")


def rescue_stragglers(
    address: PlacementAddress, old: str, new: str, *, overrule: bool = False
) -> int:
    """Carry over what stragglers inserted at an old name. Return the number of documents.

    Of two documents with one `_id` the one written later stays. With `overrule` that is the
    stray: a pause is on, and nobody can have written at the new name since.

    The stray collection is renamed aside first: what is at the old name by then is complete, and
    what comes later makes a new stray, which the next call finds.
    """
    aside = new + STRAY_SUFFIX
    with driver_errors(writing=True):
        carried = _carry_over(address, aside, new, overrule=overrule)
        if _rename(address, old, aside):
            carried += _carry_over(address, aside, new, overrule=overrule)
    return carried


def fence_collection(address: PlacementAddress, old: str, new: str) -> int:
    """Put a view at the old name on the new collection: reads pass, MongoDB refuses writes.

    Return the number of stragglers' documents that had to be carried over first.
    """
    carried = 0
    with driver_errors(writing=True):
        for _ in range(FENCE_ATTEMPTS):
            carried += rescue_stragglers(address, old, new, overrule=True)
            if _create_view(address, old, new):
                return carried
    raise TenantBusy("Writes keep arriving at the old name.")


def _create_view(address: PlacementAddress, name: str, view_on: str) -> bool:
    try:
        get_database(address).create_collection(name, viewOn=view_on, check_exists=False)
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
        return _find_view_source(address, name) is not None
    return True


def _find_view_source(address: PlacementAddress, name: str) -> str | None:
    found = list_physical(address, {"name": name})
    return found[0].view_on if found else None


def drop_fence(address: PlacementAddress, name: str) -> bool:
    """Drop the view at an old name. Return False, and drop nothing, if it is not a view."""
    with driver_errors(writing=True):
        if _find_view_source(address, name) is None:
            return False
        get_database(address).drop_collection(name)
    return True


def _carry_over(address: PlacementAddress, source: str, target: str, *, overrule: bool) -> int:
    """Move every document of `source` to `target`, then drop `source`."""
    database = get_database(address)
    carried = 0
    for stray in database[source].find({}, batch_size=CARRY_BATCH):
        carry_document(database[target], stray, overrule=overrule)
        carried += 1
    database.drop_collection(source)
    return carried


def carry_document(
    target: Collection[Document], stray: Document, *, overrule: bool = False
) -> None:
    """Put a stray in its place, continuing the revisions of a document that it replaces.

    Unless `overrule`, one that was written later stays.
    """
    fields = {key: value for key, value in stray.items() if key != "_meta"}
    meta = {key: value for key, value in meta_of(stray).items() if key != "rev"}
    revision = {"rev": {"$add": [{"$ifNull": ["$_meta.rev", 0]}, 1]}}
    carried = [{"$literal": fields}, {"_meta": {"$mergeObjects": [{"$literal": meta}, revision]}}]
    # A repeat after a crash finds its own work by the time of the write, and leaves it.
    # One without a time is none of ours, and as good as just written.
    written = ["$_meta.updated_at", {"$literal": meta.get("updated_at")}]
    stays = {"$and": ["updated_at" in meta, {"$eq" if overrule else "$gte": written}]}
    replacement = {"$cond": [stays, "$$ROOT", {"$mergeObjects": carried}]}
    target.update_one({"_id": stray["_id"]}, [{"$replaceWith": replacement}], upsert=True)
