"""Late writes where an organization lived before are carried home, whatever happens meanwhile."""

import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from bson.datetime_ms import DatetimeMS
from django.db import connection

from tenancy import catalog, lifecycle
from tenancy.access import with_collection
from tenancy.doctor import carrying
from tenancy.doctor.repairs import attempt_repair
from tenancy.exceptions import DocumentNotFound
from tenancy.journal import begin_operation
from tenancy.lifecycle.moving import MOVE
from tenancy.mongo.strays import StrayCollection
from tests.conftest import ACTOR
from tests.tenancy.doctor.checking import check, codes, finish_everything, left_alone, mended

pytestmark = pytest.mark.needs_mongod

CODES = {
    "shared": "stray_documents",
    "collection": "stray_collection",
    "database": "stray_database",
    "cluster": "stray_database",
}
MOVES = [
    ("shared", "collection"), ("shared", "database"), ("collection", "shared"),
    ("collection", "database"), ("database", "collection"), ("database", "cluster"),
    ("cluster", "shared"),
]  # fmt: skip


def now_ms():
    return DatetimeMS(time.time_ns() // 1_000_000)


def late(key, n=1, at=None):
    """Return a document as a process writes it that slept through a move."""
    at = at or now_ms()
    meta = {"rev": 1, "created_at": at, "updated_at": at, "by": ACTOR}
    return {"_id": key, "n": n, "_meta": meta}


def move(cast, kind):
    cluster = "second" if kind == "cluster" else "default"
    lifecycle.move_organization(cast.id, kind, cluster=cluster, by=ACTOR)
    finish_everything()


def at_home(cast):
    """Return what its users see: n by _id."""
    catalog.clear_cache()

    def read(collection):
        return collection.list_page(limit=1000).documents

    return {row["_id"]: row["n"] for row in with_collection(cast.id, "main", read, by=ACTOR)}


def write(cast, key, n):
    with_collection(cast.id, "main", lambda each: each.replace(key, {"n": n}), by=ACTOR)


@pytest.fixture
def moved(request, acme, behind, second_cluster):
    """Return acme, which has moved, and what MongoDB has where it lived before."""
    before, kind = getattr(request, "param", ("database", "collection"))
    if before != "collection":
        move(acme, before)
    write(acme, "kept", 0)
    acme.organization.refresh_from_db()
    old = behind.stored(catalog.address_of(acme.organization.placement))
    if before == "cluster":
        old = type(old)(behind.second, catalog.address_of(acme.organization.placement))
    move(acme, kind)
    acme.before = before
    return acme, old


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_parts_of_any_size_carry_everything(moved, monkeypatch, settings, seconds):
    settings.TENANCY_OPERATION_TIMEOUT = 5.0  # for all of the large part
    monkeypatch.setattr(carrying, "PART_SECONDS", seconds)
    acme, old = moved
    old.insert_many([late(n, n) for n in range(120)])

    mended("stray_database")

    assert at_home(acme) == {"kept": 0} | {n: n for n in range(120)}


@pytest.mark.parametrize("moved", MOVES, indirect=True, ids="-".join)
def test_late_writes_are_carried_home_from_every_kind_to_every_kind(moved):
    acme, old = moved
    assert codes() == []
    old.insert_many([late(f"late {n}", n) for n in range(250)])

    mended(CODES[acme.before])

    assert at_home(acme) == {"kept": 0} | {f"late {n}": n for n in range(250)}
    assert old.find() == []


@pytest.mark.parametrize("moved", [("shared", "database"), ("database", "shared")], indirect=True)
def test_of_two_writes_the_later_one_stays(moved):
    acme, old = moved
    old.insert_many([late("kept", 1), late("lost", 1)])
    time.sleep(0.01)
    write(acme, "kept", 2)
    write(acme, "lost", 3)
    with_collection(acme.id, "main", lambda each: each.delete("lost"), by=ACTOR)

    assert codes(repair=True) == [(CODES[acme.before], True)]

    assert at_home(acme) == {"kept": 2, "lost": 1}
    assert old.find() == []


@pytest.mark.parametrize("moved", [("shared", "database"), ("database", "shared")], indirect=True)
def test_what_went_along_and_was_deleted_since_does_not_come_back(moved):
    acme, old = moved
    long_ago = DatetimeMS(int(now_ms()) - 3_600_000)
    old.insert_many([late("deleted since", 1, long_ago), late("late", 2)])

    reason = left_alone(CODES[acme.before], repairable=True)

    assert reason.startswith("1 of its documents were there when the organization left")
    assert at_home(acme) == {"kept": 0, "late": 2}
    assert [row["_id"] for row in old.find()] == ["deleted since"]


@pytest.mark.parametrize("moved", [("shared", "database"), ("database", "shared")], indirect=True)
def test_what_changes_while_it_is_carried_is_carried_again(moved, monkeypatch):
    acme, old = moved
    old.insert_one(late("late", 1))
    carry = StrayCollection.carry

    def carry_and_change(self, document):
        carry(self, document)
        monkeypatch.setattr(StrayCollection, "carry", carry)
        time.sleep(0.002)
        old.collection.update_one({}, {"$set": {"n": 2, "_meta.updated_at": now_ms()}})

    monkeypatch.setattr(StrayCollection, "carry", carry_and_change)

    assert codes(repair=True) == [(CODES[acme.before], True)]

    assert at_home(acme) == {"kept": 0, "late": 2}


@pytest.mark.parametrize("moved", [("shared", "database"), ("database", "shared")], indirect=True)
def test_nothing_is_lost_beside_writers_on_both_sides(moved):
    acme, old = moved
    written, stop = {}, threading.Event()

    def straggle(n):
        old.insert_one(late(f"straggler {n}", n))
        written[f"straggler {n}"] = n

    def work(n):
        write(acme, f"user {n % 20}", n)
        written[f"user {n % 20}"] = n

    with repeating(straggle, stop), repeating(work, stop):
        for _ in range(3):
            check(repair=True)
        stop.set()
    check(repair=True)

    assert codes() == []
    assert at_home(acme) == {"kept": 0} | written
    assert len(written) > 10


@contextmanager
def repeating(act, stop):
    """Act again and again beside the block, until that is enough."""

    def run():
        n = 0
        while not stop.wait(0.01):
            n += 1
            act(n)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_an_operation_that_begins_meanwhile_goes_first(moved):
    acme, old = moved
    old.insert_one(late("late"))
    (finding,) = check().findings
    begin_operation(MOVE, acme.organization, {"epoch": 0}, by=ACTOR)

    tried = attempt_repair(finding, by=ACTOR)

    assert not tried.repaired
    assert [row["_id"] for row in old.find()] == ["late"]
    assert codes() == []  # what an operation is at is not wrong
    with pytest.raises(DocumentNotFound):
        with_collection(acme.id, "main", lambda each: each.get("late"), by=ACTOR)


def test_the_row_is_held_while_documents_are_carried(moved, monkeypatch):
    _, old = moved
    old.insert_one(late("late"))
    held = []
    monkeypatch.setattr(
        carrying, "fail_point", lambda name: held.append((name, connection.in_atomic_block))
    )

    check(repair=True)

    assert held == [
        ("repair.carried", True), ("repair.removed", True), ("repair.emptied", False),
    ]  # fmt: skip


def test_the_home_is_never_taken_for_a_stray_place(moved):
    """Even when another alias leads there: MongoDB knows its collections."""
    acme, _old = moved
    acme.organization.refresh_from_db()
    home = catalog.address_of(acme.organization.placement)
    alias = replace(home, cluster="second", uri=f"{home.uri}&appName=alias")

    assert carrying._is_same(alias, "main", home, "main")
    assert not carrying._is_same(alias, "notes", home, "main")


@pytest.mark.parametrize("moved", [("shared", "database"), ("database", "shared")], indirect=True)
def test_a_stray_place_that_has_become_the_home_is_left_alone(moved):
    acme, old = moved
    old.insert_one(late("late"))
    (finding,) = check().findings
    old.collection.delete_many({"_id": "late"} if old._mine is None else {"_id.k": "late"})
    move(acme, acme.before)

    tried = attempt_repair(finding, by=ACTOR)

    assert (tried.repaired, tried.reason) == (False, "The organization lives there.")
    assert at_home(acme) == {"kept": 0}


def test_a_stray_place_with_nothing_in_it_is_removed(moved):
    _, old = moved
    old.collection.database.create_collection("main")

    mended("stray_database")

    assert old.collection.database.list_collection_names() == []


def test_late_writes_to_a_collection_that_is_gone_bring_it_back(moved):
    acme, old = moved
    old.collection.database["notes"].insert_one(late("late"))

    found = check(repair=True).findings

    assert [(each.code, each.repaired) for each in found] == [
        ("stray_database", True), ("undeclared_collection", True),
    ]  # fmt: skip
    notes = with_collection(acme.id, "notes", lambda each: each.get("late"), by=ACTOR)
    assert notes["n"] == 1


def test_what_was_set_aside_in_a_database_is_carried_home(moved):
    acme, old = moved
    old.collection.database["main.~stray"].insert_one(late("late"))

    mended("leftover_aside")

    assert at_home(acme) == {"kept": 0, "late": 1}
    assert old.collection.database.list_collection_names() == []
