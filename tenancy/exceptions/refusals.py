"""The request was fine; what there is, or what is allowed, is against it."""

from tenancy.exceptions.root import TenancyError


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


class NothingToMatch(PreconditionFailed):
    """A condition names a revision, and there is no document; `extra["current"]` is None."""

    default_detail = "There is no such document, so that it is at no revision."

    def __init__(self) -> None:
        super().__init__(extra={"current": None})


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


class BulkAborted(Conflict):
    """One operation of an atomic bulk failed, so that none was done; `errors` says which."""

    code = "bulk_aborted"
    default_detail = "One of the operations failed. Nothing was written."


class NotDeleted(Conflict):
    """The organization is not deleted, or purged already: there is nothing to restore."""

    code = "not_deleted"
    default_detail = "The organization is not deleted, or can no longer be restored."


class IdempotencyInProgress(Conflict):
    """The request with this `Idempotency-Key` is being answered right now."""

    code = "idempotency_in_progress"
    default_detail = "A request with this Idempotency-Key is being answered. Try again in a moment."


class NotCancellable(Conflict):
    """The operation has ended, has taken effect already, or is of a kind that is too short."""

    code = "not_cancellable"
    default_detail = "The operation can no longer be cancelled."
