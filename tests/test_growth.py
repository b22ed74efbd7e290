"""What is measured about growth is the product, and what the benchmark prints is there."""

import os
from types import SimpleNamespace

import pytest
from django.conf import settings

from benchmarks import growth_stage, tenant_growth_rows, tenant_population
from tenancy import access
from tenancy.doctor import check_tenants
from tenancy.models import Cluster, Placement
from tests.environment import SECOND_URI

pytestmark = [pytest.mark.xdist_group("growth"), pytest.mark.needs_mongod, pytest.mark.once]

BY = "command:test"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["shared", "collection", "database"])
def test_a_quick_population_is_what_the_product_would_have_left(mongo, settings, behind, kind):
    settings.TENANCY_NAMING = "name"

    made = tenant_population.populate(kind, range(3))

    try:
        found = check_tenants(by=BY)
        # Tests that run beside this one have databases on the same server.
        warnings = [each for each in found.warnings if each.code != "orphan_database"]
        assert (found.organizations, found.findings, warnings) == (3, [], [])
        for organization in made:
            document = access.with_collection(
                organization.pk, "main", lambda each: each.get("d"), by=BY
            )
            assert document["_meta"]["rev"] == 1
            assert document | {"_meta": 0} == tenant_population.DOCUMENT | {"_meta": 0}
    finally:
        behind.clear()


@pytest.mark.django_db(transaction=True)
def test_a_population_goes_on_where_it_stopped_and_stops_in_time(mongo):
    first = tenant_population.populate("shared", range(2))
    second = tenant_population.populate("shared", range(2, 4))
    late = tenant_population.populate("shared", range(4, 6), seconds=-1.0)

    assert [each.slug for each in [*first, *second]] == [f"organization-{n}" for n in range(4)]
    assert late == []
    assert Placement.objects.count() == 4


def test_rows_of_the_benchmark_are_like_beside_like():
    figures = tenant_growth_rows.rows(
        {"kinds": ("shared",), "sizes": (20, 30), "seconds": 0.05, "rounds": 2}
    )

    assert [row["row"] for row in figures] == [
        f"{what} among {size} shared tenants / among 10"
        for size in (20, 30)
        for what in ("read", "first read")
    ]
    for row in figures:
        least, greatest = row["spread"]
        assert 0 < least <= row["ratio"] <= greatest
        assert row["bar"] == tenant_growth_rows.BARS["shared"]
        assert len(row["p50_ms"]) == 2


@pytest.mark.django_db(transaction=True)
def test_a_population_goes_on_at_the_server_that_has_room(mongo, second_client, tmp_path):
    started = SimpleNamespace(uri=os.environ[SECOND_URI])
    growing = growth_stage.Growing("collection", None, {}, tmp_path, lambda name: started)
    try:
        assert growing.add_server()
        Cluster.objects.filter(alias=Cluster.DEFAULT).update(ceiling=1)

        made = tenant_population.populate("collection", range(3))

        places = Placement.objects.filter(organization__in=made).select_related("cluster")
        assert [each.cluster.alias for each in places] == ["more-1"] * 3
        assert growth_stage.room_for("collection")[0] > 0
        assert growing.servers == [None, started]
    finally:
        second_client.drop_database(settings.TENANCY_DATABASE)


def test_no_more_servers_are_started_than_a_machine_bears(tmp_path):
    growing = growth_stage.Growing("collection", None, {}, tmp_path, pytest.fail)
    growing.servers *= growth_stage.SERVERS_MAX

    assert not growing.add_server()
