"""Everything that can go wrong with an organization, in one tree.

    TenancyError
    ├── InvalidInput ─ ValidationFailed ─ InvalidName
    │   ├── MalformedJson, InvalidParameter ─ UnknownParameter, CursorInvalid, InvalidId
    │   └── InvalidDocument ─ TypeNotAllowed, PayloadTooLarge
    ├── NotFound ─ OrganizationNotFound, CollectionNotFound, DocumentNotFound, OperationNotFound
    ├── Conflict ─ AlreadyExists ─ NameTaken
    │   └── OperationRunning, PreconditionFailed, RevisionConflict, NotDeleted,
    │       NotCancellable
    ├── NotServed ─ OrganizationSuspended, OrganizationDeleted
    ├── PlanLimitReached, PlacementUnsupported
    ├── Unavailable ─ TenantBusy ─ StalePlacement
    │   └── ClusterUnavailable, ClusterFull, OutcomeUnknown, QueryTimeout
    └── Defect ─ LeaseLost, Misconfigured ─ Undecryptable
        └── OperationFailed ─ PlacementDisturbed, OperationCancelled

An error is plain: a stable `code`, a sentence for a person, and pointers to what was wrong.
What it means in HTTP is written in one place, `config/problems.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with the input: an RFC 6901 `pointer` to it, a stable code, a sentence."""

    pointer: str
    code: str
    message: str


class TenancyError(Exception):
    """The root. `detail` never holds driver, SQL or stack text."""

    code: ClassVar[str] = "internal"
    default_detail: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self, detail: str = "", *, errors: Iterable[FieldError] = (), hint: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.detail = detail or self.default_detail
        self.errors = tuple(errors)
        self.hint = hint
        self.extra = dict(extra or {})
        super().__init__(self.detail)


class InvalidInput(TenancyError):
    """The caller sent something that can never work."""

    code = "validation_failed"
    default_detail = "The request is not valid."


class ValidationFailed(InvalidInput):
    """Fields are missing, of a wrong type or out of bounds."""


class InvalidName(ValidationFailed):
    """An organization or collection name that cannot become a physical name."""

    default_detail = "The name cannot be used."


class MalformedJson(InvalidInput):
    """The body is not JSON at all."""

    code = "malformed_json"
    default_detail = "The body is not valid JSON."


class InvalidParameter(InvalidInput):
    """A query parameter or header has a value outside its bounds."""

    code = "invalid_parameter"
    default_detail = "A parameter is not valid."


class UnknownParameter(InvalidParameter):
    """A query parameter that this route does not have."""

    code = "unknown_parameter"
    default_detail = "A parameter is not known here."


class CursorInvalid(InvalidInput):
    """A page cursor that was changed, or made for another list."""

    code = "cursor_invalid"
    default_detail = "The cursor does not belong to this list. Start again without it."


class InvalidId(InvalidInput):
    """A document id in a path that names no possible id."""

    code = "invalid_id"
    default_detail = "The id in the path is not valid."


class InvalidDocument(InvalidInput):
    """A document with a key, depth, number or shape that is not stored."""

    code = "invalid_document"
    default_detail = "The document cannot be stored as it is."


class TypeNotAllowed(InvalidDocument):
    """A BSON type that is not accepted from clients, such as JavaScript code."""

    code = "type_not_allowed"
    default_detail = "The document holds a type that is not accepted."


class PayloadTooLarge(InvalidDocument):
    """A body or document over its limit in bytes."""

    code = "payload_too_large"
    default_detail = "The body is too large."


class NotFound(TenancyError):
    """It does not exist, or not for this caller: the two look the same."""

    code = "not_found"
    default_detail = "There is nothing here."


class OrganizationNotFound(NotFound):
    """No organization with that id, name or slug."""

    default_detail = "There is no such organization."


class CollectionNotFound(NotFound):
    """The organization has no collection of that name."""

    default_detail = "There is no such collection."


class DocumentNotFound(NotFound):
    """No document with that id in this collection."""

    default_detail = "There is no such document."


class OperationNotFound(NotFound):
    """No operation with that id."""

    default_detail = "There is no such operation."


class Conflict(TenancyError):
    """The request was fine, the state of things is against it."""

    code = "already_exists"


class AlreadyExists(Conflict):
    """A unique value is taken. The message never holds the other's value."""

    default_detail = "It exists already."


class NameTaken(AlreadyExists):
    """The slug belongs to another organization, or did until recently."""

    code = "name_taken"
    default_detail = "The name is taken."


class OperationRunning(Conflict):
    """Another operation of this organization has not ended yet."""

    code = "operation_running"
    default_detail = "Another operation is running for this organization. Try again when it ended."


class PreconditionFailed(Conflict):
    """`If-Match` or `If-None-Match` does not hold; `extra["current"]` is the current ETag."""

    code = "precondition_failed"
    default_detail = "The document is at another revision."


class RevisionConflict(Conflict):
    """The document kept changing while it was being patched."""

    code = "revision_conflict"
    default_detail = "The document was changed by others at the same time. Try again."


class NotServed(TenancyError):
    """The organization exists and its data is not being served."""


class OrganizationSuspended(NotServed):
    """An operator has suspended the organization; its data is kept."""

    code = "organization_suspended"
    default_detail = "The organization is suspended. Its data is kept. Ask your operator."


class OrganizationDeleted(NotServed):
    """The organization is deleted, or about to be."""

    code = "organization_deleted"
    default_detail = "The organization was deleted."


class PlanLimitReached(TenancyError):
    """A limit of the plan where waiting does not help; `extra` has limit, used and name."""

    code = "plan_limit_reached"
    default_detail = "A limit of the plan is reached."


class PlacementUnsupported(TenancyError):
    """What was asked for does not exist where the organization's data lives now."""

    code = "placement_unsupported"
    default_detail = "This does not exist where the organization's data lives."


class NotDeleted(Conflict):
    """The organization is not deleted, or purged already: there is nothing to restore."""

    code = "not_deleted"
    default_detail = "The organization is not deleted, or can no longer be restored."


class NotCancellable(Conflict):
    """The operation has ended, has taken effect already, or is of a kind that is too short."""

    code = "not_cancellable"
    default_detail = "The operation can no longer be cancelled."


class Unavailable(TenancyError):
    """Not now. Waiting and repeating helps."""


class TenantBusy(Unavailable):
    """A pause lasted longer than a request may wait."""

    code = "tenant_busy"
    default_detail = "The organization is being moved or renamed. Try again in a moment."


class StalePlacement(TenantBusy):
    """MongoDB refused a call because the namespace it was sent to is no longer the tenant's."""


class ClusterUnavailable(Unavailable):
    """The cluster was not reached; nothing was written."""

    code = "cluster_unavailable"
    default_detail = "The database cannot be reached. Nothing was written. Try again in a moment."


class ClusterFull(Unavailable):
    """There is no room for what would be made; an operator has to make some."""

    code = "cluster_full"
    default_detail = "There is no room for new collections or indexes now. Nothing was made."


class OutcomeUnknown(Unavailable):
    """A write was sent and no answer came: it may or may not have happened."""

    code = "outcome_unknown"
    default_detail = "The database did not answer in time. The write may have happened."


class QueryTimeout(Unavailable):
    """A read ran into its deadline."""

    code = "query_timeout"
    default_detail = "The query took too long."


class Defect(TenancyError):
    """Ours to mend, not the caller's."""


class OperationFailed(Defect):
    """An operation gave up after its attempts, and was undone where its kind can be."""

    default_detail = "The operation failed and was given up."


class PlacementDisturbed(OperationFailed):
    """What an operation worked on was changed from outside, so that it cannot go on."""

    default_detail = "A collection was dropped or renamed outside of Tenantry meanwhile."


class OperationCancelled(OperationFailed):
    """Somebody asked for it; everything is put back."""

    default_detail = "The operation was cancelled."


class LeaseLost(Defect):
    """Another runner has taken the operation over; this one must stop at once."""


class Misconfigured(Defect):
    """A setting is missing or wrong."""


class Undecryptable(Misconfigured):
    """None of the keys decrypts a value of the catalog."""

    default_detail = "A value of the catalog cannot be decrypted with FIELD_ENCRYPTION_KEYS."
