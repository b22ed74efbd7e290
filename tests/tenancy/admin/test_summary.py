"""The first page says how many organizations there are, how full clusters are, what failed."""

import pytest
from django.utils import timezone

from tenancy import lifecycle
from tenancy.admin import examinations
from tenancy.models import Cluster, Operation
from tenancy.mongo.cluster_probe import Examination
from tests.tenancy.admin.conftest import operator_who_may, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

INDEX = "/admin/"


def summary(client):
    return client.get(INDEX).context["summary"]


def test_organizations_are_counted_by_status_and_kind(operator, initech, hooli):
    lifecycle.suspend_organization(hooli.pk, by="command:test")

    rows = summary(operator)["organizations"]

    counted = {status.value: (counts, total) for status, counts, total in rows}
    assert counted == {"Active": ([0, 1, 0, 0], 1), "Suspended": ([0, 1, 0, 0], 1)}
    assert "status__exact=active" in text_of(operator.get(INDEX))


def test_operations_that_are_open_or_failed_are_counted(operator, initech):
    Operation.objects.create(
        organization=initech, kind="purge", status="failed", blocking=False, by="command:test",
        not_before=timezone.now(),
    )  # fmt: skip

    counted = {status.value: count for status, count in summary(operator)["operations"]}

    assert counted == {"Pending": 0, "Running": 0, "Failed": 1}


def test_a_cluster_that_fills_up_is_named_and_one_with_room_is_not(operator, initech):
    examinations.look_at(Cluster.objects.all(), wait_seconds=10)
    assert "1 looked at: each one answers and has room." in text_of(operator.get(INDEX))

    Cluster.objects.update(ceiling=1)

    (warning,) = summary(operator)["cluster_warnings"]
    assert warning.alias.value == "default"
    assert "over the limit" in warning.what


def test_a_cluster_that_is_away_is_named(operator, initech, monkeypatch):
    away = Examination(problems=("It was not reached.",))
    monkeypatch.setattr(examinations, "examine_cluster", lambda uri: away)

    examinations.look_at(Cluster.objects.all(), wait_seconds=10)

    assert "It was not reached." in text_of(operator.get(INDEX))


def test_the_summary_holds_what_the_operator_may_see():
    assert summary(operator_who_may("view_plan")) == {}
    assert set(summary(operator_who_may("view_operation"))) == {"operations"}


def test_the_summary_costs_the_same_for_many(operator, initech, django_assert_max_num_queries):
    for n in range(20):
        lifecycle.create_organization(f"N {n}", by="command:test")

    with django_assert_max_num_queries(12):
        operator.get(INDEX)


def test_a_catalog_without_anything_has_a_first_page(operator):
    assert "There are none yet." in text_of(operator.get(INDEX))
