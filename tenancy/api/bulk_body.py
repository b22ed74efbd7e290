"""The bodies of requests that change many documents: their shapes, and nothing of documents.

A body of a wrong shape is refused whole, with pointers. A document that is not valid is what is
wrong with its operation.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tenancy.api.requests import pointing_into
from tenancy.exceptions import FieldError, InvalidId, ValidationFailed
from tenancy.mongo.bulk import BULK_MAX_OPERATIONS
from tenancy.mongo.bulk_input import make_change, read_id
from tenancy.mongo.bulk_inserts import make_inserts
from tenancy.mongo.bulk_plan import Change, Op
from tenancy.mongo.document_rules import decode_patch
from tenancy.mongo.filters import compile_filter
from tenancy.mongo.many import MANY_MAX_AFFECTED
from tenancy.wording import nearest, shorten

SHOWN_ERRORS = 100
REVISION_LIMIT = 10**18
# The fields of each operation, beside `op`; those with a star must be given.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "insert": ("id", "document*"),
    "replace": ("id", "document*", "if_rev"),
    "upsert": ("id", "document*", "if_rev"),
    "patch": ("id*", "patch*", "if_rev"),
    "delete": ("id*", "if_rev"),
}
_PLAIN = ("op", "document")
_CREATING = ("insert", "upsert")


@dataclass(frozen=True)
class BulkOrder:
    """What a bulk is to do, and which operations name their document."""

    changes: Sequence[Change]
    named: list[bool]
    is_atomic: bool

    @property
    def creates(self) -> bool:
        """Whether there is something to store in a collection that is not there yet."""
        return any(each.op in _CREATING and each.if_rev is None for each in self.changes)


@dataclass(frozen=True)
class ManyOrder:
    """Which documents are to be changed, and how many at most; `patch` is None to delete them."""

    query: dict[str, Any]
    patch: dict[str, Any] | None
    max_affected: int
    is_dry_run: bool


# --- bulk


def read_bulk(body: Any, *, max_bytes: int) -> BulkOrder:
    """Return what a body asks for. Raises ValidationFailed with pointers to its wrong shape."""
    _refuse(_fields_of(body, "", ("operations*", "atomic")))
    _refuse(_wrong(body, "", "atomic", is_bool, "It is true or false."))
    operations = body["operations"]
    if not isinstance(operations, list) or not 1 <= len(operations) <= BULK_MAX_OPERATIONS:
        message = f"It is a list of 1 to {BULK_MAX_OPERATIONS:,} operations."
        _refuse([FieldError("/operations", "invalid", message)])
    is_atomic = body.get("atomic", False)
    documents = [each["document"] for each in operations if _is_plain(each)]
    if len(documents) == len(operations):
        named = ["_id" in each for each in documents]
        return BulkOrder(make_inserts(documents, None, max_bytes), named, is_atomic)
    _refuse_wrong(operations)
    changes = _read_changes(operations, _read_ids(operations), max_bytes)
    return BulkOrder(changes, [_names(each) for each in operations], is_atomic)


def _refuse_wrong(operations: list[Any]) -> None:
    """Raise ValidationFailed with what is wrong with the shapes of operations."""
    errors: list[FieldError] = []
    for number, operation in enumerate(operations):
        if _is_plain(operation):
            continue
        errors += _operation_errors(operation, f"/operations/{number}")
        if len(errors) >= SHOWN_ERRORS:
            break
    _refuse(errors[:SHOWN_ERRORS])


def _read_changes(operations: list[dict[str, Any]], ids: list[Any], max_bytes: int) -> list[Change]:
    """Return what operations do; the inserts among them are made together."""
    new = [number for number, each in enumerate(operations) if each["op"] == "insert"]
    documents = [operations[number]["document"] for number in new]
    inserts = iter(make_inserts(documents, [ids[number] for number in new], max_bytes))
    return [
        next(inserts) if operation["op"] == "insert" else _change(operation, ids[number], max_bytes)
        for number, operation in enumerate(operations)
    ]


def _change(operation: dict[str, Any], document_id: Any, max_bytes: int) -> Change:
    content = operation.get("patch" if operation["op"] == "patch" else "document")
    op, if_rev = cast(Op, operation["op"]), operation.get("if_rev")
    return make_change(op, document_id, content, if_rev=if_rev, max_bytes=max_bytes)


def _names(operation: dict[str, Any]) -> bool:
    return "id" in operation or "_id" in operation.get("document", {})


def _read_ids(operations: list[dict[str, Any]]) -> list[Any]:
    """Return the ids that operations name, or None. Raises ValidationFailed."""
    ids: list[Any] = []
    errors = []
    for number, operation in enumerate(operations):
        try:
            ids.append(read_id(operation["id"]) if "id" in operation else None)
        except InvalidId as error:
            errors.append(FieldError(f"/operations/{number}/id", error.code, error.detail))
    _refuse(errors[:SHOWN_ERRORS])
    return ids


def _is_plain(operation: Any) -> bool:
    """Return whether it is an insert of nothing but a document: most are, and they are many."""
    return (
        type(operation) is dict
        and len(operation) == len(_PLAIN)
        and operation.get("op") == "insert"
        and type(operation.get("document")) is dict
    )


def _operation_errors(operation: Any, at: str) -> Iterator[FieldError]:
    op = operation.get("op") if isinstance(operation, dict) else None
    if not isinstance(op, str) or op not in FIELDS:
        known = ", ".join(FIELDS)
        if not isinstance(operation, dict):
            yield FieldError(at, "invalid", "An operation is an object.")
        elif op is None and "op" not in operation:
            yield FieldError(f"{at}/op", "required", f"It is one of {known}.")
        else:
            near = nearest(op, FIELDS) if isinstance(op, str) else ""
            yield FieldError(f"{at}/op", "invalid_choice", f"It is one of {known}.{near}")
        return
    yield from _fields_of(operation, at, ("op*", *FIELDS[op]))
    yield from _wrong(operation, at, "document", is_object, "It is an object.")
    yield from _wrong(operation, at, "patch", is_object, "It is an object.")
    yield from _wrong(operation, at, "if_rev", is_revision, "It is a whole number from 0.")
    if op in ("replace", "upsert") and "document" in operation and not _may_name(operation):
        message = "Say which document: here, or by the _id in it."
        yield FieldError(f"{at}/id", "required", message)


def _may_name(operation: dict[str, Any]) -> bool:
    document = operation["document"]
    return "id" in operation or not isinstance(document, dict) or "_id" in document


# --- update-many and delete-many


def read_many(body: Any, *, patches: bool) -> ManyOrder:
    """Return what a body asks for. Raises ValidationFailed, and what its filter or patch does."""
    known = ("filter*", *(("patch*",) if patches else ()), "max_affected*", "dry_run")
    _refuse(_fields_of(body, "", known))
    bounds = f"It is a whole number from 1 to {MANY_MAX_AFFECTED:,}."
    _refuse([
        *_wrong(body, "", "filter", is_object, "It is an object; {} finds everything."),
        *_wrong(body, "", "patch", is_object, "It is an object."),
        *_wrong(body, "", "max_affected", is_bound, bounds),
        *_wrong(body, "", "dry_run", is_bool, "It is true or false."),
    ])  # fmt: skip
    query = compile_filter(body["filter"], "/filter")
    patch = _read_patch(body["patch"]) if patches else None
    return ManyOrder(query, patch, body["max_affected"], body.get("dry_run", False))


def _read_patch(raw: dict[str, Any]) -> dict[str, Any]:
    if "_id" in raw:
        _refuse([FieldError("/patch/_id", "id_mismatch", "An _id never changes.")])
    with pointing_into("/patch"):
        return decode_patch(raw)


# --- shapes


def is_bool(value: Any) -> bool:
    """Return whether it is true or false."""
    return isinstance(value, bool)


def is_object(value: Any) -> bool:
    """Return whether it is a JSON object."""
    return isinstance(value, dict)


def is_revision(value: Any) -> bool:
    """Return whether it can be a revision."""
    return isinstance(value, int) and not is_bool(value) and 0 <= value < REVISION_LIMIT


def is_bound(value: Any) -> bool:
    """Return whether it can be `max_affected`."""
    return isinstance(value, int) and not is_bool(value) and 1 <= value <= MANY_MAX_AFFECTED


def _fields_of(value: Any, at: str, known: Collection[str]) -> Iterator[FieldError]:
    """Return what is wrong with the names of an object's fields; those with a star must be."""
    if not isinstance(value, dict):
        yield FieldError(at, "invalid", "The body is an object.")
        return
    names = [name.rstrip("*") for name in known]
    for name in value:
        if name not in names:
            shown = shorten(name).replace("~", "~0").replace("/", "~1")
            message = f"There is no such field here.{nearest(name, names)}"
            yield FieldError(f"{at}/{shown}", "unknown_field", message)
    for name in known:
        if name.endswith("*") and name[:-1] not in value:
            yield FieldError(f"{at}/{name[:-1]}", "required", "It must be given.")


def _wrong(
    value: dict[str, Any], at: str, name: str, is_right: Callable[[Any], bool], message: str
) -> Iterator[FieldError]:
    if name in value and not is_right(value[name]):
        yield FieldError(f"{at}/{name}", "invalid", message)


def _refuse(errors: Collection[FieldError] | Iterator[FieldError]) -> None:
    found = list(errors)
    if found:
        raise ValidationFailed(errors=found[:SHOWN_ERRORS])
