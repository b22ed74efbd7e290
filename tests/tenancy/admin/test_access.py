"""Nobody but an operator enters, and an operator does what the permissions allow."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Membership, User
from accounts.roles import Role
from tenancy.admin.acts import ACTS
from tenancy.admin.operation_acts import OPERATION_ACTS
from tenancy.models import Organization
from tests.tenancy.admin.conftest import LIST, act_url, detail, operator_who_may, status, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

CLUSTER_PAGES = ("change", "traits", "removal")


def every_page(organization, operation):
    names = ["organization", "operation", "placement", "cluster", "plan", "auditevent"]
    lists = [reverse(f"admin:tenancy_{name}_changelist") for name in names]
    acts = [act_url(organization, act) for act in ACTS]
    runs = [reverse(f"admin:tenancy_{act}", args=[operation.pk]) for act in OPERATION_ACTS]
    cluster = [organization.placement.cluster_id]
    clusters = [reverse(f"admin:tenancy_cluster_{act}", args=cluster) for act in CLUSTER_PAGES]
    others = [detail(organization), f"{LIST}add/", "/admin/tenancy/cluster/add/", "/admin/"]
    return [*lists, *acts, *runs, *clusters, *others, reverse("admin:tenancy_doctor")]


def test_an_outsider_is_sent_to_the_login(initech):
    for url in every_page(initech, initech.operations.get()):
        for response in (Client().get(url), Client().post(url, {"name": "X", "slug": "initech"})):
            assert response.status_code == 302
            assert response.url.startswith("/admin/login/")
    assert status(initech) == "active"


def test_a_member_who_is_no_operator_cannot_enter(initech):
    owner = User.objects.create(email="owner@example.com")
    Membership.objects.create(user=owner, organization=initech, role=Role.OWNER)
    client = Client()
    client.force_login(owner)

    for url in every_page(initech, initech.operations.get()):
        assert client.get(url).url.startswith("/admin/login/")
        assert client.post(url, {"slug": "initech"}).url.startswith("/admin/login/")
    assert status(initech) == "active"


def test_an_operator_with_view_permission_only_sees_no_buttons(initech):
    viewer = operator_who_may("view_organization")

    page = viewer.get(detail(initech))

    assert page.context["tools"] == []
    assert "/acts/" not in text_of(page)
    assert "suspend_selected" not in text_of(viewer.get(LIST))


@pytest.mark.parametrize("act", ACTS)
def test_an_operator_with_view_permission_only_is_refused_every_act(initech, act):
    viewer = operator_who_may("view_organization", "view_operation")

    assert viewer.get(act_url(initech, act)).status_code == 403
    answer = viewer.post(act_url(initech, act), {"name": "Other", "slug": "initech"})

    assert answer.status_code == 403
    assert (status(initech), initech.audit_events.count()) == ("active", 1)


def test_an_operator_with_view_permission_only_cannot_use_the_list_actions(initech):
    viewer = operator_who_may("view_organization")
    chosen = {"action": "suspend_selected", "_selected_action": initech.pk, "confirmed": "yes"}

    viewer.post(LIST, chosen)

    assert status(initech) == "active"


def test_what_an_operator_may_not_view_is_not_on_the_page(initech):
    viewer = operator_who_may("view_organization")

    assert viewer.get(detail(initech)).context["tables"] == []


def test_adding_needs_the_permission_to_add():
    refused = operator_who_may("view_organization", "change_organization")
    allowed = operator_who_may("add_organization")

    assert refused.post(f"{LIST}add/", {"name": "Vandelay"}).status_code == 403
    assert not Organization.objects.exists()
    assert allowed.post(f"{LIST}add/", {"name": "Vandelay"}).url == "/admin/"
    assert Organization.objects.get().slug == "vandelay"
