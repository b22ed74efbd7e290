"""Every record opens, and nobody adds, changes or deletes one."""

import pytest

from tenancy import lifecycle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("placement", "initech"),
        ("cluster", "default"),
        ("plan", "standard"),
        ("auditevent", "initech"),
        ("operation", "initech"),
    ],
)
def test_every_list_and_page_opens_and_nothing_is_deleted(operator, initech, name, query):
    row = operator.get(f"/admin/tenancy/{name}/", {"q": query}).context["cl"].result_list[0]
    page = f"/admin/tenancy/{name}/{row.pk}/"

    assert operator.get(f"{page}change/").status_code == 200
    assert operator.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("name", ["placement", "auditevent", "operation"])
def test_records_are_neither_added_nor_changed(operator, initech, name):
    row = operator.get(f"/admin/tenancy/{name}/").context["cl"].result_list[0]

    assert operator.get(f"/admin/tenancy/{name}/add/").status_code == 403
    url = f"/admin/tenancy/{name}/{row.pk}/change/"
    assert operator.post(url, {"namespace": "org_x", "status": "failed"}).status_code == 403


def test_the_audit_is_searched_by_actor_action_and_organization(operator, initech, hooli):
    lifecycle.suspend_organization(hooli.pk, by="key:42")

    def actions(query):
        rows = operator.get("/admin/tenancy/auditevent/", {"q": query}).context["cl"].result_list
        return {(row.action, row.organization.name) for row in rows}

    assert actions("key:42") == {("organization.suspended", "Hooli")}
    assert actions("suspended") == {("organization.suspended", "Hooli")}
    assert actions("initech") == {("organization.created", "Initech")}
