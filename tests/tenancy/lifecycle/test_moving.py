"""Moves: every kind to every kind, under writers; refusals, cancelling, undoing, taking over."""

import random
import threading
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from tenancy import lifecycle, operations
from tenancy.access import with_collection
from tenancy.exceptions import (
    Conflict,
    DocumentNotFound,
    OperationCancelled,
    PlacementUnsupported,
    ValidationFailed,
)
from tenancy.models import AuditEvent, Cluster, Operation, Organization, Placement
from tenancy.mongo import copying, provisioning
from tenancy.mongo.indexes import IndexSpec, list_indexes
from tests.conftest import ACTOR

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


# Between two calls of a client: each calls a hundred times a second, and the move has a core, too.
PAUSE_SECONDS = 0.006


class Clients:
    """Threads that write, read and remember what was acknowledged."""

    def __init__(self, organization_id: Any, count: int = 4) -> None:
        self.organization_id = organization_id
        self.expected: dict[Any, int | None] = {}
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(count)]

    def call(self, do):
        return with_collection(self.organization_id, "main", do, by=ACTOR)

    def _work(self, worker: int) -> None:
        from django.db import connection

        chance = random.Random(worker)
        try:
            while not self._stop.is_set():
                self._step(chance, worker)
        except Exception as error:  # noqa: BLE001 -- the test shows it
            self.wrong.append(repr(error))
        finally:
            connection.close()

    def _step(self, chance: random.Random, worker: int) -> None:
        key = f"{worker}-{chance.randrange(300)}"
        known = self.expected.get(key)
        if known is not None and chance.random() < 0.15:
            self.call(lambda documents: documents.delete(key))
            self.expected[key] = None
        elif chance.random() < 0.5:
            n = chance.randrange(10**6)
            self.call(lambda documents: documents.replace(key, {"n": n}))
            self.expected[key] = n
        else:
            self._look(key, known)
        self._stop.wait(PAUSE_SECONDS)

    def _look(self, key: str, known: int | None) -> None:
        try:
            found = self.call(lambda documents: documents.get(key))["n"]
        except DocumentNotFound:
            found = None
        if found != known:
            self.wrong.append(f"{key}: {found} instead of {known}")

    @contextmanager
    def working(self):
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def check(self) -> None:
        """Compare what is there with what was acknowledged."""
        found = {
            document["_id"]: document["n"]
            for document in self.call(lambda documents: documents.list_page(limit=1000)).documents
            if isinstance(document["_id"], str)
        }
        assert self.wrong == []
        assert found == {key: n for key, n in self.expected.items() if n is not None}


def fill(organization_id, count=2500):
    rows = [{"_id": n, "n": n, "s": str(n % 7)} for n in range(count)]
    for place in range(0, count, 500):  # each within the shortened deadline
        some = rows[place : place + 500]
        with_collection(
            organization_id, "main", lambda each, some=some: each.insert_many(some), by=ACTOR
        )


def place(organization_id):
    row = Placement.objects.select_related("cluster").get(organization=organization_id)
    return row.kind, row.cluster.alias


@pytest.mark.parametrize("naming", ["name", "id"], indirect=True)
def test_a_round_trip_through_every_kind_loses_nothing(acme, second_cluster, naming):
    second = second_cluster.alias
    route = [
        ("shared", "default"), ("collection", "default"), ("database", "default"),
        ("cluster", second), ("shared", "default"), ("database", "default"),
        ("collection", "default"),
    ]  # fmt: skip
    clients = Clients(acme.id)

    with clients.working():
        for kind, cluster in route:
            lifecycle.move_organization(acme.id, kind, cluster=cluster, by=ACTOR)
            assert place(acme.id) == (kind, cluster)

    clients.check()
    moved = AuditEvent.objects.filter(organization=acme.id, action="organization.moved")
    assert moved.count() == len(route)
    assert Placement.objects.get(organization=acme.id).epoch == len(route) + 1
    assert Organization.objects.get(pk=acme.id).pause_from is None
    assert not Cluster.objects.filter(dedicated_to=acme.id).exists()


@pytest.mark.parametrize(
    "step", [("collection", "shared"), ("shared", "database"), ("database", "collection")]
)
def test_nothing_is_left_at_the_source(acme, globex, step):
    fill(globex.id)
    fill(acme.id)
    for kind in step:
        if place(acme.id)[0] != kind:
            source = lifecycle.plan_move(acme.id, kind).source
            lifecycle.move_organization(acme.id, kind, by=ACTOR)

    assert provisioning.list_namespace(source.address) == {}
    for cast in (acme, globex):
        count = with_collection(cast.id, "main", lambda documents: documents.count(), by=ACTOR)
        assert count == 2500


def test_definitions_of_indexes_survive_the_shared_collection(acme):
    spec = IndexSpec("s_1", (("s", 1),))
    lifecycle.declare_index(acme.id, "main", spec, by=ACTOR)
    fill(acme.id, 50)

    lifecycle.move_organization(acme.id, "shared", by=ACTOR)
    lifecycle.move_organization(acme.id, "database", by=ACTOR)

    target = lifecycle.plan_move(acme.id, "collection").source
    assert list_indexes(target.address, "main") == [spec]


def test_a_unique_index_does_not_get_lost_in_the_shared_collection(acme):
    spec = IndexSpec("s_1", (("s", 1),), unique=True)
    lifecycle.declare_index(acme.id, "main", spec, by=ACTOR)

    with pytest.raises(PlacementUnsupported, match="s_1"):
        lifecycle.move_organization(acme.id, "shared", by=ACTOR)

    assert place(acme.id)[0] == "collection"


def test_nobody_moves_to_where_it_is_or_out_of_its_region(acme, second_cluster):
    Organization.objects.filter(pk=acme.id).update(region="eu")
    Cluster.objects.filter(alias="second").update(region="us")

    with pytest.raises(Conflict, match="there already"):
        lifecycle.move_organization(acme.id, "collection", cluster="default", by=ACTOR)
    with pytest.raises(ValidationFailed, match="eu"):
        lifecycle.move_organization(acme.id, "collection", cluster="second", by=ACTOR)

    assert not Operation.objects.filter(kind="move").exists()


def test_a_plan_changes_nothing(acme, second_cluster):
    fill(acme.id, 100)
    before = (Operation.objects.count(), AuditEvent.objects.count())

    plan = lifecycle.plan_move(acme.id, "cluster", cluster="second")

    assert (plan.documents, plan.target.kind, plan.target.cluster) == (100, "cluster", "second")
    assert (Operation.objects.count(), AuditEvent.objects.count()) == before
    assert provisioning.list_namespace(plan.target.address) == {}


def test_documents_of_unknown_origin_at_the_target_are_not_touched(acme):
    target = lifecycle.plan_move(acme.id, "database").target
    provisioning.get_collection(target.address, "main").insert_one({"_id": "stray"})

    with pytest.raises(Conflict, match="check_tenants"):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert provisioning.has_documents(target.address, "main")
    assert place(acme.id)[0] == "collection"


@pytest.mark.parametrize("step", ["copying", "verifying"])
def test_cancelling_before_the_switch_leaves_everything_as_it_was(acme, monkeypatch, step):
    fill(acme.id)
    target = lifecycle.plan_move(acme.id, "shared").target
    method = {"copying": "copy_batches", "verifying": "compare"}[step]
    original = getattr(copying.Copy, method)

    def cancel_then(*arguments):
        operations.request_cancel(Operation.objects.get(kind="move").pk)
        yield from original(*arguments)

    monkeypatch.setattr(copying.Copy, method, cancel_then)
    with pytest.raises(OperationCancelled):
        lifecycle.move_organization(acme.id, "shared", by=ACTOR)

    assert Operation.objects.get(kind="move").status == "cancelled"
    assert provisioning.list_namespace(target.address) == {}
    source = lifecycle.plan_move(acme.id, "shared").source
    assert list(provisioning.list_namespace(source.address)) == ["main"]
    assert place(acme.id) == ("collection", "default")


def test_a_move_that_cannot_be_proven_goes_on_with_the_source(acme, monkeypatch):
    fill(acme.id)
    monkeypatch.setattr(copying.Copy, "prove", lambda copy: 1)
    monkeypatch.setattr(operations, "RETRY_DELAYS_SECONDS", (0, 0))

    with pytest.raises(Exception, match="differ"):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    row = Organization.objects.get(pk=acme.id)
    assert (row.pause_from, place(acme.id)[0]) == (None, "collection")
    assert Operation.objects.get(kind="move").status == "failed"
    assert with_collection(acme.id, "main", lambda documents: documents.count(), by=ACTOR) == 2500


def test_sums_of_neighbouring_places(acme, globex):
    """Two tenants move into the shared collection and out again: nobody takes another's along."""
    fill(acme.id, 1200)
    fill(globex.id, 700)
    for first, second in pairwise([acme, globex, acme]):
        for cast in (first, second):
            if place(cast.id)[0] != "shared":
                lifecycle.move_organization(cast.id, "shared", by=ACTOR)
    lifecycle.move_organization(acme.id, "collection", by=ACTOR)

    counts = [
        with_collection(cast.id, "main", lambda documents: documents.count(), by=ACTOR)
        for cast in (acme, globex)
    ]
    assert counts == [1200, 700]
