"""What is refused before anything begins, and what no patience mends."""

import time

import pytest

from tenancy import lifecycle
from tenancy.access import with_collection
from tenancy.exceptions import Conflict, PlacementUnsupported, ValidationFailed
from tenancy.lifecycle.clusters import ClusterTraits, add_cluster, change_cluster
from tenancy.models import Cluster, Operation, Organization
from tenancy.mongo.indexes import IndexSpec, drop_index
from tests.conftest import ACTOR

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


@pytest.mark.parametrize("name", ["_id_", "*"])
def test_no_index_takes_a_name_that_is_not_its_own(acme, name):
    with pytest.raises(ValidationFailed) as refused:
        lifecycle.declare_index(acme.id, "main", IndexSpec(name, (("a", 1),)), by=ACTOR)

    assert [error.pointer for error in refused.value.errors] == ["/name"]
    assert lifecycle.declared_indexes(acme.id) == {}


def test_the_index_of_ids_is_left_alone(acme):
    address = lifecycle.plan_move(acme.id, "database").source.address

    drop_index(address, "main", "_id_")


def test_a_cluster_with_others_is_nobodys_own_already_in_the_plan(acme, globex, second_cluster):
    lifecycle.move_organization(globex.id, "shared", cluster="second", by=ACTOR)

    for alias in ("second", "default"):
        with pytest.raises(ValidationFailed, match=alias):
            lifecycle.plan_move(acme.id, "cluster", cluster=alias)


def test_what_is_being_deleted_is_not_planned_to_move(acme):
    lifecycle.delete_organization(acme.id, by=ACTOR)

    with pytest.raises(Conflict, match="deleting"):
        lifecycle.plan_move(acme.id, "database")


def test_a_cluster_stays_its_organizations_own_while_that_lives_there(acme, second_cluster):
    lifecycle.move_organization(acme.id, "cluster", cluster="second", by=ACTOR)
    row = Cluster.objects.get(alias="second")

    with pytest.raises(ValidationFailed, match="own"):
        change_cluster(row, ClusterTraits(), by=ACTOR)

    assert Cluster.objects.get(alias="second").dedicated_to_id == acme.id


@pytest.mark.parametrize(
    "traits", [{"region": "eu"}, {"dedicated_to": True}], ids=["region", "dedication"]
)
def test_one_deployment_has_one_region_and_is_not_shared_and_dedicated(
    acme, second_cluster, traits
):
    from tenancy import catalog

    uri, _ = catalog.cluster_address(second_cluster)
    if "dedicated_to" in traits:
        traits = {"dedicated_to": Organization.objects.get(pk=acme.id)}

    with pytest.raises(ValidationFailed, match="second"):
        add_cluster("third", uri, ClusterTraits(database="other", **traits), by=ACTOR)

    assert not Cluster.objects.filter(alias="third").exists()


def test_documents_that_are_against_an_index_end_a_move_at_once_and_say_so(acme):
    lifecycle.move_organization(acme.id, "shared", by=ACTOR)
    spec = IndexSpec("a_b", (("a", 1), ("b", 1)))
    lifecycle.declare_index(acme.id, "main", spec, by=ACTOR)
    arrays = {"_id": 1, "a": [1, 2], "b": [3, 4]}
    with_collection(acme.id, "main", lambda each: each.insert(arrays), by=ACTOR)
    began = time.monotonic()

    with pytest.raises(PlacementUnsupported, match="a_b"):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert time.monotonic() - began < 20  # the patience for outages would take longer
    assert Operation.objects.filter(kind="move", status="failed").count() == 1
