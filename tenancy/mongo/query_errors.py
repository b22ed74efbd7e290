"""What MongoDB says of queries that were well-formed, and cannot be answered all the same."""

from pymongo.errors import NetworkTimeout, OperationFailure

from tenancy.exceptions import (
    FieldError,
    InvalidQuery,
    QueryTimeout,
    QueryTooComplex,
    TenancyError,
)
from tenancy.mongo.errors import (
    BACKGROUND_OPERATION_IN_PROGRESS,
    BSON_OBJECT_TOO_LARGE,
    driver_errors,
)

BAD_VALUE = 2
FAILED_TO_PARSE = 9
TYPE_MISMATCH = 14
OVERFLOW = 15
CONVERSION_FAILURE = 241
EXCEEDED_MEMORY_LIMIT = 146
NO_DISK_USE_ALLOWED = 292
BUFFER_TOO_LARGE = 13548  # a string over 64 MB, on the way
FACET_TOO_LARGE = 4031700
_NO_ROOM = frozenset({
    EXCEEDED_MEMORY_LIMIT, NO_DISK_USE_ALLOWED, BSON_OBJECT_TOO_LARGE, BUFFER_TOO_LARGE,
    FACET_TOO_LARGE,
})  # fmt: skip
_NOT_COMPUTABLE = frozenset(
    {BAD_VALUE, FAILED_TO_PARSE, TYPE_MISMATCH, OVERFLOW, CONVERSION_FAILURE}
)
# Codes of single places in the server's source, above those that have a name: expressions mostly.
FIRST_LOCATION = 10_000
INTERRUPTED, BACKGROUND_OPERATION_IN_DATABASE, OUT_OF_DISK_SPACE = 11601, 12586, 14031
# What has a name all the same, and says nothing of a query.
_NAMED = frozenset({
    INTERRUPTED, BACKGROUND_OPERATION_IN_DATABASE, BACKGROUND_OPERATION_IN_PROGRESS,
    OUT_OF_DISK_SPACE,
})  # fmt: skip
TOO_LARGE = "The query needs more memory than one may have: 100 MB."
NOT_COMPUTABLE = (
    "The query cannot be computed for these documents: an expression met a value of a type, or out "
    "of the bounds, that it takes."
)

TWO_ARRAYS = "MongoDB cannot sort by two fields that hold arrays in one document."
# MongoDB's words: the code is that of every value it takes for a bad one.
_PARALLEL_ARRAYS = "parallel arrays"


class query_errors(driver_errors):  # noqa: N801 -- used as contextlib.suppress is
    """Turn what the driver raises for a read in the block into a TenancyError.

    Raises QueryTooComplex for what needs too much memory, InvalidQuery for what the values of
    documents do not allow, QueryTimeout where no answer came in time, and whatever else
    `driver_errors` does. MongoDB looks at the clock between documents, never in an expression: a
    query that it is still computing ends with the driver's patience, as a frozen server does.
    Whoever guards the cluster finds that in the cause, and asks.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(writing=False)

    def _meaning(self, error: Exception) -> TenancyError:
        if isinstance(error, NetworkTimeout):
            return QueryTimeout()
        if isinstance(error, OperationFailure):
            if error.code in _NO_ROOM:
                return QueryTooComplex(
                    TOO_LARGE, hint="Match fewer documents first, or group by fewer values."
                )
            if error.code in _NOT_COMPUTABLE or _is_of_one_place(error.code):
                return InvalidQuery(NOT_COMPUTABLE)
        return super()._meaning(error)


class pipeline_errors(query_errors):  # noqa: N801 -- used as contextlib.suppress is
    """The same for expressions, which a request has in its `pipeline`."""

    __slots__ = ()

    def _meaning(self, error: Exception) -> TenancyError:
        meaning = super()._meaning(error)
        if isinstance(meaning, InvalidQuery) and not meaning.errors:
            meaning.errors = (FieldError("/pipeline", "not_computable", meaning.detail),)
        return meaning


class sort_errors(query_errors):  # noqa: N801 -- used as contextlib.suppress is
    """The same for a filter and a sort, which a request has as `sort`.

    Neither holds an expression that could quote what documents hold: the words are MongoDB's own.
    """

    __slots__ = ()

    def _meaning(self, error: Exception) -> TenancyError:
        is_bad = isinstance(error, OperationFailure) and error.code == BAD_VALUE
        if is_bad and _PARALLEL_ARRAYS in str(error):
            return InvalidQuery(TWO_ARRAYS, errors=[FieldError("/sort", "invalid", TWO_ARRAYS)])
        return super()._meaning(error)


def _is_of_one_place(code: int | None) -> bool:
    return code is not None and code >= FIRST_LOCATION and code not in _NAMED
