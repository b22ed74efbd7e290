"""Pages in any order lose nothing and repeat nothing, whatever the fields hold."""

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tenancy.exceptions import SortNeedsIndex
from tenancy.mongo import sorted_pages
from tenancy.mongo.array_indexes import forget_arrays
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.indexes import IndexSpec
from tenancy.mongo.sorted_pages import Selection
from tests.places import PLACES

pytestmark = pytest.mark.needs_mongod

MISSING = object()
VALUES = [
    *[MISSING, None, [], -1, 0, 1, 2, 2.0, 2.5, float("nan"), Decimal128("2"), "", "a", "b"],
    *[True, False, {}, {"b": 1}, {"b": []}, ObjectId("5" * 24), [1, 5], [None, 3], ["a", 0]],
    *[[[1, 2], [0]], [2, 2.0], datetime(2020, 1, 1, tzinfo=UTC), Binary(b"x"), [{"b": 2}, {}]],
]
PLAIN_VALUES = [value for value in VALUES if not isinstance(value, list)]
FIELDS = ("a", "b", "a.b")


@pytest.fixture(params=["collection-name", "shared"])
def place(request):
    return PLACES[request.param]


@pytest.fixture
def documents(address, tenant_data):
    return TenantCollection(address, "main", by="user:1", max_bytes=1_048_576)


class Behind:
    """What MongoDB has, with what these tests do to it."""

    def __init__(self, stored):
        self.find, self.insert_one, self.insert_many = (
            stored.find, stored.insert_one, stored.insert_many,
        )  # fmt: skip
        self.collection, self.is_own = stored.collection, stored._mine is None
        self.delete_all = lambda query=None: stored.collection.delete_many(
            stored._query(query or {})
        )


@pytest.fixture
def stored(address, tenant_data, behind):
    return Behind(behind.stored(address))


@contextmanager
def built(stored, indexes):
    for spec in indexes:
        stored.collection.create_index(list(spec.keys), name=spec.name)
    yield
    forget_arrays()
    for spec in indexes:
        stored.collection.drop_index(spec.name)


def name_of(keys):
    return "_".join(f"{field}_{by}" for field, by in keys)


def spec_of(keys, **options):
    return IndexSpec(name_of(keys), tuple(keys), **options)


def walk(documents, wanted, limit, indexes=(), between=lambda: None):
    """Return the documents of all pages; after each but the last, `between()` is called."""
    position, given_ = None, []
    while True:
        page = documents.page(wanted, limit=limit, position=position, indexes=indexes)
        assert len(page.documents) <= limit
        assert len(given_) < 500, "the walk does not end"
        given_ += page.documents
        if not page.has_more:
            return given_
        assert len(page.documents) == limit
        position = page.position
        between()


def ids(rows):
    return [row["_id"] for row in rows]


sorts = st.lists(
    st.tuples(st.sampled_from(FIELDS), st.sampled_from([1, -1])),
    min_size=1, max_size=2, unique_by=lambda key: key[0][0],
).map(tuple)  # fmt: skip
cases = st.fixed_dictionaries(
    {
        "rows": st.lists(
            st.fixed_dictionaries(
                {"a": st.sampled_from(VALUES), "b": st.sampled_from(PLAIN_VALUES)}
            ),
            max_size=24,
        ),
        "changes": st.lists(st.sampled_from(VALUES), max_size=5),
        "sort": sorts,
        "limit": st.integers(1, 7),
        "fields": st.sampled_from([None, {"still": 1, "_meta": 1}, {"a": 0}]),
        "way": st.sampled_from([0, 1, -1]),  # without an index, along one, along one in reverse
        "tie": st.sampled_from([1, -1]),
    }
)


def filled(row):
    return {key: value for key, value in row.items() if value is not MISSING}


@pytest.fixture
def kept_in_mind(monkeypatch):
    """What is known of the arrays in an index is out of date: it had met none."""
    monkeypatch.setattr(sorted_pages, "fields_with_arrays", lambda *_: frozenset())


def test_an_index_that_has_just_met_an_array_gives_each_document_once(
    documents, stored, kept_in_mind
):
    stored.insert_many([{"_id": n, "a": [n, 9 - n] if n % 2 else n} for n in range(9)])
    specs = [spec_of([("a", by), ("_id", by)]) for by in (1, -1)]

    with built(stored, specs):
        for by in (1, -1):
            wanted = Selection(sort=(("a", by),))
            found = walk(documents, wanted, 2, specs)
            expected = stored.find({}, sort=[("a", by), ("_id", by)])
            assert [row["_id"] for row in found] == [row["_id"] for row in expected]


def test_an_index_that_is_not_built_is_not_missed(documents, stored):
    stored.insert_many([{"_id": n, "a": -n} for n in range(5)])
    specs = [spec_of([("a", 1), ("_id", 1)]), spec_of([("b", 1), ("_id", 1)])]

    for wanted in (
        Selection(sort=(("a", 1),)),
        Selection({"b": None}, {"b": "x"}, sort=()),
    ):
        assert len(walk(documents, wanted, 2, specs)) == 5


def test_too_many_documents_for_a_sort_name_the_index_that_is_needed(
    documents, stored, monkeypatch
):
    monkeypatch.setattr(sorted_pages, "SORT_MAX_DOCUMENTS", 4)
    stored.insert_many([{"_id": n, "a": -n, "b": "x"} for n in range(5)])
    wanted = Selection({"b": "x"}, {"b": "x"}, (("a", -1),))

    with pytest.raises(SortNeedsIndex) as caught:
        documents.page(wanted, limit=2)

    assert caught.value.extra == {"index": {"keys": [["b", 1], ["a", -1], ["_id", -1]]}}
    assert ("operator" in caught.value.hint) != stored.is_own


@given(case=cases)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
def test_a_walk_gives_every_undisturbed_document_once_and_in_the_order_of_the_server(
    documents, stored, case
):
    stored.delete_all()
    rows = [{"_id": n, "still": True, **filled(row)} for n, row in enumerate(case["rows"])]
    stored.insert_many([*rows, {"_id": 99}])
    sort, way = case["sort"], case["way"]
    keys = [*[(field, by * (way or 1)) for field, by in sort], ("_id", case["tie"])]
    indexes = [spec_of(keys)] if way else []
    changes = iter(enumerate(case["changes"], start=100))

    def disturb():
        for number, value in changes:
            stored.delete_all({"still": {"$exists": False}})
            stored.insert_one({"_id": number, **filled({"a": value})})
            return

    with built(stored, indexes):
        wanted = Selection(sort=sort, fields=case["fields"])
        found = walk(documents, wanted, case["limit"], indexes, disturb)

    tie = case["tie"] * (way or 1) if way and stored.is_own else sort[-1][1]
    expected = stored.find({"still": True}, sort=[*sort, ("_id", tie)])
    assert [row["_id"] for row in found if row.get("still")] == [row["_id"] for row in expected]
