"""Organizations are found, read, added, acted on together, and never edited by hand."""

import pytest
from django.urls import reverse

from tenancy import lifecycle
from tenancy.audit import record_event
from tenancy.models import Organization, Placement, Plan
from tests.tenancy.admin.conftest import LIST, audit_of, detail, status, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]


def found(client, query):
    return [row.name for row in client.get(LIST, {"q": query}).context["cl"].result_list]


def test_search_finds_by_name_slug_former_slug_and_id(operator, initech, hooli):
    lifecycle.rename_organization(initech.pk, "Penetrode Inc", by="command:test")

    for query in ("Penetrode Inc", "penetrode-inc", "initech", str(initech.pk), initech.pk.hex):
        assert found(operator, query) == ["Penetrode Inc"]
    assert found(operator, "vandelay") == []


def test_search_by_a_former_slug_names_an_organization_once(operator, initech):
    for name in ("Initech 2", "Initech 3", "Initech"):
        lifecycle.rename_organization(initech.pk, name, by="command:test")

    assert found(operator, "initech") == ["Initech"]


def test_filters_narrow_the_list(operator, initech, hooli):
    lifecycle.suspend_organization(hooli.pk, by="command:test")

    def names(**filters):
        return {row.name for row in operator.get(LIST, filters).context["cl"].result_list}

    assert names(status__exact="suspended") == {"Hooli"}
    assert names(placement__kind__exact="collection") == {"Initech", "Hooli"}
    assert names(placement__kind__exact="shared") == set()
    assert names(plan__id__exact=Plan.objects.get().pk) == {"Initech", "Hooli"}


def test_the_page_shows_placement_operations_and_audit(operator, initech, root):
    lifecycle.suspend_organization(initech.pk, by=f"user:{root.pk}", reason="unpaid")

    page = text_of(operator.get(detail(initech)))

    for shown in ("org_initech", "collection", "default", "main", "Suspended", f"user:{root.pk}"):
        assert shown in page
    operation = initech.operations.get()
    assert reverse("admin:tenancy_operation_change", args=[operation.pk]) in page
    assert "organization.suspended" in page
    assert 'name="_save"' not in page


def test_the_page_shows_the_latest_twenty(operator, initech):
    for _ in range(30):
        record_event(initech, "x.y", by="command:test")

    table = operator.get(detail(initech)).context["tables"][-1]

    assert (table.title, len(table.rows)) == ("Audit", 20)


def test_a_purged_organization_still_has_a_page(operator, initech):
    Placement.objects.filter(organization=initech).delete()
    Organization.objects.filter(pk=initech.pk).update(status="purged", name="", slug=None)

    page = operator.get(detail(initech))

    assert page.status_code == 200
    assert [tool.label for tool in page.context["tools"]] == ["Verify audit"]
    assert operator.get(LIST).status_code == 200


def test_a_post_to_the_page_of_an_organization_changes_nothing(operator, initech):
    before = Organization.objects.filter(pk=initech.pk).values().get()
    forged = {
        "name": "X", "slug": "x", "status": "purged", "plan": "1", "placement": "1",
        "namespace": "org_x", "kind": "shared", "epoch": "9", "_save": "Save",
    }  # fmt: skip

    assert operator.post(detail(initech), forged).status_code == 403

    assert Organization.objects.filter(pk=initech.pk).values().get() == before
    assert Placement.objects.get(organization=initech).namespace == "org_initech"


def test_an_organization_is_not_deleted_as_a_row(operator, initech):
    url = f"{LIST}{initech.pk}/delete/"

    assert operator.post(url, {"post": "yes"}).status_code == 403
    operator.post(LIST, {"action": "delete_selected", "_selected_action": initech.pk, "post": "y"})

    assert status(initech) == "active"


def test_an_organization_is_added_by_its_name(operator, root):
    answer = operator.post(f"{LIST}add/", {"name": "Vandelay", "status": "suspended"})

    organization = Organization.objects.get()
    assert answer.url == detail(organization)
    assert (organization.slug, organization.status) == ("vandelay", "active")
    assert audit_of(organization) == [("organization.created", f"user:{root.pk}")]


def test_adding_a_taken_name_shows_the_reason(operator, initech):
    page = operator.post(f"{LIST}add/", {"name": "INITECH"})

    assert "another organization has the address “initech”" in text_of(page)
    assert Organization.objects.count() == 1


def test_selected_organizations_are_suspended_after_a_confirmation(operator, root, initech, hooli):
    chosen = {"action": "suspend_selected", "_selected_action": [initech.pk, hooli.pk]}

    page = operator.post(LIST, chosen)
    assert "Initech (active)" in text_of(page)
    assert {status(initech), status(hooli)} == {"active"}

    confirmed = dict(page.context["page"].hidden) | chosen
    assert "2 organizations changed" in text_of(operator.post(LIST, confirmed, follow=True))
    assert {status(initech), status(hooli)} == {"suspended"}
    assert audit_of(hooli)[0] == ("organization.suspended", f"user:{root.pk}")


def test_selected_organizations_are_resumed_and_refusals_are_named(operator, initech, hooli):
    lifecycle.suspend_organization(initech.pk, by="command:test")
    lifecycle.delete_organization(hooli.pk, by="command:test")
    chosen = {"action": "resume_selected", "_selected_action": [initech.pk, hooli.pk]}

    page = text_of(operator.post(LIST, chosen | {"confirmed": "yes"}, follow=True))

    assert "1 organization changed" in page
    assert "“Hooli”: The organization was deleted." in page
    assert (status(initech), status(hooli)) == ("active", "deleting")
