"""Read, build and drop the indexes of a logical collection.

In a shared collection no tenant has indexes of its own: there is nothing to list, build or drop.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import pymongo
from pymongo.errors import DuplicateKeyError, OperationFailure

from tenancy.exceptions import AlreadyExists, Conflict, FieldError, ValidationFailed
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.errors import NAMESPACE_NOT_FOUND, driver_errors
from tenancy.mongo.extended_types import REPLY_OPTIONS
from tenancy.names import PlacementAddress

INDEX_NOT_FOUND = 27
CANNOT_CREATE_INDEX = 67
INVALID_OPTIONS = 72
INVALID_INDEX_SPECIFICATION_OPTION = 197
_NO_SUCH_INDEX = frozenset({CANNOT_CREATE_INDEX, INVALID_INDEX_SPECIFICATION_OPTION})
INDEX_OPTIONS_CONFLICT = 85
INDEX_KEY_SPECS_CONFLICT = 86
INDEX_BUILD_ABORTED = 276
_DIFFERS = frozenset({INDEX_OPTIONS_CONFLICT, INDEX_KEY_SPECS_CONFLICT})
# What a specification says in fields of its own, and what only says how it is stored.
_NOT_OPTIONS = frozenset({"v", "key", "name", "ns", "background", "unique", "sparse"})
TTL = "expireAfterSeconds"
ID_INDEX = "_id_"


@dataclass(frozen=True)
class IndexSpec:
    """An index as it is wanted or found. `keys` are (field, 1 or -1) pairs, or what MongoDB has.

    `options` are those that are not fields here (a collation, a partial filter, weights), as
    MongoDB spells them.
    """

    name: str
    keys: tuple[tuple[str, int | str], ...]
    unique: bool = False
    sparse: bool = False
    ttl_seconds: int | None = None
    options: dict[str, Any] = field(default_factory=dict, compare=True, hash=False)


def _whole_seconds(value: Any) -> int | None:
    """Return a time to live as a whole number, or None for what is none, such as NaN."""
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return int(value) if is_number else None


def _spec_of(row: Document) -> IndexSpec:
    ttl = _whole_seconds(row.get(TTL))
    left_out = _NOT_OPTIONS | ({TTL} if ttl is not None else set())
    return IndexSpec(
        name=row["name"],
        keys=tuple((name, _direction(value)) for name, value in row["key"].items()),
        unique=bool(row.get("unique", False)),
        sparse=bool(row.get("sparse", False)),
        ttl_seconds=ttl,
        options={key: value for key, value in row.items() if key not in left_out},
    )


def _direction(value: Any) -> int | str:
    """Return 1.0 and Int64(1), which the server keeps as they came, as 1."""
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    direction: int | str = value
    return direction


def _command_of(spec: IndexSpec) -> Document:
    row: Document = {**spec.options, "key": dict(spec.keys), "name": spec.name}
    row |= {"unique": True} if spec.unique else {}
    row |= {"sparse": True} if spec.sparse else {}
    return row | ({TTL: spec.ttl_seconds} if spec.ttl_seconds is not None else {})


def list_indexes(address: PlacementAddress, logical: str) -> list[IndexSpec]:
    """Return the indexes of a collection by name, without that of `_id`; none if it is missing.

    Those that are still being built are not there yet.
    """
    if address.kind == "shared":
        return []
    database = get_database(address)
    command = {"listIndexes": address.physical(logical), "cursor": {}, "includeBuildUUIDs": True}
    with driver_errors(writing=False):
        try:
            answer = database.command(command, codec_options=database.codec_options)
        except OperationFailure as error:
            if error.code == NAMESPACE_NOT_FOUND:
                return []
            raise
    rows = answer["cursor"]["firstBatch"]  # a collection has at most 64: they are one batch
    built = [row for row in rows if "buildUUID" not in row]
    found = [_spec_of(row) for row in built if row["name"] != ID_INDEX and "clustered" not in row]
    return sorted(found, key=lambda spec: spec.name)


def build_indexes(
    address: PlacementAddress, logical: str, specs: list[IndexSpec], *, timeout_seconds: float
) -> None:
    """Build the indexes that are not there, all by one command, beside reads and writes.

    Safe to repeat; a repeat waits for a build that is under way. Call it outside of
    `call_deadline()`, which would cut it short. Raises AlreadyExists if documents share a value
    of a unique index, Conflict if there is another index of the name or on the same keys, and
    ValidationFailed if MongoDB has no such index. Then none of them was built.
    """
    if address.kind == "shared" or not specs:
        return
    command = {
        "createIndexes": address.physical(logical),
        "indexes": [_command_of(spec) for spec in specs],
        "commitQuorum": "majority",  # else one member that is down would hold it up for ever
    }
    with driver_errors(writing=True), pymongo.timeout(timeout_seconds):
        database = get_database(address)
        try:
            database.command(
                command, write_concern=database.write_concern, codec_options=REPLY_OPTIONS
            )
        except DuplicateKeyError as error:
            raise _duplicates(error, specs) from error
        except OperationFailure as error:
            if error.code == INDEX_BUILD_ABORTED:
                raise _conflict("The index was removed while it was being built.") from error
            if error.code in _NO_SUCH_INDEX:
                raise ValidationFailed("MongoDB cannot build an index like this.") from error
            if error.code not in _DIFFERS:
                raise
            raise _differs(list_indexes(address, logical), specs) from error


def _duplicates(error: DuplicateKeyError, specs: list[IndexSpec]) -> AlreadyExists:
    """Return the error that names the index. What MongoDB says holds the documents' values."""
    fields = list((error.details or {}).get("keyPattern") or {})
    refused = [spec for spec in specs if spec.unique and [key for key, _ in spec.keys] == fields]
    spec = refused[0] if refused else next(spec for spec in specs if spec.unique)
    message = (
        f"The index “{spec.name}” cannot be unique: several documents have the same "
        f"{', '.join(key for key, _ in spec.keys)}."
    )
    return AlreadyExists(message, errors=[FieldError("/unique", "duplicate_values", message)])


def _differs(found: list[IndexSpec], specs: list[IndexSpec]) -> Conflict:
    for spec in specs:
        for other in found:
            if other.name == spec.name and other != spec:
                return _conflict(f"There is an index “{spec.name}” of another definition.")
            if other.keys == spec.keys and other.name != spec.name:
                return _conflict(f"The index “{other.name}” has the same keys already.")
    return _conflict("An index of the same name or on the same keys differs.")


def _conflict(message: str) -> Conflict:
    return Conflict(message, errors=[FieldError("/keys", "index_differs", message)])


def drop_index(address: PlacementAddress, logical: str, name: str) -> None:
    """Drop one index; silent when it, or the collection, is missing."""
    if address.kind == "shared":
        return
    with driver_errors(writing=True):
        try:
            get_database(address)[address.physical(logical)].drop_index(name)
        except OperationFailure as error:
            # INVALID_OPTIONS: the index of `_id`, which nobody declares, cannot be dropped.
            if error.code not in {INDEX_NOT_FOUND, NAMESPACE_NOT_FOUND, INVALID_OPTIONS}:
                raise
