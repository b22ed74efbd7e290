"""Where a clone may go, and what it takes along."""

import pytest

from tenancy import lifecycle
from tenancy.exceptions import ClusterFull, ValidationFailed
from tenancy.lifecycle import capacity
from tenancy.models import Cluster, Organization
from tenancy.mongo.cluster_probe import Load
from tests.conftest import ACTOR
from tests.moves import fill, ids_of

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


def test_a_clone_needs_room_for_all_that_it_takes_along(acme, monkeypatch):
    for name in ("a", "b", "c"):
        lifecycle.declare_collection(acme.id, name, by=ACTOR)
    monkeypatch.setattr(capacity, "measure_load", lambda uri: Load(0, 0))
    capacity.forget_loads()
    Cluster.objects.filter(alias="default").update(ceiling=6)  # four collections, four indexes

    with pytest.raises(ClusterFull):
        lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)

    assert not Organization.objects.filter(slug="staging").exists()
    Cluster.objects.filter(alias="default").update(ceiling=8)
    capacity.forget_loads()
    lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)


def test_a_clone_has_nothing_that_is_not_declared(acme, behind):
    fill(acme.id, 3)
    behind.stored_of(acme.organization, "dropped").insert_one({"_id": "late"})

    clone = lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)

    assert ids_of(clone.pk) == {0, 1, 2}
    assert not behind.names_of(clone, "dropped") & behind.physical_names()
    lifecycle.declare_collection(clone.pk, "dropped", by=ACTOR)
    assert ids_of(clone.pk, "dropped") == set()


def test_a_clone_stays_in_the_region_that_its_source_is_bound_to(acme, second_cluster):
    Cluster.objects.filter(alias="default").update(region="eu")
    Cluster.objects.filter(alias="second").update(region="us")
    Organization.objects.filter(pk=acme.id).update(region="eu")

    with pytest.raises(ValidationFailed, match="eu"):
        lifecycle.clone_organization(acme.id, "Staging", by=ACTOR, region="us")

    assert not Organization.objects.filter(slug="staging").exists()
