"""Every button of an organization acts through the lifecycle, on POST only."""

import uuid

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tenancy import lifecycle
from tenancy.admin.acts import ACTS
from tenancy.exceptions import ClusterUnavailable
from tenancy.models import Organization, Placement
from tenancy.mongo import provisioning
from tests.tenancy.admin.conftest import LIST, act_url, audit_of, detail, status, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]


def buttons(client, organization):
    tools = client.get(detail(organization)).context["tools"]
    return [tool.label for tool in tools]


def test_buttons_follow_the_status(operator, initech):
    placing = ["Move", "Transfer to plan", "Clone", "Verify audit"]
    living = ["Rename", *placing, "Delete", "Delete and purge now"]
    assert sorted(buttons(operator, initech)) == sorted([*living, "Suspend"])

    lifecycle.suspend_organization(initech.pk, by="command:test")
    assert sorted(buttons(operator, initech)) == sorted([*living, "Resume"])

    lifecycle.delete_organization(initech.pk, by="command:test")
    assert buttons(operator, initech) == ["Restore", "Verify audit"]

    Organization.objects.filter(pk=initech.pk).update(purge_after=timezone.now())
    assert buttons(operator, initech) == ["Verify audit"]


def prepare(organization, act):
    if act == "resume":
        lifecycle.suspend_organization(organization.pk, by="command:test")
    if act == "restore":
        lifecycle.delete_organization(organization.pk, by="command:test")


OUTCOMES = {
    "rename": ({"name": "Penetrode"}, "active", "organization.renamed"),
    "suspend": ({"reason": "unpaid"}, "suspended", "organization.suspended"),
    "resume": ({}, "active", "organization.resumed"),
    "delete": ({"slug": "initech"}, "deleting", "organization.deleted"),
    "purge": ({"slug": "initech"}, "deleting", "organization.deleted"),
    "restore": ({}, "active", "organization.restored"),
}

# Moves, transfers and clones have tests of their own.
IMMEDIATE = [act for act in ACTS if act in OUTCOMES]


@pytest.mark.parametrize("act", IMMEDIATE)
def test_a_button_acts_through_the_lifecycle_as_the_operator(operator, root, initech, act):
    given, status_after, action = OUTCOMES[act]
    prepare(initech, act)

    answer = operator.post(act_url(initech, act), given)

    assert (answer.status_code, answer.url) == (302, detail(initech))
    assert status(initech) == status_after
    assert audit_of(initech)[0] == (action, f"user:{root.pk}")
    assert 'class="success"' in text_of(operator.get(detail(initech)))


@pytest.mark.parametrize("act", IMMEDIATE)
def test_a_get_explains_and_changes_nothing(operator, initech, act):
    given, _, action = OUTCOMES[act]
    prepare(initech, act)
    status_before = status(initech)

    page = operator.get(act_url(initech, act), given)

    assert (page.status_code, len(page.context["page"].lines) > 0) == (200, True)
    assert status(initech) == status_before
    assert action not in [each for each, _ in audit_of(initech)]


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_safe_from_forged_requests(root, initech, act):
    client = Client(enforce_csrf_checks=True)
    client.force_login(root)

    assert client.post(act_url(initech, act), {"name": "X", "kind": "database"}).status_code == 403
    assert status(initech) == "active"


def test_a_rename_moves_the_namespace(operator, initech):
    operator.post(act_url(initech, "rename"), {"name": "Penetrode Inc"})

    initech.refresh_from_db()
    assert (initech.name, initech.slug) == ("Penetrode Inc", "penetrode-inc")
    assert Placement.objects.get(organization=initech).namespace == "org_penetrode_inc"


def test_a_preview_of_a_rename_changes_nothing(operator, initech):
    page = operator.post(act_url(initech, "rename"), {"name": "Ünïcode Ltd", "_preview": "1"})

    assert "“unicode-ltd” and the namespace org_unicode_ltd" in text_of(page)
    assert Organization.objects.get().slug == "initech"


def test_with_naming_id_the_page_says_that_the_namespace_stays(operator, initech, settings):
    settings.TENANCY_NAMING = "id"

    assert "comes from the id and stays" in text_of(operator.get(act_url(initech, "rename")))


HOSTILE = {
    "": "This field is required.",
    "   ": "The name is empty.",
    "🎉🎉" * 60: "100 are allowed",
    "a\x00b": "Null characters are not allowed.",
    "ab\u202ecd": "invisible character (U+202E",
    "$$..//": "no letter or digit",
    "x" * 300: "300 characters",
    "admin": "“admin”, which is reserved",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_with_the_reason(operator, initech, name):
    page = operator.post(act_url(initech, "rename"), {"name": name})

    assert page.status_code == 200
    assert HOSTILE[name] in text_of(page)
    assert list(page.context["form"].errors) == ["name"]
    assert Organization.objects.get().name == "Initech"


def test_markup_in_a_name_stays_text(operator, initech):
    operator.post(act_url(initech, "rename"), {"name": "<script>alert(1)</script>"})

    for url in (LIST, detail(initech), act_url(initech, "suspend")):
        assert "<script>alert" not in text_of(operator.get(url))


@pytest.mark.parametrize("taken", ["Hooli", "HOOLI", "hooli!"])
def test_a_taken_name_is_refused_with_the_reason(operator, initech, hooli, taken):
    page = operator.post(act_url(initech, "rename"), {"name": taken})

    assert "another organization has the address “hooli”" in text_of(page)
    assert status(initech) == "active"
    assert Organization.objects.get(pk=initech.pk).name == "Initech"


@pytest.mark.parametrize("act", ["delete", "purge"])
@pytest.mark.parametrize("typed", ["", "Initech", "hooli"])
def test_deleting_needs_the_slug_to_be_typed(operator, initech, act, typed):
    page = operator.post(act_url(initech, act), {"slug": typed})

    assert (page.status_code, list(page.context["form"].errors)) == (200, ["slug"])
    assert status(initech) == "active"


def test_the_page_of_a_deletion_says_until_when_it_can_be_restored(operator, initech):
    page = text_of(operator.get(act_url(initech, "delete")))

    until = timezone.now() + settings.TENANCY_DELETE_GRACE
    assert f"{until:%Y}" in page
    assert "It can be restored until" in page


def test_a_purge_drops_the_data(operator, initech, mongo):
    assert "org_initech" in mongo.list_collection_names()

    operator.post(act_url(initech, "purge"), {"slug": "initech"})

    assert "org_initech" not in mongo.list_collection_names()


def test_a_purge_that_fails_says_that_the_organization_is_deleted(operator, initech, monkeypatch):
    def refuse(*_, **__):
        raise ClusterUnavailable

    monkeypatch.setattr(provisioning, "drop_namespace", refuse)

    page = operator.post(act_url(initech, "purge"), {"slug": "initech"})

    assert "is deleted, but its data is not removed yet: The database cannot" in text_of(page)
    assert status(initech) == "deleting"
    assert initech.operations.get(kind="purge").status == "failed"


def test_the_reason_of_a_suspension_is_in_the_audit(operator, initech):
    operator.post(act_url(initech, "suspend"), {"reason": "unpaid since May"})

    assert initech.audit_events.first().details == {"reason": "unpaid since May"}


@pytest.mark.parametrize("act", ["resume", "restore"])
def test_an_act_that_the_status_does_not_allow_is_refused_with_a_message(operator, initech, act):
    answer = operator.post(act_url(initech, act), follow=True)

    assert "is not possible: its status is active" in text_of(answer)
    assert initech.audit_events.count() == 1


def test_what_the_lifecycle_refuses_is_shown_on_the_page(operator, initech, monkeypatch):
    def refuse(*_, **__):
        raise ClusterUnavailable("The database <is> away.", hint="Try later.")

    monkeypatch.setattr(lifecycle, "suspend_organization", refuse)

    page = operator.post(act_url(initech, "suspend"))

    assert page.status_code == 200
    assert "The database &lt;is&gt; away. Try later." in text_of(page)


def test_an_organization_or_act_that_does_not_exist_is_not_found(operator, initech):
    assert operator.get(act_url(initech, "explode")).status_code == 404
    absent = reverse("admin:tenancy_act", args=[uuid.uuid4(), "rename"])
    assert operator.get(absent).status_code == 404
