"""Capacity plans: which kind for whom, what is counted, and what was not measured is said."""

import itertools
import math
import re
from pathlib import Path

import pytest

from config.machine import THREADS
from tenancy.capacity import BOUNDS, Demand, choose_kind, plan_capacity
from tenancy.capacity_rules import GIB, MEASURED, MIB, RULES, estimate, largest_measured, rule
from tenancy.mongo.clients import pool_size
from tenancy.names import KINDS

pytestmark = pytest.mark.once

# Of the driver, for each server: one waits for news of it, one measures how far it is.
WATCHING = 2
PERFORMANCE = Path(__file__).parents[2] / "docs" / "performance.md"


def demand(tenants=100, documents=10_000, **more):
    return Demand(tenants, documents, **more)


@pytest.mark.parametrize(
    ("asked", "kind", "word"),
    [
        (demand(), "collection", "one server does well"),
        (demand(5_000, 5_000), "collection", "10,000 files"),
        (demand(5_001, 5_001), "shared", "10,002 files"),
        (demand(2_000, 2_000, indexes=4), "shared", "12,000 files"),
        (demand(10, 10 * 1_000_000, document_bytes=2_000), "database", "removed as one"),
        (demand(10, 10 * 10**6, document_bytes=10**6), "cluster", "deployment of its own"),
        (demand(8_000, 8_000 * 20_000, indexes=1), "collection", "need indexes"),
        (
            demand(8_000, 8_000 * 100_001, document_bytes=1),
            "collection",
            "too large for the shared",
        ),
        (demand(8_000, 8_000 * 200_000), "collection", "2,668 files on each of the 6 clusters"),
        (demand(6_000, 6_000 * 90_000, document_bytes=10**6), "database", "removed as one"),
        (demand(6_000, 6_000 * 5_000, document_bytes=10**5), "collection", "the data needs"),
        (demand(100_000, 10**9, document_bytes=1_000), "shared", "on each of the 4 clusters"),
        (demand(1, 1_200_000_000, document_bytes=100), "cluster", "more than half of a server"),
        (demand(1, 2 * 10**9, document_bytes=1, indexes=63), "cluster", "more than half of a"),
    ],
)
def test_kind_is_the_one_for_such_tenants_and_says_why(asked, kind, word):
    chosen, why = choose_kind(asked)

    assert chosen == kind
    assert word in why


def test_collections_are_spread_over_as_many_clusters_as_their_files_need():
    plan = plan_capacity(demand(8_000, 8_000 * 20_000, indexes=1))

    assert plan.clusters == math.ceil(8_000 * 3 / rule("files_per_server")) == 3
    assert plan.tenants_per_cluster == 2_667
    assert plan.files > 2_667 * 3


def test_shared_tenants_take_no_files_and_collections_two_and_one_for_each_index():
    few, many = (plan_capacity(demand(n, n * 10)).files for n in (6_000, 60_000))
    assert few == many

    without, with_two = (plan_capacity(demand(indexes=n)).files for n in (0, 2))
    assert with_two - without == 2 * 100


def test_open_files_stay_under_four_fifths_of_the_limit():
    plan = plan_capacity(demand(5_000, 5_000))

    assert plan.files <= 0.8 * plan.open_files_limit
    assert plan.open_files_limit >= rule("open_files_limit")


@pytest.mark.parametrize(
    ("requests", "processes", "machines", "redis"),
    [(1, 1, 1, False), (500, 1, 1, False), (501, 2, 1, True), (4_001, 9, 2, True)],
)
def test_processes_follow_requests_and_more_than_one_needs_redis(
    requests, processes, machines, redis
):
    plan = plan_capacity(demand(requests_per_second=requests))

    assert (plan.web_processes, plan.web_machines, plan.redis) == (processes, machines, redis)


@pytest.mark.parametrize(
    ("asked", "catalog"),
    [
        (demand(20_000, 20_000), "SQLite"),
        (demand(20_001, 20_001), "PostgreSQL"),
        (demand(requests_per_second=4_001), "PostgreSQL"),
        (demand(8_000, 8_000 * 20_000, indexes=1), "PostgreSQL"),
    ],
)
def test_sqlite_is_for_one_machine(asked, catalog):
    assert plan_capacity(asked).catalog == catalog


def test_much_data_needs_more_clusters_disk_and_memory():
    small = plan_capacity(demand(10_000, 10**7))
    large = plan_capacity(demand(10_000, 10**10))

    assert small.clusters == 1 < large.clusters
    assert large.disk_mib * MIB <= rule("disk_per_server") + MIB
    assert large.memory_mib > small.memory_mib


def test_who_has_a_cluster_of_its_own_has_one():
    plan = plan_capacity(demand(12, 12 * 10**6, document_bytes=10**6))

    assert (plan.kind, plan.clusters, plan.tenants_per_cluster) == ("cluster", 12, 1)
    assert any("Extrapolated: 12 clusters" in each for each in plan.warnings)


def test_estimate_is_what_was_measured_and_lies_between():
    for kind, points in MEASURED.items():
        assert list(points) == sorted(points)
        for point in points:
            assert estimate(kind, point.tenants) == pytest.approx(point)
        for low, high in itertools.pairwise(points):
            middle = estimate(kind, (low.tenants + high.tenants) // 2)
            for value, *ends in zip(middle[1:], low[1:], high[1:], strict=True):
                assert min(ends) <= value * 1.0001
                assert value <= max(ends) * 1.0001


def test_beyond_what_was_measured_costs_grow_and_the_plan_says_so():
    most = largest_measured("shared")
    within, beyond = plan_capacity(demand(most, most)), plan_capacity(demand(10 * most, 10 * most))

    assert within.warnings == ()
    assert any(f"{most:,} were measured" in each for each in beyond.warnings)
    for here, there in zip(MEASURED["shared"][-1], beyond.expected, strict=True):
        assert there >= here


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (demand(1, 2_000_000), "2,000,000 documents of an organization"),
        (demand(requests_per_second=100_000), "100,000 requests per second"),
        (demand(9_000, 9_000, indexes=2), "builds no indexes"),
    ],
)
def test_what_was_not_measured_is_said(asked, word):
    assert any(word in each for each in plan_capacity(asked).warnings)


def test_what_limits_first_is_the_largest_share():
    plan = plan_capacity(demand(4_500, 4_500))

    assert plan.limits_first in plan.shares
    assert plan.shares[plan.limits_first] == max(plan.shares.values())
    assert plan.shares["files of collections and indexes"] == 0.9


@pytest.mark.parametrize("name", list(BOUNDS))
def test_a_demand_beyond_its_bounds_is_refused_by_name(name):
    least, greatest = BOUNDS[name]
    for value in (least - 1, greatest + 1):
        with pytest.raises(ValueError, match=f"^{name} is a whole number from {least:,}"):
            Demand(**{"tenants": 1, "documents": 1, name: value})


def test_the_greatest_demand_has_a_plan():
    plan = plan_capacity(Demand(**{name: greatest for name, (_, greatest) in BOUNDS.items()}))

    assert plan.clusters >= 1
    assert all(math.isfinite(value) for value in plan.expected)


def test_every_rule_says_where_it_is_from_and_every_kind_was_measured():
    assert set(MEASURED) == set(KINDS)
    assert all(each.value > 0 and each.unit and each.source for each in RULES.values())
    assert rule("memory_per_server") > rule("large_tenant_bytes") >= GIB
    assert rule("huge_tenant_share") <= 0.5


def test_a_process_is_counted_with_all_connections_that_it_may_have(settings):
    settings.TENANTRY_THREADS = THREADS

    assert rule("connections_per_process") == pool_size() + WATCHING


@pytest.mark.parametrize(
    ("row", "share"), [("read by id", 1 / 3), ("create", 1 / 2), ("list of 100, filtered", 1)]
)
def test_requests_of_a_process_are_fewer_than_it_answered_by_the_share_that_is_said(row, share):
    found = re.search(rf"^\| {row} \| [\d.]+ \| [\d. to]+ \| ([\d,]+) \|",
                      PERFORMANCE.read_text(), re.MULTILINE)  # fmt: skip

    assert found
    assert rule("requests_per_process") < share * int(found[1].replace(",", ""))
