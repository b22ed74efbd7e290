"""Plans are listed with their organizations, and edited with checks."""

import pytest

from tenancy.models import AuditEvent, Cluster, Plan
from tests.tenancy.admin.conftest import operator_who_may, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

PLANS = "/admin/tenancy/plan/"
PLAN = {
    "code": "team", "default_kind": "database", "region": "", "max_collections": "5",
    "max_document_bytes": "1000", "max_documents": "", "max_bytes": "1048576",
    "max_members": "", "requests_per_minute": "", "burst": "",
}  # fmt: skip


def url_of(plan):
    return f"{PLANS}{plan.pk}/change/"


def test_a_plan_is_added_and_an_empty_limit_is_no_limit(operator, root):
    operator.post(f"{PLANS}add/", PLAN)

    plan = Plan.objects.get(code="team")
    assert (plan.max_documents, plan.max_bytes, plan.max_members) == (None, 1_048_576, None)
    event = AuditEvent.objects.get(action="plan.added")
    assert (event.actor, event.details["plan"]) == (f"user:{root.pk}", "team")


def test_the_form_says_what_an_empty_limit_is(operator):
    assert text_of(operator.get(f"{PLANS}add/")).count("Empty: no limit.") == 5


def test_the_list_counts_organizations_and_shows_limits(operator, initech, hooli):
    Plan.objects.create(code="team", max_documents=5_000, max_bytes=1_048_576)

    page = operator.get(PLANS)

    counts = {row.code: row.organizations_count for row in page.context["cl"].result_list}
    assert counts == {"standard": 2, "team": 0}
    for shown in ("5,000", "1.0 MiB", "no limit", ">2</a>", "plan__id__exact="):
        assert shown in text_of(page)


def test_the_code_stays_while_limits_change(operator, initech):
    plan = Plan.objects.get()

    operator.post(url_of(plan), PLAN | {"code": "other", "max_collections": "7"})

    plan.refresh_from_db()
    assert (plan.code, plan.max_collections) == ("standard", 7)
    event = AuditEvent.objects.get(action="plan.changed")
    assert (event.details["plan"], event.details["max_collections"]) == ("standard", 7)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"code": "no good"}, "code"),
        ({"code": "standard"}, "code"),
        ({"default_kind": "elsewhere"}, "default_kind"),
        ({"region": "atlantis"}, "region"),
        ({"max_collections": "0"}, "max_collections"),
        ({"max_collections": ""}, "max_collections"),
        ({"max_document_bytes": "0"}, "max_document_bytes"),
        ({"max_document_bytes": "99999999"}, "max_document_bytes"),
        ({"max_documents": "-1"}, "max_documents"),
        ({"max_bytes": "many"}, "max_bytes"),
        ({"max_members": "9" * 30}, "max_members"),
        ({"max_members": "0"}, "max_members"),
        ({"requests_per_minute": "0"}, "requests_per_minute"),
        ({"requests_per_minute": "6000001"}, "requests_per_minute"),
        ({"burst": "0"}, "burst"),
        ({"burst": "100001"}, "burst"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_at_its_field(operator, initech, given, field):
    page = operator.post(f"{PLANS}add/", PLAN | given)

    assert list(page.context["adminform"].form.errors) == [field]
    assert Plan.objects.count() == 1


def test_a_plan_of_no_requests_is_refused_with_the_reason(operator):
    page = operator.post(f"{PLANS}add/", PLAN | {"requests_per_minute": "0", "burst": "0"})

    text = text_of(page)
    assert text.count("With none every request would be refused. Empty: no limit.") == 2


def test_a_region_needs_a_cluster_but_stays_where_it_is_set(operator, initech):
    Cluster.objects.update(region="eu")
    operator.post(f"{PLANS}add/", PLAN | {"region": "eu"})
    plan = Plan.objects.get(code="team")
    Cluster.objects.update(region="")

    operator.post(url_of(plan), PLAN | {"region": "eu", "max_collections": "9"})

    plan.refresh_from_db()
    assert (plan.region, plan.max_collections) == ("eu", 9)


def test_a_list_of_plans_costs_the_same_for_many(operator, django_assert_max_num_queries):
    Plan.objects.bulk_create(Plan(code=f"p-{n}") for n in range(40))

    with django_assert_max_num_queries(9):
        operator.get(PLANS)


def test_who_may_only_view_changes_nothing(initech):
    viewer, plan = operator_who_may("view_plan"), Plan.objects.get()

    assert viewer.get(PLANS).status_code == 200
    assert viewer.post(url_of(plan), PLAN).status_code == 403
    assert viewer.post(f"{PLANS}add/", PLAN).status_code == 403
    assert Plan.objects.get().max_collections == 100
