"""Capacity plans against what a server has: nothing is split that cannot be, nothing overflows
without a word.
"""

import itertools

import pytest

from tenancy.capacity import DISK, FILES, MEMORY, Demand, plan_capacity
from tenancy.capacity_rules import MEASURED, MIB, estimate, rule

pytestmark = pytest.mark.once

# Many kinds of organizations: some that share a server by the thousand, some that fit none.
DEMANDS = [
    Demand(tenants, tenants * documents, document_bytes, indexes=indexes)
    for tenants, documents, document_bytes, indexes in itertools.product(
        (1, 2, 3, 7, 100, 4_999, 5_001, 60_000, 1_000_000),
        (1, 300, 20_000, 150_000, 1_000_000),
        (1, 1_000, 100_000, 16 * MIB),
        (0, 1, 63),
    )
]


def overflowing(plan):
    return {name for name in (FILES, MEMORY, DISK) if plan.shares[name] > 1}


def warned_of_size(plan):
    return {name for name, word in ((MEMORY, "of memory"), (DISK, "of disk"))
            if any(word in each for each in plan.warnings)}  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        Demand(1, 1_200_000_000, document_bytes=100),
        Demand(1, 2_000_000_000, document_bytes=1, indexes=63),
    ],
)
def test_an_organization_is_not_spread_over_clusters(asked):
    plan = plan_capacity(asked)

    assert (plan.kind, plan.clusters) == ("cluster", 1)
    assert plan.memory_mib * MIB > asked.working_set_each > rule("memory_per_server")
    assert warned_of_size(plan)


def test_no_plan_has_more_clusters_than_organizations_or_organizations_than_room():
    for asked in DEMANDS:
        plan = plan_capacity(asked)

        assert plan.clusters <= asked.tenants
        assert plan.clusters * plan.tenants_per_cluster >= asked.tenants
        assert plan.tenants_per_cluster == 1 or not overflowing(plan), asked
        assert warned_of_size(plan) == overflowing(plan), asked


def test_large_organizations_are_never_sent_to_the_shared_collection():
    kinds = {plan_capacity(each).kind for each in DEMANDS
             if each.data_bytes_each >= rule("large_tenant_bytes")}  # fmt: skip

    assert kinds == {"database", "cluster"}


def test_what_fits_no_server_is_a_warning_that_says_what_to_do():
    plan = plan_capacity(Demand(3, 10**12))

    memory, disk = (each for each in plan.warnings if "Extrapolated" not in each)
    assert memory.startswith("An organization takes 70,781 GiB of memory, and a server has 64 GiB")
    assert disk.startswith("An organization takes 540,168 GiB of disk, and a server has 1,024 GiB")
    assert all("larger servers, or a sharded cluster of its own" in each for each in (memory, disk))


def test_one_organization_that_fits_no_server_has_no_one_machine_for_sqlite():
    assert plan_capacity(Demand(1, 10**12)).catalog == "PostgreSQL"
    assert plan_capacity(Demand(1, 10**6)).catalog == "SQLite"


def test_memory_of_mongod_itself_is_counted_in_what_a_server_has_room_for():
    for documents in range(1_000_000, 1_400_000, 10_000):
        plan = plan_capacity(Demand(20_000, 20_000 * documents, document_bytes=100))

        assert plan.shares[MEMORY] <= 1
        assert plan.memory_mib * MIB <= rule("memory_per_server") + MIB


def test_sizes_are_those_of_the_fullest_cluster():
    asked = Demand(3, 3 * 10**6, document_bytes=200_000)
    plan = plan_capacity(asked)

    assert (plan.clusters, plan.tenants_per_cluster) == (2, 2)
    assert plan.disk_mib * MIB >= 2 * asked.disk_each
    assert plan.memory_mib * MIB >= 2 * asked.working_set_each


def test_check_tenants_looks_at_one_cluster_after_another():
    plan = plan_capacity(Demand(8_000, 8_000 * 20_000, indexes=1))

    assert plan.kind == "collection"
    assert plan.check_s == 3 * estimate("collection", plan.tenants_per_cluster).doctor_s


def test_more_clusters_than_were_measured_are_said_whatever_the_kind():
    plan = plan_capacity(Demand(6_000, 6_000 * 90_000, document_bytes=10**6))

    assert (plan.kind, plan.clusters, plan.tenants_per_cluster) == ("database", 1_200, 5)
    assert "Extrapolated: 1,200 clusters; 8 were measured." in plan.warnings


def test_a_check_of_clusters_grows_by_the_measured_cost_of_one():
    few, many, more = (
        plan_capacity(Demand(n, n * 10**7, document_bytes=10**5)) for n in (8, 80, 8_000)
    )

    assert few.kind == many.kind == more.kind == "cluster"
    most = MEASURED["cluster"][-1]
    each = most.doctor_s / most.tenants
    assert few.check_s == most.doctor_s
    assert many.check_s == pytest.approx(80 * each)
    assert more.check_s == pytest.approx(8_000 * each)
