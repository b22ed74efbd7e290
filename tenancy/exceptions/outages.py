"""Not now; or ours to mend."""

from tenancy.exceptions.root import TenancyError


class Unavailable(TenancyError):
    """Not now. Waiting and repeating helps."""


class TenantBusy(Unavailable):
    """A pause lasted longer than a request may wait."""

    code = "tenant_busy"
    default_detail = "The organization is being moved or renamed. Try again in a moment."


class StalePlacement(TenantBusy):
    """MongoDB refused a call because the namespace it was sent to is no longer the tenant's."""


class Overslept(StalePlacement):
    """The thread stood still between reading where the tenant lives and asking there."""


class TransactionConflict(TenantBusy):
    """Somebody else changed the same documents first; nothing of the transaction was done."""

    default_detail = "Others changed the same documents at the same time. Nothing was written."


class ClusterUnavailable(Unavailable):
    """The cluster was not reached; nothing was written."""

    code = "cluster_unavailable"
    default_detail = "The database cannot be reached. Nothing was written. Try again in a moment."


class Overloaded(Unavailable):
    """The process has as many requests as it can work on, and as many as may wait."""

    code = "overloaded"
    default_detail = "There is more to do than can be done now. Nothing was done. Try again."


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
