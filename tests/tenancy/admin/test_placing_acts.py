"""Moves, transfers and clones: planned on one page, confirmed, and begun in the background."""

import pytest
from django.urls import reverse

from tenancy import operations
from tenancy.access import with_collection
from tenancy.admin.confirmation import STALE, STAMP
from tenancy.lifecycle import move_plans
from tenancy.models import Cluster, Operation, Organization, Placement, Plan, Usage
from tests.conftest import ACTOR
from tests.tenancy.admin.conftest import (
    act_url,
    audit_of,
    detail,
    operator_who_may,
    status,
    text_of,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

TO_DATABASE = {"kind": "database", "cluster": ""}
GIVEN = {"move": TO_DATABASE, "transfer": {"plan": "standard"}, "clone": {"name": "Initrode"}}


@pytest.fixture
def documents(initech):
    def insert(collection):
        collection.insert_many({"n": n} for n in range(25))

    with_collection(initech.pk, "main", insert, by=ACTOR)


@pytest.fixture
def regulated():
    return Plan.objects.create(code="regulated", default_kind="database", max_documents=1_000)


def planned(client, organization, act, given):
    """Ask for a plan. Return the page and the input that confirms it."""
    page = client.post(act_url(organization, act), given)
    plan = page.context["page"].plan
    return page, given | {STAMP: plan.stamp if plan else ""}


def operations_of(organization):
    return list(organization.operations.exclude(kind="create"))


def place(organization):
    return Placement.objects.get(organization=organization).kind


def operation_url(operation):
    return reverse("admin:tenancy_operation_change", args=[operation.pk])


def test_a_move_is_planned_first_and_nothing_has_changed(operator, initech, documents):
    page, _ = planned(operator, initech, "move", TO_DATABASE)

    shown = text_of(page)
    assert "collection “org_initech” on cluster “default”" in shown
    assert f"database “org_{initech.pk.hex}” on cluster “default”" in shown
    assert "<td>25</td>" in shown
    assert "Requests wait for" in shown
    assert (operations_of(initech), place(initech)) == ([], "collection")


def test_a_confirmed_move_begins_in_the_background(operator, root, initech, documents):
    _, confirmed = planned(operator, initech, "move", TO_DATABASE)

    answer = operator.post(act_url(initech, "move"), confirmed)

    (operation,) = operations_of(initech)
    assert (operation.kind, operation.status, operation.lease_owner) == ("move", "pending", "")
    assert answer.url == operation_url(operation)
    assert audit_of(initech)[0] == ("organization.move_begun", f"user:{root.pk}")
    operations.resume_operations()
    assert place(initech) == "database"


def test_a_second_click_leads_to_the_move_that_the_first_one_began(operator, initech):
    _, confirmed = planned(operator, initech, "move", TO_DATABASE)

    answers = [operator.post(act_url(initech, "move"), confirmed) for _ in range(2)]

    (operation,) = operations_of(initech)
    assert [answer.url for answer in answers] == [operation_url(operation)] * 2


def test_a_plan_that_is_out_of_date_is_shown_again(operator, initech):
    _, confirmed = planned(operator, initech, "move", TO_DATABASE)
    Placement.objects.filter(organization=initech).update(epoch=7)

    page = operator.post(act_url(initech, "move"), confirmed)

    assert (page.status_code, operations_of(initech)) == (200, [])
    assert STALE in text_of(page)
    operator.post(act_url(initech, "move"), confirmed | {STAMP: page.context["page"].plan.stamp})
    assert [row.kind for row in operations_of(initech)] == ["move"]


@pytest.mark.parametrize("stamp", ["", "1", "\x00", "x" * 10_000, "<script>"])
def test_a_stamp_that_was_not_given_out_confirms_nothing(operator, initech, stamp):
    page = operator.post(act_url(initech, "move"), TO_DATABASE | {STAMP: stamp})

    assert (page.status_code, operations_of(initech)) == (200, [])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"kind": "elsewhere"},
        {"kind": "database", "cluster": "no-such-cluster"},
        {"kind": "database", "cluster": "<script>alert(1)</script>"},
        {"kind": "\x00"},
    ],
)
def test_a_target_that_cannot_be_is_refused_at_its_field(operator, initech, given):
    page = operator.post(act_url(initech, "move"), given)

    assert (page.status_code, operations_of(initech)) == (200, [])
    assert page.context["form"].errors
    assert "<script>alert" not in text_of(page)


def test_what_is_against_a_move_is_said(operator, initech):
    page = operator.post(act_url(initech, "move"), {"kind": "collection", "cluster": ""})
    assert "The organization is there already" in text_of(page)

    page = operator.post(act_url(initech, "move"), {"kind": "cluster", "cluster": ""})
    assert "There is no cluster that could be one organization" in text_of(page)


def test_a_running_operation_is_against_a_move_and_takes_the_button_away(operator, initech):
    row = Operation(organization=initech, kind="rename", by=ACTOR, step="reserve")
    row.not_before = initech.created_at
    row.save()

    page, confirmed = planned(operator, initech, "move", TO_DATABASE)

    assert "Another operation is running: rename" in text_of(page)
    assert 'value="Move"' not in text_of(page)
    answer = operator.post(act_url(initech, "move"), confirmed)
    assert (answer.status_code, len(operations_of(initech))) == (200, 1)


def test_another_region_is_refused_at_the_cluster(operator, initech, second_cluster):
    Organization.objects.filter(pk=initech.pk).update(region="eu")

    page = operator.post(act_url(initech, "move"), {"kind": "database", "cluster": "second"})

    assert "is bound to region “eu”" in str(page.context["form"].errors["cluster"])


def test_a_transfer_shows_limits_and_the_move_that_it_brings(operator, initech, regulated):
    page, confirmed = planned(operator, initech, "transfer", {"plan": "regulated", "move": "on"})
    shown = text_of(page)
    assert "standard -&gt; regulated" in shown
    assert "0 of 1,000" in shown
    assert f"database “org_{initech.pk.hex}”" in shown

    answer = operator.post(act_url(initech, "transfer"), confirmed)

    (operation,) = operations_of(initech)
    assert (operation.kind, operation.status) == ("move", "pending")
    assert answer.url == operation_url(operation)
    assert Organization.objects.get(pk=initech.pk).plan == regulated


def test_a_transfer_without_a_move_changes_the_plan_only(operator, initech, regulated):
    page, confirmed = planned(operator, initech, "transfer", {"plan": "regulated"})
    assert "It stays: collection" in text_of(page)

    answer = operator.post(act_url(initech, "transfer"), confirmed)

    assert answer.url == detail(initech)
    assert operations_of(initech) == []
    assert audit_of(initech)[0][0] == "organization.transferred"


def test_a_plan_that_is_too_small_has_no_button(operator, initech, regulated):
    Usage.objects.update_or_create(organization=initech, defaults={"documents": 1_001})

    page, confirmed = planned(operator, initech, "transfer", {"plan": "regulated"})

    said = "allows 1,000 documents, and 1,001 are in use"
    assert said in text_of(page)
    assert 'value="Transfer to plan"' not in text_of(page)
    assert said in text_of(operator.post(act_url(initech, "transfer"), confirmed))
    assert Organization.objects.get(pk=initech.pk).plan.code == "standard"


def test_a_plan_that_changed_meanwhile_is_shown_again(operator, initech, regulated):
    _, confirmed = planned(operator, initech, "transfer", {"plan": "regulated", "move": "on"})
    Plan.objects.filter(pk=regulated.pk).update(default_kind="shared")

    page = operator.post(act_url(initech, "transfer"), confirmed)

    assert STALE in text_of(page)
    assert Organization.objects.get(pk=initech.pk).plan.code == "standard"


def test_a_clone_is_begun_and_made_by_whoever_runs_operations(operator, root, initech, documents):
    answer = operator.post(act_url(initech, "clone"), {"name": "Initrode"})

    clone = Organization.objects.get(slug="initrode")
    operation = clone.operations.get()
    assert answer.url == operation_url(operation)
    assert (clone.status, operation.status, operation.attempts) == ("provisioning", "pending", 0)
    operations.resume_operations()
    assert status(clone) == "active"
    found = with_collection(clone.pk, "main", lambda rows: rows.list_page(limit=100), by=ACTOR)
    assert len(found.documents) == 25
    assert audit_of(initech)[0] == ("organization.cloned", f"user:{root.pk}")


@pytest.mark.parametrize("name", ["", "Initech", "$$..//", "a\x00b", "x" * 300])
def test_a_name_that_cannot_be_a_clones_is_refused_at_its_field(operator, initech, name):
    page = operator.post(act_url(initech, "clone"), {"name": name})

    assert list(page.context["form"].errors) == ["name"]
    assert Organization.objects.count() == 1


@pytest.mark.parametrize("act", GIVEN)
def test_a_get_plans_nothing_and_changes_nothing(operator, initech, monkeypatch, act):
    monkeypatch.setattr(move_plans, "measure_place", None)

    page = operator.get(act_url(initech, act), GIVEN[act] | {STAMP: "1"})

    assert page.status_code == 200
    assert (operations_of(initech), Organization.objects.count()) == ([], 1)


@pytest.mark.parametrize("act", GIVEN)
def test_placing_needs_the_permission_to_act(initech, act):
    viewer = operator_who_may("view_organization", "view_operation", "view_cluster")

    assert viewer.get(act_url(initech, act)).status_code == 403
    assert viewer.post(act_url(initech, act), GIVEN[act]).status_code == 403
    assert (operations_of(initech), Organization.objects.count()) == ([], 1)


@pytest.mark.parametrize("act", ["move", "clone"])
def test_who_may_not_see_operations_goes_back_to_the_organization(initech, act):
    changer = operator_who_may("view_organization", "change_organization")
    confirmed = GIVEN[act] if act == "clone" else planned(changer, initech, act, GIVEN[act])[1]

    answer = changer.post(act_url(initech, act), confirmed)

    assert answer.url == detail(initech)
    assert Operation.objects.filter(kind=act, status="pending").count() == 1


def test_the_page_shows_use_against_the_plan(operator, initech):
    Plan.objects.update(max_documents=100, max_bytes=1_048_576, max_collections=1)
    Usage.objects.update_or_create(
        organization=initech, defaults={"documents": 85, "bytes": 524_288}
    )

    page = text_of(operator.get(detail(initech)))

    assert "85 of 100, 85 %, filling up" in page
    assert "512.0 KiB of 1.0 MiB, 50 %" in page
    assert "1 of 1, 100 %, full" in page
    assert 'aria-label="Documents: 85 of 100, 85 %, filling up"' in page


def test_the_list_is_filtered_by_cluster_and_costs_the_same_for_many(
    operator, initech, django_assert_max_num_queries
):
    default, other = Cluster.objects.get(), Cluster.objects.create(alias="other")
    for n in range(20):
        row = Organization.objects.create(
            name=f"N {n}", slug=f"n-{n}", status="active", plan=Plan.objects.get()
        )
        Placement.objects.create(
            organization=row, kind="collection", cluster=default, namespace=f"org_n_{n}"
        )
    url = reverse("admin:tenancy_organization_changelist")

    with django_assert_max_num_queries(14):
        found = operator.get(url, {"placement__cluster__id__exact": default.pk})
    assert len(found.context["cl"].result_list) == 21
    found = operator.get(url, {"placement__cluster__id__exact": other.pk})
    assert len(found.context["cl"].result_list) == 0
