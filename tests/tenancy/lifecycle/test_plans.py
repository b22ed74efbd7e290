"""Transfers to another plan, and what a purge removes after moves."""

import pytest

from tenancy import lifecycle
from tenancy.access import with_collection
from tenancy.exceptions import ClusterFull, PlanLimitReached, ValidationFailed
from tenancy.lifecycle.places import places_of
from tenancy.models import Cluster, Operation, Organization, Placement, Plan
from tenancy.mongo import provisioning
from tests.conftest import ACTOR

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


def plan(**fields):
    return Plan.objects.create(code="enterprise", **fields)


def test_a_transfer_moves_to_where_the_plan_places(acme):
    done = lifecycle.transfer_organization(
        acme.id, plan(default_kind="database"), by=ACTOR, leased=True
    )
    assert done.move is not None

    from tenancy.operations import run_inline

    run_inline(done.move)

    assert Placement.objects.get(organization=acme.id).kind == "database"
    assert Organization.objects.get(pk=acme.id).plan.code == "enterprise"


def test_a_transfer_may_leave_the_data_where_it_is(acme):
    done = lifecycle.transfer_organization(
        acme.id, plan(default_kind="database"), by=ACTOR, move=False
    )

    assert (done.before, done.after, done.move) == ("standard", "enterprise", None)
    assert not Operation.objects.filter(kind="move").exists()


def test_a_plan_of_another_region_takes_the_data_there_or_is_refused(acme, second_cluster):
    Cluster.objects.filter(pk=second_cluster.pk).update(region="eu")
    european = plan(default_kind="collection", region="eu")

    with pytest.raises(ValidationFailed, match="eu"):
        lifecycle.transfer_organization(acme.id, european, by=ACTOR, move=False)
    assert Organization.objects.get(pk=acme.id).plan.code == "standard"

    done = lifecycle.transfer_organization(acme.id, european, by=ACTOR)

    assert done.move.params["target"]["cluster"] == "second"
    assert Organization.objects.get(pk=acme.id).region == "eu"


def test_a_region_without_a_cluster_changes_nothing(acme):
    with pytest.raises((ClusterFull, ValidationFailed)):
        lifecycle.transfer_organization(acme.id, plan(region="mars"), by=ACTOR)

    row = Organization.objects.get(pk=acme.id)
    assert (row.plan.code, row.region) == ("standard", "")


def test_nobody_gets_a_plan_that_is_too_small(acme):
    lifecycle.declare_collection(acme.id, "orders", by=ACTOR)

    with pytest.raises(PlanLimitReached, match="collections"):
        lifecycle.transfer_organization(acme.id, plan(max_collections=1), by=ACTOR)

    assert Organization.objects.get(pk=acme.id).plan.code == "standard"


def test_a_purge_looks_everywhere_the_organization_has_been(acme, globex, second_cluster):
    for kind, cluster in [("cluster", "second"), ("shared", "default"), ("database", "default")]:
        lifecycle.move_organization(acme.id, kind, cluster=cluster, by=ACTOR)
    places = places_of(Organization.objects.get(pk=acme.id))
    for place in places:  # what processes that slept may have written where it was
        provisioning.get_collection(place.address, "main")
        from tenancy.mongo.raw_collections import RawCollection

        RawCollection(place.address, "main").write_mark("stray")

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)

    assert {place.kind for place in places} == {"shared", "collection", "database", "cluster"}
    for place in places:
        assert provisioning.list_namespace(place.address) == {}
    with_collection(globex.id, "main", lambda documents: documents.count(), by=ACTOR)
