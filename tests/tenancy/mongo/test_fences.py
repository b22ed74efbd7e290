"""Collections are created, moved, fenced, rescued and dropped; every call may be repeated."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo.errors import OperationFailure

from tenancy.exceptions import StalePlacement, TenantBusy, Unavailable
from tenancy.mongo import fences
from tenancy.mongo.clients import call_deadline
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.fences import (
    STRAY_SUFFIX,
    drop_fence,
    fence_collection,
    move_collection,
    rescue_stragglers,
    return_collection,
)
from tenancy.mongo.provisioning import (
    create_collection,
    drop_empty,
    drop_namespace,
    has_documents,
    list_namespace,
)

pytestmark = pytest.mark.needs_mongod

OLD, NEW = "org_acme", "org_umbrella"


def names(data):
    return sorted(name for name in data.list_collection_names() if not name.startswith("system."))


def is_view(data, name):
    return next(data.list_collections(filter={"name": name}))["type"] == "view"


def documents_at(address, namespace=OLD):
    return TenantCollection(address.at(namespace), "main", by="user:1", max_bytes=1_048_576)


@pytest.fixture
def moved(address, tenant_data):
    """A collection of five documents, moved from OLD to NEW; nothing is at OLD."""
    for n in range(5):
        documents_at(address).insert({"_id": n, "n": n})
    move_collection(address, OLD, NEW)
    return tenant_data


@pytest.fixture
def fenced(address, moved):
    assert fence_collection(address, OLD, NEW) == 0
    return moved


# --- create


def test_create_may_be_repeated_and_keeps_the_documents(address, tenant_data):
    create_collection(address, "main")
    tenant_data[OLD].insert_one({"_id": 1})

    create_collection(address, "main")

    assert names(tenant_data) == [OLD]
    assert tenant_data[OLD].count_documents({}) == 1


def test_twenty_creators_of_one_name_all_succeed(address, tenant_data):
    barrier = threading.Barrier(20)

    def create(_):
        barrier.wait(timeout=10)
        create_collection(address, "orders")

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(create, range(20)))

    assert names(tenant_data) == ["org_acme.orders"]


def test_create_where_a_fence_stands_leaves_the_fence(address, fenced):
    create_collection(address, "main")

    assert is_view(fenced, OLD)


# --- move


def test_a_move_keeps_documents_and_indexes(address, tenant_data):
    tenant_data[OLD].insert_many([{"_id": n, "n": n} for n in range(10)])
    tenant_data[OLD].create_index("n", unique=True, name="by_n")

    move_collection(address, OLD, NEW)

    assert names(tenant_data) == [NEW]
    assert tenant_data[NEW].count_documents({}) == 10
    assert tenant_data[NEW].index_information()["by_n"]["unique"]


def test_a_move_may_be_repeated(address, moved):
    move_collection(address, OLD, NEW)

    assert names(moved) == [NEW]
    assert moved[NEW].count_documents({}) == 5


def test_a_move_may_be_repeated_after_the_fence(address, fenced):
    move_collection(address, OLD, NEW)

    assert is_view(fenced, OLD)
    assert fenced[NEW].count_documents({}) == 5


def test_a_move_back_takes_the_fence_away(address, fenced):
    move_collection(address, NEW, OLD)

    assert names(fenced) == [OLD]
    assert fenced[OLD].count_documents({}) == 5


def test_a_repeated_move_carries_what_a_straggler_has_put_at_the_old_name(address, moved):
    documents_at(address).insert({"_id": "late"})

    move_collection(address, OLD, NEW)

    assert names(moved) == [NEW]
    assert moved[NEW].count_documents({}) == 6


def test_a_move_of_nothing_makes_nothing(address, tenant_data):
    move_collection(address, OLD, NEW)

    assert names(tenant_data) == []


def test_a_return_takes_the_fence_away_and_keeps_the_documents(address, fenced):
    return_collection(address, OLD, NEW)

    assert names(fenced) == [OLD]
    assert fenced[OLD].count_documents({}) == 5


def test_a_return_may_be_repeated_and_carries_stragglers(address, moved):
    documents_at(address).insert({"_id": "late"})

    for _ in range(2):
        return_collection(address, OLD, NEW)

    assert names(moved) == [OLD]
    assert moved[OLD].count_documents({}) == 6


# --- fence


def test_reads_pass_a_fence(address, fenced):
    stale = documents_at(address)

    assert stale.get(3)["n"] == 3
    assert [row["_id"] for row in stale.list_page(limit=9).documents] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "call",
    [
        lambda stale: stale.insert({"_id": 9}),
        lambda stale: stale.insert({"_id": 3}),
        lambda stale: stale.insert_many([{"_id": 3}, {"_id": 9}]),
        lambda stale: stale.create(9, {}),
        lambda stale: stale.replace(3, {"n": 0}),
        lambda stale: stale.replace(9, {"n": 0}),
        lambda stale: stale.patch(3, {"n": 0}),
        lambda stale: stale.delete(3),
        lambda stale: stale.delete(9),
        lambda stale: stale.list_page(limit=2, after=1),  # `min` needs the index itself
    ],
    ids=[
        "insert",
        "insert-taken",
        "insert-many",
        "create",
        "replace",
        "upsert",
        "patch",
        "delete",
        "delete-missing",
        "page",
    ],
)
def test_a_fence_refuses_what_must_not_happen_at_the_old_name(address, fenced, call):
    with pytest.raises(StalePlacement):
        call(documents_at(address))

    assert [row["n"] for row in fenced[NEW].find()] == [0, 1, 2, 3, 4]


def test_a_fence_may_be_put_up_twice(address, fenced):
    assert fence_collection(address, OLD, NEW) == 0

    assert is_view(fenced, OLD)
    assert documents_at(address).get(3)["n"] == 3


def test_a_fence_carries_over_what_came_before_it(address, moved):
    documents_at(address).insert({"_id": "late"})

    assert fence_collection(address, OLD, NEW) == 1

    assert is_view(moved, OLD)
    assert documents_at(address).get("late")["_meta"]["rev"] == 1


def test_a_fence_stands_in_the_end_however_often_stragglers_come(address, moved, monkeypatch):
    create_view, late = fences._create_view, iter(range(3))

    def after_a_straggler(*arguments):
        for n in late:
            documents_at(address).insert({"_id": f"late{n}"})
            break
        return create_view(*arguments)

    monkeypatch.setattr(fences, "_create_view", after_a_straggler)

    assert fence_collection(address, OLD, NEW) == 3
    assert moved[NEW].count_documents({}) == 8
    assert is_view(moved, OLD)


def test_a_fence_that_never_stands_gives_up(address, moved, monkeypatch):
    monkeypatch.setattr(fences, "FENCE_ATTEMPTS", 3)
    monkeypatch.setattr(fences, "_create_view", lambda *arguments: False)

    with pytest.raises(TenantBusy):
        fence_collection(address, OLD, NEW)


@pytest.mark.parametrize("victim", [NEW, "org_missing"])
def test_drop_fence_never_drops_a_real_collection(address, fenced, victim):
    assert not drop_fence(address, victim)

    assert fenced[NEW].count_documents({}) == 5


def test_drop_fence_drops_the_fence_alone(address, fenced):
    assert drop_fence(address, OLD)
    assert not drop_fence(address, OLD)

    assert names(fenced) == [NEW]
    assert fenced[NEW].count_documents({}) == 5


# --- stragglers


def test_a_stragglers_insert_is_carried_over_as_it_is(address, moved):
    fields = {
        "price": Decimal128("1.10"), "uuid": Binary(b"x" * 16, 4), "long": Int64(1), "text": "$n",
        "list": [ObjectId(), {"b": 1, "a": None}],
    }  # fmt: skip
    acknowledged = documents_at(address).insert({"_id": "late", **fields})

    assert rescue_stragglers(address, OLD, NEW) == 1

    assert documents_at(address, NEW).get("late") == acknowledged
    assert moved[NEW].find_one({"_id": "late"})["_meta"]["by"] == "user:1"
    assert names(moved) == [NEW]


def test_the_later_write_wins_and_continues_the_revision(address, moved):
    documents_at(address, NEW).replace(3, {"n": "second"})
    documents_at(address).replace(3, {"late": True})

    rescue_stragglers(address, OLD, NEW)

    document = documents_at(address, NEW).get(3)
    assert document["late"]
    assert "n" not in document
    assert document["_meta"]["rev"] == 3


def test_nothing_to_rescue_changes_nothing(address, moved):
    assert rescue_stragglers(address, OLD, NEW) == 0

    assert names(moved) == [NEW]
    assert {row["_meta"]["rev"] for row in moved[NEW].find()} == {1}


def test_a_rescue_that_was_cut_short_may_be_repeated(address, moved, monkeypatch):
    for document_id in ("a", 3, "z"):
        documents_at(address).replace(document_id, {"late": True})
    carry, carried = fences.carry_document, []

    def die_at_the_third(target, stray, **how):
        if len(carried) == 2:
            raise SystemExit
        carried.append(stray["_id"])
        carry(target, stray, **how)

    monkeypatch.setattr(fences, "carry_document", die_at_the_third)
    with pytest.raises(SystemExit):
        rescue_stragglers(address, OLD, NEW)
    monkeypatch.undo()

    assert rescue_stragglers(address, OLD, NEW) == 3

    assert names(moved) == [NEW]
    late = {row["_id"]: row["_meta"]["rev"] for row in moved[NEW].find({"late": True})}
    assert late == {"a": 1, 3: 2, "z": 1}


def test_a_write_after_a_cut_rescue_is_not_undone_by_its_repeat(address, moved, monkeypatch):
    documents_at(address).replace(3, {"late": 1})
    with monkeypatch.context() as patched:
        patched.setattr(
            fences, "carry_document", lambda *_, **__: (_ for _ in ()).throw(SystemExit)
        )
        with pytest.raises(SystemExit):
            rescue_stragglers(address, OLD, NEW)
    documents_at(address).replace(3, {"late": 2})  # a new stray beside the one put aside

    assert rescue_stragglers(address, OLD, NEW) == 2

    document = documents_at(address, NEW).get(3)
    assert (document["late"], document["_meta"]["rev"]) == (2, 3)


def test_a_later_write_at_the_new_name_is_not_undone_by_a_stray(address, moved):
    documents_at(address).replace(3, {"from": "straggler"})
    time.sleep(0.002)  # revisions are told apart by the millisecond
    documents_at(address, NEW).replace(3, {"from": "client"})

    rescue_stragglers(address, OLD, NEW)

    assert documents_at(address, NEW).get(3)["from"] == "client"
    assert names(moved) == [NEW]


def test_a_rescue_repeated_after_a_clients_write_leaves_it(address, moved, monkeypatch):
    documents_at(address).replace(3, {"from": "straggler"})
    with monkeypatch.context() as patched:
        drop = Mock(side_effect=SystemExit)
        patched.setattr("pymongo.database.Database.drop_collection", drop)
        with pytest.raises(SystemExit):
            rescue_stragglers(address, OLD, NEW)
    time.sleep(0.002)
    documents_at(address, NEW).replace(3, {"from": "client"})

    rescue_stragglers(address, OLD, NEW)

    assert documents_at(address, NEW).get(3)["from"] == "client"


def test_during_a_pause_the_stray_is_the_last_write_whatever_its_clock_said(address, moved):
    documents_at(address, NEW).replace(3, {"from": "client"})
    ahead = {"rev": 1, "updated_at": DatetimeMS(0), "by": "user:slow-clock"}
    moved[OLD].insert_one({"_id": 3, "from": "straggler", "_meta": ahead})

    rescue_stragglers(address, OLD, NEW, overrule=True)

    assert documents_at(address, NEW).get(3)["from"] == "straggler"


def test_a_fence_is_not_dropped_by_a_process_that_slept_since_it_looked(
    address, fenced, monkeypatch, settings
):
    settings.TENANCY_OPERATION_TIMEOUT = 0.3
    look = fences._find_view_source

    def look_and_sleep(*place):
        found = look(*place)
        time.sleep(0.4)
        return found

    monkeypatch.setattr(fences, "_find_view_source", look_and_sleep)
    with pytest.raises(Unavailable), call_deadline():
        drop_fence(address, OLD)

    assert look(address, OLD) == NEW


def test_a_stray_without_metadata_gets_a_revision(address, moved):
    moved[OLD].insert_many([{"_id": 3, "late": True}, {"_id": "new"}])

    rescue_stragglers(address, OLD, NEW)

    found = {row["_id"]: row["_meta"] for row in moved[NEW].find({"_id": {"$in": [3, "new"]}})}
    assert (found[3]["rev"], found["new"]["rev"]) == (2, 1)


def test_indexes_survive_a_rescue(address, moved):
    moved[NEW].create_index("n", name="by_n")
    documents_at(address).insert({"_id": "late"})

    rescue_stragglers(address, OLD, NEW)

    assert "by_n" in moved[NEW].index_information()


# --- namespaces that share a prefix

NEIGHBOURS = ["org_acme2", "org_acme_b", "org_acm", "org_acmex.main", "org_acme_b.x"]


@pytest.fixture
def street(tenant_data):
    """acme's collections among others whose names begin like its own."""
    for name in (OLD, "org_acme.x", "org_acme.y-z", *NEIGHBOURS):
        tenant_data[name].insert_one({"_id": name})
    return tenant_data


def test_a_namespace_is_its_name_and_what_follows_a_dot(address, street):
    found = list_namespace(address)

    assert {logical: physical.name for logical, physical in found.items()} == {
        "main": OLD, "x": "org_acme.x", "y-z": "org_acme.y-z",
    }  # fmt: skip


@pytest.mark.parametrize("drop", [drop_namespace, drop_empty])
def test_dropping_a_namespace_leaves_its_neighbours(address, street, drop):
    for name in (OLD, "org_acme.x", "org_acme.y-z"):
        street[name].delete_many({})

    drop(address)

    assert names(street) == sorted(NEIGHBOURS)
    assert all(street[name].count_documents({}) == 1 for name in NEIGHBOURS)


def test_dropping_a_shorter_namespace_leaves_the_longer_ones(address, street):
    drop_namespace(address.at("org_acm"))

    assert "org_acm" not in names(street)
    assert len(names(street)) == 7


def test_has_documents_looks_at_one_collection_of_one_namespace(address, street):
    street[OLD].delete_many({})

    assert not has_documents(address, "main")
    assert not has_documents(address, "never")
    assert has_documents(address, "x")


def test_dropping_takes_documents_fences_and_strays(address, tenant_data):
    tenant_data[OLD].insert_one({"_id": 1})
    tenant_data["org_acme.x" + STRAY_SUFFIX].insert_one({"_id": 1})
    tenant_data[OLD + STRAY_SUFFIX].insert_one({"_id": 1})
    tenant_data[NEW].insert_one({"_id": 1})
    tenant_data.create_collection("org_acme.orders", viewOn=NEW)

    assert drop_namespace(address) == 4

    assert names(tenant_data) == [NEW]
    assert tenant_data[NEW].count_documents({}) == 1
    assert drop_namespace(address) == 0


def test_drop_empty_keeps_every_document(address, tenant_data):
    tenant_data.create_collection(OLD)
    tenant_data["org_acme.x"].insert_one({"_id": 1})
    tenant_data.create_collection("org_acme.fence", viewOn="org_acme.x")

    drop_empty(address)

    assert names(tenant_data) == ["org_acme.x"]


def test_a_move_onto_foreign_documents_overwrites_none(address, tenant_data):
    tenant_data[OLD].insert_one({"_id": 1})
    tenant_data[NEW].insert_one({"_id": 2})

    move_collection(address, OLD, NEW)

    assert sorted(row["_id"] for row in tenant_data[NEW].find()) == [1, 2]


def test_the_server_itself_refuses_writes_at_a_fence(fenced):
    with pytest.raises(OperationFailure) as caught:
        fenced[OLD].insert_one({"_id": "late"})

    assert caught.value.code == 166
