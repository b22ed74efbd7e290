"""What a query cannot be answered for is said in the words of the query."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from tenancy.exceptions import (
    ClusterUnavailable,
    Defect,
    InvalidQuery,
    QueryTimeout,
    QueryTooComplex,
)
from tenancy.mongo.query_errors import query_errors, sort_errors

MEANING = [
    # an expression that is being computed hears of no deadline: the answer just does not come
    (NetworkTimeout("timed out"), QueryTimeout),
    (AutoReconnect("connection closed"), ClusterUnavailable),
    (ServerSelectionTimeoutError("none"), ClusterUnavailable),
    (OperationFailure("BufBuilder attempted to grow() to 67108868 bytes", 13548), QueryTooComplex),
    (OperationFailure("document constructed by $facet is too large", 4031700), QueryTooComplex),
    *[(OperationFailure("memory", code), QueryTooComplex) for code in (146, 292, 10334)],
    *[(OperationFailure("of one place", code), InvalidQuery) for code in (10_065, 12_000, 16_702)],
    *[(OperationFailure("of the server", code), Defect) for code in (11601, 14031)],
]


def test_every_error_of_a_query_has_its_meaning():
    for error, meaning in MEANING:
        with pytest.raises(meaning) as raised, query_errors():
            raise error
        assert type(raised.value) is meaning, error


def test_only_a_sort_that_is_not_possible_is_pointed_at():
    parallel = OperationFailure("cannot sort with keys that are parallel arrays", 2)

    for error, errors, pointers in (
        (parallel, sort_errors, ["/sort"]),
        (parallel, query_errors, []),
        (OperationFailure("an argument of $mod", 2), sort_errors, []),
    ):
        with pytest.raises(InvalidQuery) as raised, errors():
            raise error
        assert [each.pointer for each in raised.value.errors] == pointers, error


def test_the_guard_of_the_cluster_still_learns_that_no_answer_came():
    with pytest.raises(QueryTimeout) as raised, query_errors():
        raise NetworkTimeout("timed out")

    assert isinstance(raised.value.__cause__, ConnectionFailure)
