"""A batch of an import: stored in one transaction, or told which document is in the way."""

import pytest

from tenancy.exceptions import AlreadyExists, PayloadTooLarge, PlanLimitReached
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.importing import DocumentRefused
from tenancy.mongo.limited import LimitedCollection

pytestmark = pytest.mark.needs_mongod


@pytest.fixture
def told():
    return []


@pytest.fixture
def documents(address, told):
    return TenantCollection(
        address, "main", by="user:1", max_bytes=1_000, on_change=lambda *change: told.append(change)
    )


def store(documents, *batch, replace=False, refused=None, **options):
    def work():
        return documents.store_batch(batch, replace=replace, refused=refused or {}, **options)

    return documents.in_transaction(work)


@pytest.mark.everywhere
def test_each_document_is_new_replaced_or_refused(documents, behind, address, told):
    store(documents, {"_id": 1, "a": 1}, {"_id": 2})
    told.clear()

    refused = store(documents, {"_id": 1}, {"_id": 3, "x": "x" * 1_000}, {"_id": 4}, {"n": 1})
    replaced = store(documents, {"_id": 1, "b": 22}, {"_id": 5}, replace=True)

    assert [type(each) for each in refused] == [AlreadyExists, PayloadTooLarge, bool, bool]
    assert replaced == [False, True]
    rows = {row["_id"]: row for row in behind.stored(address).find()}
    assert len(rows) == 5
    assert (rows[1]["b"], rows[1]["_meta"]["rev"], "a" in rows[1]) == (22, 2, False)
    assert [documents for documents, _ in told] == [2, 1]
    assert sum(size for _, size in told) == told[0][1] + told[1][1] > 0


def test_the_first_refused_document_is_the_last_outcome_where_that_stops_all(
    documents, behind, address
):
    outcomes = store(documents, {"_id": 1}, {"_id": 2, "x": "x" * 1_000}, {"_id": 3}, stop=True)

    assert [type(each) for each in outcomes] == [bool, PayloadTooLarge]
    assert [row["_id"] for row in behind.stored(address).find()] == [1]


def test_a_document_that_a_unique_index_refuses_is_named_and_nothing_is_stored(
    documents, behind, address, told
):
    behind.stored(address).create_index("email", unique=True, sparse=True)
    batch = [{"_id": 1, "email": "a"}, {"_id": 2}, {"_id": 3, "email": "a"}, {"_id": 4}]

    with pytest.raises(DocumentRefused) as caught:
        store(documents, *batch)
    before = behind.stored(address).find()
    again = store(documents, *batch, refused={2: caught.value.reason})

    assert caught.value.position == 2
    assert [error.pointer for error in caught.value.reason.errors] == ["/email"]
    assert before == []
    assert [each is True for each in again] == [True, True, False, True]
    assert [documents for documents, _ in told] == [3]


def test_a_dry_run_sees_what_is_taken_and_stores_nothing(documents, behind, address, told):
    store(documents, {"_id": 1})
    told.clear()

    outcomes = documents.store_batch(
        [{"_id": 1}, {"_id": 2}], replace=False, refused={}, dry_run=True
    )

    assert [type(each) for each in outcomes] == [AlreadyExists, bool]
    assert len(behind.stored(address).find()) == 1
    assert told == []


def test_no_more_is_stored_than_there_is_room_for(address, behind):
    def assert_room(documents, size):
        if documents > 2:
            raise PlanLimitReached

    limited = LimitedCollection(
        address, "main", by="user:1", max_bytes=1_000, assert_room=assert_room
    )

    with pytest.raises(PlanLimitReached):
        store(limited, {"_id": 1}, {"_id": 2}, {"_id": 3})
    assert behind.stored(address).find() == []
    assert store(limited, {"_id": 1}, {"_id": 2}) == [True, True]
