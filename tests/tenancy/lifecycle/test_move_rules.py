"""What a move refuses: before it is begun, or when things change before it ends."""

import os
from contextlib import suppress

import pytest

from tenancy import lifecycle, operations
from tenancy.exceptions import Conflict, OperationRunning, PlacementUnsupported, TenancyError
from tenancy.lifecycle import cloning, moving
from tenancy.lifecycle.clusters import ClusterTraits, add_cluster, get_cluster, remove_cluster
from tenancy.lifecycle.copies import CopyRun
from tenancy.lifecycle.plans import transfer_organization
from tenancy.models import AuditEvent, Cluster, Operation, Organization, Placement, Plan
from tenancy.mongo import copying, inventory
from tenancy.mongo.indexes import IndexSpec
from tests.conftest import ACTOR
from tests.environment import SECOND_URI
from tests.moves import address_of, count_of, fill, last_move, live_at, place_of, run_due

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


def move(cast, kind, cluster=None):
    return lifecycle.move_organization(cast.id, kind, cluster=cluster, by=ACTOR)


def begin(cast, kind, cluster=None):
    """Begin a move that nobody goes on with yet."""
    return moving.begin_move(cast.id, kind, cluster=cluster, by=ACTOR, leased=False)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What is refused is refused at the first attempt."""
    monkeypatch.setattr(operations, "RETRY_DELAYS_SECONDS", ())


@pytest.fixture
def meanwhile(monkeypatch):
    """Call with what happens once a target was chosen, and before the move is written."""
    own = moving.choose_target

    def install(happens):
        def choose_then(*arguments):
            target = own(*arguments)
            monkeypatch.setattr(moving, "choose_target", own)
            happens()
            return target

        monkeypatch.setattr(moving, "choose_target", choose_then)

    return install


# --- one place under two descriptions


@pytest.mark.parametrize(("kind", "other"), [("database", "cluster"), ("cluster", "database")])
def test_a_database_becomes_no_cluster_of_its_own_where_it_is(acme, second_cluster, kind, other):
    live_at(acme.id, kind, "second")

    with pytest.raises(Conflict, match="there already"):
        move(acme, other, "second")

    assert not Operation.objects.filter(kind="move").exists()
    assert place_of(acme.id) == (kind, "second")


def test_two_aliases_of_one_deployment_are_one_place(acme, second_cluster):
    add_cluster("third", os.environ[SECOND_URI], ClusterTraits(database="other"), by=ACTOR)
    live_at(acme.id, "database", "second")
    before = inventory.find_uuid(address_of(acme.id), "main")

    with pytest.raises(Conflict):
        move(acme, "database", "third")

    assert last_move().status == "failed"
    assert place_of(acme.id) == ("database", "second")
    assert inventory.find_uuid(address_of(acme.id), "main") == before is not None


# --- what no collection of an organization can be called


@pytest.mark.parametrize(
    ("kind", "name"),
    [("database", "Invoices"), ("database", "fs.files"), ("collection", "fs.files")],
)
def test_what_cannot_be_taken_along_is_named_and_stays(acme, behind, kind, name):
    target = {"database": "collection", "collection": "database"}[kind]
    if kind == "database":
        live_at(acme.id, kind)
    source = address_of(acme.id)
    foreign = behind.first[source.database][source.physical(name)]
    foreign.insert_one({"_id": 1})

    with pytest.raises(Conflict, match=name):
        move(acme, target)

    assert last_move().status == "failed"
    assert place_of(acme.id) == (kind, "default")
    assert foreign.count_documents({}) == 1


def test_a_view_that_somebody_made_is_named_and_stays(acme, behind):
    live_at(acme.id, "database")
    database = behind.first[address_of(acme.id).database]
    database.create_collection("Recent", viewOn="main")

    with pytest.raises(Conflict, match="Recent"):
        move(acme, "collection")

    assert "Recent" in database.list_collection_names()


# --- what changes between the choice and the begin


def test_a_unique_index_declared_meanwhile_keeps_it_out_of_the_shared_collection(acme, meanwhile):
    spec = IndexSpec("n_1", (("n", 1),), unique=True)
    meanwhile(lambda: lifecycle.declare_index(acme.id, "main", spec, by=ACTOR))

    with pytest.raises(PlacementUnsupported, match="n_1"):
        move(acme, "shared")

    assert not Operation.objects.filter(kind="move").exists()


def test_a_rename_meanwhile_means_to_plan_again(acme, meanwhile):
    live_at(acme.id, "database")
    meanwhile(lambda: lifecycle.rename_organization(acme.id, "Beta", by=ACTOR))

    with pytest.raises(OperationRunning):
        move(acme, "collection")

    assert not Operation.objects.filter(kind="move").exists()


# --- what changes between the begin and the switch


def test_a_cluster_that_became_anothers_own_is_not_moved_to(acme, globex, second_cluster):
    fill(acme.id)
    begin(acme, "database", "second")
    Cluster.objects.filter(alias="second").update(dedicated_to=globex.id)

    run_due(1)

    assert (last_move().status, place_of(acme.id)) == ("failed", ("collection", "default"))
    assert "own" in last_move().error
    assert count_of(acme.id) == 50


def test_nobody_is_moved_out_of_a_region_that_holds_by_now(acme, second_cluster):
    Cluster.objects.filter(alias="second").update(region="us")
    fill(acme.id)
    begin(acme, "collection", "second")
    Organization.objects.filter(pk=acme.id).update(region="eu")

    run_due(1)

    assert (last_move().status, place_of(acme.id)) == ("failed", ("collection", "default"))
    assert "eu" in last_move().error
    assert count_of(acme.id) == 50


@pytest.mark.parametrize("moves", [True, False])
def test_no_plan_changes_beside_a_move(acme, second_cluster, moves):
    Cluster.objects.filter(alias="second").update(region="us")
    Cluster.objects.filter(alias="default").update(region="eu")
    plan = Plan.objects.create(code="european", region="eu", default_kind="collection")
    begin(acme, "collection", "second")

    with pytest.raises(OperationRunning):
        transfer_organization(acme.id, plan, by=ACTOR, move=moves)

    row = Organization.objects.get(pk=acme.id)
    assert (row.plan.code, row.region) == (Plan.DEFAULT, "")
    assert not AuditEvent.objects.filter(action="organization.transferred").exists()


# --- clusters that go


def test_a_cluster_that_somebody_is_on_the_way_to_stays(acme, second_cluster):
    begin(acme, "collection", "second")

    with pytest.raises(Conflict, match="second"):
        remove_cluster(get_cluster("second"), by=ACTOR)

    assert Cluster.objects.filter(alias="second").exists()


def test_a_cluster_stays_until_late_writes_to_it_were_looked_for(acme, second_cluster, monkeypatch):
    live_at(acme.id, "collection", "second")
    late, refused = copying.Copy.catch_late, []

    def remove_and_look(*arguments, **options):
        with pytest.raises(Conflict) as caught:
            remove_cluster(get_cluster("second"), by=ACTOR)
        refused.append(caught.value)
        return late(*arguments, **options)

    monkeypatch.setattr(copying.Copy, "catch_late", remove_and_look)
    move(acme, "collection", "default")

    assert refused
    remove_cluster(get_cluster("second"), by=ACTOR)


def test_a_cluster_stays_while_a_clone_is_taken_from_it(acme, second_cluster):
    live_at(acme.id, "database", "second")
    cloning.begin_clone(acme.id, "Staging", by=ACTOR)
    Placement.objects.update(cluster=Cluster.objects.get(alias="default"))

    with pytest.raises(Conflict, match="second"):
        remove_cluster(get_cluster("second"), by=ACTOR)


def test_a_move_ends_though_its_target_is_gone(acme, second_cluster, monkeypatch):
    fill(acme.id)
    own = CopyRun.copy_all

    def copy_and_lose(copy):
        own(copy)
        Cluster.objects.filter(alias="second").delete()

    monkeypatch.setattr(CopyRun, "copy_all", copy_and_lose)
    with suppress(TenancyError, Cluster.DoesNotExist):
        move(acme, "collection", "second")
    run_due()

    assert last_move().status == "failed"
    assert place_of(acme.id) == ("collection", "default")
    assert Organization.objects.get(pk=acme.id).pause_from is None
    assert count_of(acme.id) == 50


def test_a_move_ends_though_its_source_is_gone(acme, second_cluster, monkeypatch):
    live_at(acme.id, "collection", "second")
    fill(acme.id)
    late = copying.Copy.catch_late

    def lose(*arguments, **options):
        Cluster.objects.filter(alias="second").delete()
        return late(*arguments, **options)

    monkeypatch.setattr(copying.Copy, "catch_late", lose)
    with suppress(TenancyError):
        move(acme, "collection", "default")
    run_due()

    assert (last_move().status, last_move().blocking) == ("succeeded", False)
    assert place_of(acme.id) == ("collection", "default")
    assert count_of(acme.id) == 50
