"""What a bulk is to do, and what comes of it: computed from what the documents are now. Pure.

Inside of a transaction the answer to each operation follows from a snapshot, so that one read and
one write serve for many. The rules are those of the single calls, and a test holds them together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from tenancy.exceptions import (
    AlreadyExists,
    DocumentNotFound,
    FieldError,
    NothingToMatch,
    PreconditionFailed,
    TenancyError,
)
from tenancy.mongo.clients import Document
from tenancy.mongo.merge_patch import apply_merge_patch
from tenancy.mongo.revisions import (
    FIRST_REVISION,
    first_meta,
    next_meta,
    revision_of,
)
from tenancy.mongo.writing import WRITE_PROBLEMS, elements_of, with_id

Op = Literal["insert", "replace", "upsert", "patch", "delete"]
Effect = Literal["created", "changed", "deleted", "failed"]
Ready = Callable[[Document, bytes], tuple[Any, int]]
LOCATED_MAX_ERRORS = 10
Room = Callable[[int, int], None]


class Change(NamedTuple):
    """One operation of a bulk.

    `fields` is a document or a patch, its `_id` first; {} to delete. `if_rev` is the revision that
    the document must be at. `error` is what is known to be wrong with it: then it is not done.
    `is_id_apart` says that the id was not given in the document.
    An insert may have `encoded`, the BSON elements of its `fields`: then these are without their
    `_id`, and `is_json` says that they are nothing but JSON, which spells them as they are.
    """

    op: Op
    document_id: Any
    fields: Document
    if_rev: int | None = None
    error: TenancyError | None = None
    is_id_apart: bool = False
    encoded: bytes | None = None
    is_json: bool = False

    def whole(self) -> "Change":
        """Return the same with its `_id` among the fields."""
        if self.encoded is None:
            return self
        return self._replace(fields=with_id(self.document_id, self.fields), encoded=None)


@dataclass(frozen=True, eq=False)
class Inserts(Sequence[Change]):
    """Many inserts that all have `encoded`: the same, column by column."""

    ids: Sequence[Any]
    fields: Sequence[Document]
    encoded: Sequence[bytes]
    is_json: Sequence[bool]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    def __getitem__(self, number: Any) -> Any:
        """Return one of them."""
        return Change(
            "insert", self.ids[number], self.fields[number],
            encoded=self.encoded[number], is_json=self.is_json[number],
        )  # fmt: skip


class Outcome(NamedTuple):
    """What came of an operation; `revision` is that of a document which is there now."""

    op: Op
    document_id: Any
    effect: Effect
    revision: int | None = None
    error: TenancyError | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A document as it is before an operation; `fields`, without `_meta`, only for patches."""

    meta: Document
    size: int
    fields: Document | None = None

    @property
    def revision(self) -> int:
        """Its revision."""
        return revision_of({"_meta": self.meta})


def located(number: int, change: Change, error: TenancyError) -> Iterator[FieldError]:
    """Return where in a bulk the things are that are wrong with an operation."""
    at = f"/operations/{number}"
    content = f"{at}/patch" if change.op == "patch" else f"{at}/document"
    for each in error.errors[:LOCATED_MAX_ERRORS]:
        is_id = each.pointer == "/_id" and each.code == "already_exists" and change.is_id_apart
        place = f"{at}/id" if is_id else f"{content}{each.pointer}"
        yield FieldError(place, each.code, each.message)


def failure(change: Change, error: TenancyError) -> Outcome:
    """Return the outcome of an operation that was not done."""
    return Outcome(change.op, change.document_id, "failed", error=error)


def created(change: Change) -> Outcome:
    """Return the outcome of an operation that has stored a new document."""
    return Outcome(change.op, change.document_id, "created", FIRST_REVISION)


class Plan:
    """The writes that operations come to, one after another, from `held` on."""

    def __init__(self, held: dict[Any, Held], *, by: str, ready: Ready, room: Room) -> None:
        self._held = held
        self._by = by
        self._ready, self._room = ready, room
        self.position = 0  # of the operation that is planned
        self.writes: list[tuple[int, str, Any, Any]] = []  # position, kind, `_id`, what is stored
        self.documents, self.bytes = 0, 0
        self.is_doubtful = False  # something was not found
        self._acts: Mapping[Op, Callable[[Change], Outcome]] = {
            "insert": self._insert,
            "replace": self._replace,
            "upsert": self._upsert,
            "patch": self._patch,
            "delete": self._delete,
        }

    def apply(self, change: Change) -> Outcome:
        """Return what comes of an operation, and plan its write, if any."""
        if change.error is not None:
            return failure(change, change.error)
        try:
            return self._acts[change.op](change.whole())
        except WRITE_PROBLEMS as error:
            return failure(change, error)

    def _find(self, change: Change) -> Held:
        """Return the document as it is. Raises DocumentNotFound or PreconditionFailed."""
        held = self._held.get(change.document_id)
        if held is None:
            self.is_doubtful = True
            raise DocumentNotFound if change.if_rev is None else NothingToMatch
        if change.if_rev is not None and change.if_rev != held.revision:
            raise PreconditionFailed(
                f"The document is at revision {held.revision}.",
                extra={"current": f'"r{held.revision}"'},
            )
        return held

    def _insert(self, change: Change) -> Outcome:
        made = self._make(change.fields, None)
        if change.document_id in self._held:
            detail = "A document with this _id exists already."
            raise AlreadyExists(detail, errors=[FieldError("/_id", "already_exists", detail)])
        return self._put(change, made)

    def _replace(self, change: Change) -> Outcome:
        made = self._make(change.fields, self._held.get(change.document_id))
        self._find(change)
        return self._put(change, made)

    def _upsert(self, change: Change) -> Outcome:
        if change.if_rev is not None or change.document_id in self._held:
            return self._replace(change)
        self.is_doubtful = True
        return self._put(change, self._make(change.fields, None))

    def _patch(self, change: Change) -> Outcome:
        changes = {name: value for name, value in change.fields.items() if name != "_id"}
        held = self._find(change)
        return self._put(change, self._make(apply_merge_patch(held.fields, changes), held))

    def _delete(self, change: Change) -> Outcome:
        held = self._find(change)
        del self._held[change.document_id]
        self.writes.append((self.position, "delete", change.document_id, None))
        self.documents -= 1
        self.bytes -= held.size
        return Outcome(change.op, change.document_id, "deleted")

    def _make(self, fields: Document, old: Held | None) -> tuple[Any, Held]:
        """Return a document in the place of `old` as it is sent, and what it is then."""
        meta = next_meta({"_meta": old.meta}, self._by) if old else first_meta(self._by)
        raw, size = self._ready(fields, elements_of({"_meta": meta}))
        return raw, Held(meta, size, fields)

    def _put(self, change: Change, made: tuple[Any, Held]) -> Outcome:
        """Plan to store what was made, if there is room."""
        raw, new = made
        old = self._held.get(change.document_id)
        more, grown = int(old is None), new.size - (old.size if old else 0)
        if more or grown > 0:
            self._room(self.documents + more, self.bytes + grown)
        self.documents += more
        self.bytes += grown
        self._held[change.document_id] = new
        kind = "replace" if old else "insert"
        self.writes.append((self.position, kind, change.document_id, raw))
        effect: Effect = "changed" if old else "created"
        return Outcome(change.op, change.document_id, effect, new.revision)
