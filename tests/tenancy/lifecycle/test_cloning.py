"""Clones: everything but the people, beside writers; undone whole when they cannot be finished."""

import threading

import pytest

from accounts.models import Membership
from tenancy import lifecycle, operations
from tenancy.access import with_collection
from tenancy.exceptions import Conflict, NameTaken, PlacementUnsupported, TenancyError
from tenancy.lifecycle import cloning
from tenancy.models import Operation, Organization, Placement, SlugReservation
from tenancy.mongo import copying, provisioning
from tenancy.mongo.indexes import IndexSpec
from tests.conftest import ACTOR

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]
COUNT = 1500


def call(organization_id, do, collection="main"):
    return with_collection(organization_id, collection, do, by=ACTOR)


def fill(organization_id, collection="main", count=COUNT):
    rows = [{"_id": n, "n": n} for n in range(count)]
    for place in range(0, count, 500):  # each within the shortened deadline
        some = rows[place : place + 500]
        call(organization_id, lambda each, some=some: each.insert_many(some), collection)


@pytest.mark.parametrize("kind", ["shared", "collection", "database"])
def test_a_clone_has_everything_but_the_people(acme, kind):
    lifecycle.declare_collection(acme.id, "orders", by=ACTOR)
    spec = IndexSpec("n_1", (("n", 1),))
    lifecycle.declare_index(acme.id, "orders", spec, by=ACTOR)
    fill(acme.id)
    fill(acme.id, "orders", 20)

    clone = lifecycle.clone_organization(acme.id, "Staging", by=ACTOR, kind=kind)

    assert clone.placement.kind == kind
    assert call(clone.pk, lambda documents: documents.count()) == COUNT
    assert call(clone.pk, lambda documents: documents.count(), "orders") == 20
    assert lifecycle.declared_indexes(clone.pk) == {"orders": [spec]}
    assert not Membership.objects.filter(organization=clone).exists()


def test_a_clone_and_its_source_go_separate_ways(acme):
    fill(acme.id, count=3)
    clone = lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)

    call(clone.pk, lambda documents: documents.replace(1, {"n": "clone"}))
    call(acme.id, lambda documents: documents.delete(2))

    assert call(acme.id, lambda documents: documents.get(1))["n"] == 1
    assert call(clone.pk, lambda documents: documents.get(2))["n"] == 2
    assert provisioning.list_namespace(
        lifecycle.plan_move(acme.id, "shared").source.address
    ).keys() == {"main"}


def test_writes_during_the_copy_are_in_the_clone(acme, monkeypatch):
    fill(acme.id)
    original = copying.Copy.copy_batches

    def write_then(copy, *arguments):
        yield from original(copy, *arguments)
        call(acme.id, lambda documents: documents.replace(0, {"n": "late"}))
        call(acme.id, lambda documents: documents.delete(1))
        call(acme.id, lambda documents: documents.insert({"_id": "new"}))

    monkeypatch.setattr(copying.Copy, "copy_batches", write_then)
    clone = lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)

    assert call(clone.pk, lambda documents: documents.get(0))["n"] == "late"
    assert call(clone.pk, lambda documents: documents.count()) == COUNT


def test_two_clones_of_one_name_have_one_winner(acme):
    fill(acme.id, count=10)
    barrier, outcomes = threading.Barrier(2), []

    def clone():
        from django.db import connection

        barrier.wait()
        try:
            lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)
            outcomes.append("won")
        except TenancyError as error:
            outcomes.append(type(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=clone) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, outcomes)) == sorted(map(str, ["won", NameTaken]))
    assert Organization.objects.filter(slug="staging").count() == 1


def test_a_source_that_moves_meanwhile_spoils_the_clone(acme, monkeypatch):
    fill(acme.id)
    original = cloning._settle

    def move_then(run):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)
        original(run)

    steps = tuple(
        operations.Step("settle", move_then, final=step.final) if step.name == "settle" else step
        for step in cloning.CLONE.steps
    )
    kind = operations.Kind("clone", steps, undo=cloning.CLONE.undo, long=True)
    monkeypatch.setitem(operations.KINDS, "clone", kind)

    with pytest.raises(TenancyError):
        lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)

    assert not Organization.objects.filter(slug="staging").exists()
    assert not SlugReservation.objects.filter(slug="staging").exists()
    assert Placement.objects.get().kind == "database"
    assert call(acme.id, lambda documents: documents.count()) == COUNT


def test_a_clone_that_cannot_be_finished_leaves_nothing(acme, mongo, monkeypatch):
    fill(acme.id)

    def fail(*_):
        raise Conflict("It cannot be settled.")

    monkeypatch.setattr(cloning.CopyRun, "settle", fail)
    with pytest.raises(Conflict, match="settled"):
        lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)

    assert not Organization.objects.filter(slug="staging").exists()
    assert not [name for name in mongo.list_collection_names() if "staging" in name]
    assert Operation.objects.get(kind="clone").status == "failed"


def test_what_the_shared_collection_cannot_have_is_said_before(acme):
    spec = IndexSpec("n_1", (("n", 1),), unique=True)
    lifecycle.declare_index(acme.id, "main", spec, by=ACTOR)

    with pytest.raises(PlacementUnsupported):
        lifecycle.clone_organization(acme.id, "Staging", by=ACTOR, kind="shared")

    assert not Organization.objects.filter(slug="staging").exists()
