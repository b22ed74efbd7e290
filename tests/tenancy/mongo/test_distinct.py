"""Distinct values are those that MongoDB's own `distinct` finds, whatever the fields hold."""

import pytest
from bson import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenancy.mongo.documents import TenantCollection
from tests.places import PLACES

pytestmark = pytest.mark.needs_mongod

NAMES = ("a", "b", "0", "1", "00", "1b")
DOCUMENT = {
    "a": [10, 20],
    "m": [[1, 2], {"b": 3}],
    "p": [{"q": [{"r": 1}]}],
    "e": [[{"b": 5}]],
    "0": {"1": [None, 7], "00": 8},
}
EXPECTED = {
    "a": [10, 20],
    "a.0": [10],
    "a.2": [],
    "a.00": [],
    "a.2147483648": [],
    "a.99999999999999999999": [],
    "m": [{"b": 3}, [1, 2]],
    "m.b": [3],
    "m.1.b": [3],
    "m.0": [1, 2],
    "m.0.1": [2],
    "p.q.r": [1],
    "p.0.q.0.r": [1],
    "p.q.0.r": [1],
    "e.b": [],
    "e.0.b": [5],
    "0.1": [None, 7],
    "0.1.1": [7],
    "0.00": [8],
    "a.b.c": [],
    "nothing.0": [],
}
scalars = st.sampled_from([None, 0, 1, 2.5, "x", True])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(".".join)


@pytest.fixture(params=["collection-name", "shared"])
def place(request):
    return PLACES[request.param]


@pytest.fixture
def documents(address, tenant_data):
    return TenantCollection(address, "main", by="user:1", max_bytes=1_048_576)


@pytest.fixture
def stored(address, tenant_data, behind):
    return behind.stored(address)


def in_order(found):
    """Return values of any types in an order of their own; MongoDB gives them in its own."""
    return sorted(encode({"v": each}) for each in found)


def test_distinct_values_are_found_through_arrays_and_by_their_places(documents):
    documents.insert({"_id": 1, **DOCUMENT})

    found = {path: documents.distinct(path, {}) for path in EXPECTED}

    assert found == EXPECTED


def test_what_is_expected_is_what_mongodb_finds(stored):
    stored.insert_one({"_id": 1, **DOCUMENT})

    found = {path: in_order(stored.collection.distinct(path)) for path in EXPECTED}

    assert found == {path: in_order(values) for path, values in EXPECTED.items()}


def test_an_id_has_fields_too(documents, stored):
    stored.insert_one({"_id": {"a": [1, {"b": 2}], "k": {"0": 3}}})

    paths = {"_id.a": [1, {"b": 2}], "_id.a.b": [2], "_id.a.0": [1], "_id.k.0": [3], "_id.c": []}
    assert {path: documents.distinct(path, {}) for path in paths} == paths


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(objects, min_size=1, max_size=3), st.lists(paths, min_size=1, max_size=6))
def test_distinct_values_are_those_of_mongodb(documents, stored, each, asked):
    stored.collection.delete_many({"mine": True})
    stored.insert_many(
        {"_id": f"n{number}", "mine": True, **row} for number, row in enumerate(each)
    )

    for path in asked:
        expected = stored.collection.distinct(path, {"mine": True})
        assert in_order(documents.distinct(path, {"mine": True})) == in_order(expected), (
            each,
            path,
        )
