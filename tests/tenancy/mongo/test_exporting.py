"""A snapshot: every document of one moment, once, in `_id` order, or an error."""

import pytest
from bson import ObjectId

from tenancy.exceptions import StalePlacement, TenancyError
from tenancy.mongo import exporting
from tenancy.mongo.exporting import Snapshot

pytestmark = pytest.mark.needs_mongod

IDS = [None, 1, 2.5, 3, "a", "b", ObjectId(), False, True]


@pytest.fixture
def snapshot(address, monkeypatch):
    monkeypatch.setattr(exporting, "FIRST_DOCUMENTS", 2)
    monkeypatch.setattr(exporting, "BATCH_DOCUMENTS", 2)
    snapshot = Snapshot(address, "main")
    yield snapshot
    snapshot.close()


def read_all(snapshot):
    found = []
    while not snapshot.is_at_end:
        found += snapshot.read_some()
    return found


@pytest.mark.everywhere
def test_ids_of_all_types_come_once_and_in_order(snapshot, behind, address):
    stored = behind.stored(address)
    stored.insert_many([{"_id": each, "n": number} for number, each in enumerate(IDS)][::-1])

    found = read_all(snapshot)

    assert [document["n"] for document in found] == list(range(len(IDS)))
    assert [repr(document["_id"]) for document in found] == [repr(each) for each in IDS]
    assert found[0]["_meta"] == {"rev": 0}


@pytest.mark.everywhere
def test_what_is_written_after_the_first_read_is_not_seen(snapshot, behind, address):
    stored = behind.stored(address)
    stored.insert_many([{"_id": number} for number in range(0, 20, 2)])

    found = snapshot.read_some()
    stored.insert_many([{"_id": number} for number in range(1, 20, 2)])
    stored.collection.delete_many({**stored._query({"_id": {"$gte": 10}})})
    found += read_all(snapshot)

    assert [document["_id"] for document in found] == list(range(0, 20, 2))


def test_a_filter_chooses(address, behind):
    behind.stored(address).insert_many([{"_id": number, "n": number % 3} for number in range(9)])

    found = read_all(Snapshot(address, "main", {"n": 1}))

    assert [document["_id"] for document in found] == [1, 4, 7]


def test_large_documents_come_few_at_a_time(address, behind, monkeypatch):
    monkeypatch.setattr(exporting, "BATCH_BYTES", 100_000)
    text = "x" * 50_000
    behind.stored(address).insert_many([{"_id": number, "t": text} for number in range(10)])
    snapshot = Snapshot(address, "main")
    snapshot._fitting = 3

    sizes = []
    while not snapshot.is_at_end:
        sizes.append(len(snapshot.read_some()))

    assert sum(sizes) == 10
    assert max(sizes[1:]) <= 2


@pytest.mark.parametrize("happens", ["rename", "drop", "fence", "another in its place"])
def test_a_collection_that_goes_away_is_never_an_end(snapshot, behind, address, happens):
    collection = behind.stored(address).collection
    behind.stored(address).insert_many([{"_id": number} for number in range(10)])
    snapshot.read_some()

    if happens == "drop":
        collection.drop()
    else:
        collection.rename("elsewhere")
    if happens == "fence":
        collection.database.command("create", collection.name, viewOn="elsewhere", pipeline=[])
    if happens == "another in its place":
        collection.insert_one({"_id": 99})

    with pytest.raises(TenancyError) as caught:
        read_all(snapshot)
    assert caught.value.code == StalePlacement.code
