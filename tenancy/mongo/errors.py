"""PyMongoError -> TenancyError, in one place.

Driver text never leaves: a duplicate-key message, for one, holds the other document's value.
Server codes: https://github.com/mongodb/mongo/blob/v6.0/src/mongo/base/error_codes.yml
"""

from types import TracebackType
from typing import Any

from bson.errors import BSONError, InvalidBSON
from bson.errors import InvalidDocument as InvalidBsonDocument
from pymongo import errors as driver

from tenancy.exceptions import (
    AlreadyExists,
    ClusterUnavailable,
    Defect,
    FieldError,
    InvalidDocument,
    OutcomeUnknown,
    PayloadTooLarge,
    QueryTimeout,
    StalePlacement,
    TenancyError,
    TenantBusy,
    TransactionConflict,
)

WRITE_CONFLICT = 112
SNAPSHOT_TOO_OLD = 239
SNAPSHOT_UNAVAILABLE = 246
NO_SUCH_TRANSACTION = 251
NAMESPACE_NOT_FOUND = 26
CURSOR_NOT_FOUND = 43
NAMESPACE_EXISTS = 48
MAX_TIME_MS_EXPIRED = 50
COMMAND_NOT_SUPPORTED_ON_VIEW = 166
CANNOT_INDEX_PARALLEL_ARRAYS = 171
INVALID_PIPELINE_OPERATOR = 168  # `min` on a view: a fence that was read through
QUERY_PLAN_KILLED = 175
CHANGE_STREAM_FATAL_ERROR = 280
CHANGE_STREAM_HISTORY_LOST = 286
BSON_OBJECT_TOO_LARGE = 10334
DUPLICATE_KEY = 11000
BACKGROUND_OPERATION_IN_PROGRESS = 12587

STALE_CODES = frozenset(
    {COMMAND_NOT_SUPPORTED_ON_VIEW, INVALID_PIPELINE_OPERATOR, QUERY_PLAN_KILLED, CURSOR_NOT_FOUND}
)
# What ends a transaction of which nothing was done; a rename or drop may cause the second.
CONFLICT_CODES = frozenset({WRITE_CONFLICT, SNAPSHOT_UNAVAILABLE, NO_SUCH_TRANSACTION})
TRANSIENT = "TransientTransactionError"
UNKNOWN_COMMIT = "UnknownTransactionCommitResult"


def duplicate_fields(error: driver.DuplicateKeyError) -> list[str]:
    """Return the fields of the unique index that refused a write; `["_id"]` for the id."""
    pattern = (error.details or {}).get("keyPattern") or {"_id": 1}
    return list(pattern)


def positions_of_taken_ids(error: driver.BulkWriteError) -> set[int]:
    """Return which documents of a batch were refused because their `_id` is taken.

    Raises StalePlacement, AlreadyExists for another unique index, or else the error itself.
    """
    refused = error.details["writeErrors"]
    codes = {each["code"] for each in refused}
    if codes & STALE_CODES:
        raise StalePlacement from error
    if codes != {DUPLICATE_KEY} or error.details["writeConcernErrors"]:
        raise error
    for each in refused:
        if (fields := list(each.get("keyPattern") or {"_id": 1})) != ["_id"]:
            raise _already_exists(fields) from error
    return {each["index"] for each in refused}


def refused_writes(error: driver.BulkWriteError) -> dict[int, TenancyError]:
    """Return which writes of a batch were refused, by their positions, and what each means.

    Raises the error itself if the others are not confirmed.
    """
    if error.details["writeConcernErrors"]:
        raise error
    return {each["index"]: _of_write(each) for each in error.details["writeErrors"]}


def _of_write(details: dict[str, Any]) -> TenancyError:
    if details["code"] == DUPLICATE_KEY:
        return _already_exists(list(details.get("keyPattern") or {"_id": 1}))
    return _of_code(driver.OperationFailure("", details["code"]), writing=True)


def has_taken_id(error: TenancyError) -> bool:
    """Return whether it says that the `_id` is taken, and not another unique value."""
    is_taken = isinstance(error, AlreadyExists)
    return is_taken and [problem.pointer for problem in error.errors] == ["/_id"]


def _already_exists(fields: list[str]) -> AlreadyExists:
    if fields == ["_id"]:
        detail = "A document with this _id exists already."
    else:
        detail = f"Another document has the same {', '.join(fields)}."
    return AlreadyExists(
        detail, errors=[FieldError(f"/{name}", "already_exists", detail) for name in fields]
    )


def _lost_contact(*, writing: bool) -> TenancyError:
    if writing:
        return OutcomeUnknown()
    return ClusterUnavailable()


_MEANINGS: dict[int | None, tuple[type[TenancyError], str]] = {
    BSON_OBJECT_TOO_LARGE: (
        PayloadTooLarge, "The document is larger than MongoDB stores (16 MiB).",
    ),
    CANNOT_INDEX_PARALLEL_ARRAYS: (
        InvalidDocument, "Two fields of one index hold arrays; MongoDB allows one of them to.",
    ),
    SNAPSHOT_TOO_OLD: (
        QueryTimeout, "It took longer than MongoDB keeps the documents of one moment (5 minutes).",
    ),
    BACKGROUND_OPERATION_IN_PROGRESS: (TenantBusy, "An index is being built. Try again later."),
}  # fmt: skip


def _of_code(error: driver.OperationFailure, *, writing: bool) -> TenancyError:
    if error.code in STALE_CODES:
        return StalePlacement()
    if error.code in CONFLICT_CODES or error.has_error_label(TRANSIENT):
        return TransactionConflict()
    if error.code == MAX_TIME_MS_EXPIRED:
        return OutcomeUnknown() if writing else QueryTimeout()
    if error.code in _MEANINGS:
        meaning, detail = _MEANINGS[error.code]
        is_of_document = meaning is InvalidDocument  # as a whole: no one field is at fault
        where = [FieldError("", meaning.code, detail)] if is_of_document else []
        return meaning(detail, errors=where)
    if error.has_error_label("RetryableWriteError") or error.has_error_label(UNKNOWN_COMMIT):
        return _lost_contact(writing=writing)
    return Defect()


# What a driver error says when it is neither a duplicate, nor a code, nor a lost connection.
# The nearest class in an error's ancestry decides.
# Not WaitQueueTimeoutError: the driver may raise it for its own retry of a write that was sent.
_NOTHING_SENT = driver.ServerSelectionTimeoutError
_UNCONFIRMED = (driver.WriteConcernError, driver.WTimeoutError)
UNREADABLE = (
    "A document found here cannot be read: it holds text that is not UTF-8, and was not stored by"
    " this API."
)
_NOT_BSON = (InvalidBsonDocument, BSONError, OverflowError)


def translate(error: Exception, *, writing: bool) -> TenancyError:
    """Return what a driver error means here.

    `writing` says whether the call could have changed something: then no answer means *unknown*,
    never "not done".
    """
    if isinstance(error, driver.DuplicateKeyError):
        return _already_exists(duplicate_fields(error))
    if isinstance(error, driver.DocumentTooLarge):
        return PayloadTooLarge("The document is larger than MongoDB stores (16 MiB).")
    if isinstance(error, InvalidBSON):  # what came, not what was sent
        return OutcomeUnknown() if writing else InvalidDocument(UNREADABLE)
    if isinstance(error, _NOT_BSON):
        return InvalidDocument()
    if isinstance(error, _NOTHING_SENT):
        return ClusterUnavailable()
    return _of_exchange(error, writing=writing)


def _of_exchange(error: Exception, *, writing: bool) -> TenancyError:
    """Return what an error means that came after something was sent."""
    if isinstance(error, _UNCONFIRMED):
        return OutcomeUnknown()
    if isinstance(error, driver.ConnectionFailure):
        # Before a commit was sent, nothing of a transaction is done.
        is_undone = error.has_error_label(TRANSIENT)
        return _lost_contact(writing=writing and not is_undone)
    if isinstance(error, driver.PyMongoError) and error.timeout:
        return OutcomeUnknown() if writing else QueryTimeout()
    if isinstance(error, driver.OperationFailure):
        return _of_code(error, writing=writing)
    return Defect()


class driver_errors:  # noqa: N801 -- used as contextlib.suppress is
    """Turn what the driver raises in the block into a TenancyError.

    A class, for every call passes one: the generator of a `contextmanager` costs three times that.
    """

    __slots__ = ("_writing",)

    def __init__(self, *, writing: bool) -> None:
        self._writing = writing

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, driver.PyMongoError | BSONError | OverflowError):
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> TenancyError:
        return translate(error, writing=self._writing)
