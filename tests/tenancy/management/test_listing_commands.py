"""Lists of organizations are narrowed down; operations say how far they are, and all of one."""

import pytest
from django.utils import timezone

from tenancy import lifecycle
from tenancy.models import Cluster, Operation, Plan
from tests.conftest import ACTOR
from tests.tenancy.management.test_commands import run, run_json

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.needs_mongod,
    pytest.mark.usefixtures("quick"),
]  # fmt: skip


@pytest.fixture
def three(second_cluster, settings):
    """Organizations that differ in kind, cluster and plan."""
    settings.TENANCY_NAMING = "name"
    Cluster.objects.filter(pk=second_cluster.pk).update(accepts_new=False)
    Plan.objects.create(code="team", default_kind="database")
    rows = [
        lifecycle.create_organization("Acme", by=ACTOR, kind="shared"),
        lifecycle.create_organization("Globex", by=ACTOR, plan="team"),
        lifecycle.create_organization("Initech", by=ACTOR),
    ]
    lifecycle.move_organization(rows[2].pk, "database", cluster="second", by=ACTOR)
    lifecycle.suspend_organization(rows[0].pk, by=ACTOR)
    return rows


@pytest.fixture
def move(mongo):
    """A move that is copying."""
    organization = lifecycle.create_organization("Acme", by=ACTOR)
    return Operation.objects.create(
        organization=organization, kind="move", step="prepare", status="running", by=ACTOR,
        params={"target": {"kind": "database"}}, progress_done=1_250, progress_total=5_000,
        not_before=timezone.now(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "slugs"),
    [
        (["--kind", "shared"], ["acme"]),
        (["--kind", "cluster"], []),
        (["--cluster", "second", "--kind", "database"], ["initech"]),
        (["--plan", "team"], ["globex"]),
        (["--status", "suspended"], ["acme"]),
        (["--status", "active", "--plan", "standard"], ["initech"]),
        (["--plan", "team", "--search", "acme"], []),
    ],
)
def test_a_list_is_narrowed_down(three, options, slugs):
    found = run_json("list_organizations", *options)

    assert [row["slug"] for row in found["organizations"]] == slugs
    assert found["total"] == len(slugs)


def test_a_row_says_where_it_is_and_under_which_plan(three):
    (row,) = run_json("list_organizations", "--search", "initech")["organizations"]

    assert (row["kind"], row["cluster"], row["plan"]) == ("database", "second", "standard")
    assert "second" in run("list_organizations", "--search", "initech").text


@pytest.mark.parametrize("option", ["--cluster", "--plan"])
def test_what_does_not_exist_is_not_an_empty_list(mongo, option):
    done = run("list_organizations", option, "nowhere")

    assert (done.code, "“nowhere”" in done.failure) == (1, True)


def test_a_list_costs_the_same_for_many(three, django_assert_max_num_queries):
    with django_assert_max_num_queries(2):
        run("list_organizations")


def test_operations_say_how_far_they_are(move):
    shown = run_json("show_operations", "--open")["operations"][0]

    assert shown["progress"] == {
        "done": 1_250, "total": 5_000, "percent": 25, "unit": "documents",
    }  # fmt: skip
    assert "1,250/5,000 25 %" in run("show_operations").text


def test_one_operation_is_shown_with_everything(move):
    text = run("show_operations", str(move.pk)).text
    data = run_json("show_operations", str(move.pk))

    assert f"id                {move.pk}" in text
    assert "progress          1,250/5,000 25 %" in text
    assert "cancel_requested  no" in text
    assert (data["params"], data["organization"]) == (move.params, "acme")


@pytest.mark.parametrize("given", ["x", "00000000-0000-4000-8000-000000000000", "\x00"])
def test_an_operation_that_is_not_there_is_a_sentence(mongo, given):
    done = run("show_operations", given)

    assert (done.code, done.failure) == (1, f"There is no operation “{given}”.")
