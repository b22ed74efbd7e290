"""Operations are found, read, and retried where that is safe."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tenancy import lifecycle
from tenancy.models import Operation
from tests.tenancy.admin.conftest import audit_of, operator_who_may, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]


OPERATIONS = "/admin/tenancy/operation/"


def failed(organization, kind="purge"):
    return Operation.objects.create(
        organization=organization, kind=kind, params={"restorable": False}, step="plan",
        status="failed", attempts=3, blocking=False, error="The cluster was away.",
        by="command:test", not_before=timezone.now() - timedelta(hours=1),
    )  # fmt: skip


def retry_url(operation):
    return reverse("admin:tenancy_retry", args=[operation.pk])


def operation_page(client, operation):
    return client.get(f"{OPERATIONS}{operation.pk}/change/")


def test_operations_are_filtered_and_searched(operator, initech, hooli):
    failed(initech)

    def kinds(**query):
        rows = operator.get(OPERATIONS, query).context["cl"].result_list
        return sorted((row.kind, row.organization.name) for row in rows)

    assert kinds(status__exact="failed") == [("purge", "Initech")]
    assert kinds(kind__exact="create") == [("create", "Hooli"), ("create", "Initech")]
    assert kinds(q="hooli") == [("create", "Hooli")]


def test_a_failed_operation_shows_its_reason_and_is_retried(operator, root, initech):
    operation = failed(initech)
    page = operation_page(operator, operation)
    assert "The cluster was away." in text_of(page)
    assert [tool.url for tool in page.context["tools"]] == [retry_url(operation)]

    assert "background worker" in text_of(operator.get(retry_url(operation)))
    operation.refresh_from_db()
    assert operation.status == "failed"

    operator.post(retry_url(operation))
    operation.refresh_from_db()
    assert (operation.status, operation.attempts) == ("pending", 0)
    assert audit_of(initech)[0] == ("operation.retried", f"user:{root.pk}")


def test_a_retry_while_another_operation_runs_shows_the_reason(operator, initech):
    operation = failed(initech)
    lifecycle.delete_organization(initech.pk, by="command:test")

    page = operator.post(retry_url(operation))

    assert "Another operation is running" in text_of(page)
    operation.refresh_from_db()
    assert operation.status == "failed"


@pytest.mark.parametrize("kind", ["rename", "create"])
def test_an_operation_that_was_undone_is_not_retried(operator, initech, kind):
    operation = failed(initech, kind)

    assert operation_page(operator, operation).context["tools"] == []
    operator.post(retry_url(operation))

    operation.refresh_from_db()
    assert operation.status == "failed"


def test_an_operation_that_did_not_fail_is_not_retried(operator, initech):
    operation = initech.operations.get()

    assert operation_page(operator, operation).context["tools"] == []
    answer = operator.post(retry_url(operation), follow=True)

    assert "Only a failed operation is retried." in text_of(answer)


def test_a_retry_needs_the_permission_to_act(initech):
    viewer = operator_who_may("view_organization", "view_operation")
    operation = failed(initech)

    assert operation_page(viewer, operation).context["tools"] == []
    assert viewer.post(retry_url(operation)).status_code == 403
    operation.refresh_from_db()
    assert operation.status == "failed"
