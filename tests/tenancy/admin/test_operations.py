"""Operations are found, read, and retried where that is safe."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tenancy import lifecycle
from tenancy.admin import operation_acts
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


def moving(organization, **changes):
    """Return a move as the journal has it while it copies."""
    values = {
        "kind": "move", "params": {}, "step": "prepare", "status": "running",
        "progress_done": 1_250, "progress_total": 5_000, "by": "command:test",
        "not_before": timezone.now(),
    }  # fmt: skip
    return Operation.objects.create(organization=organization, **values | changes)


def cancel_url(operation):
    return reverse("admin:tenancy_cancel", args=[operation.pk])


def test_progress_is_a_bar_with_its_numbers(operator, initech):
    operation = moving(initech)

    for page in (operator.get(OPERATIONS), operation_page(operator, operation)):
        assert '<progress max="5000" value="1250"' in text_of(page)
        assert "1,250 of 5,000 documents, 25 %</span>" in text_of(page)


def test_the_page_of_an_operation_is_shown_anew_while_it_is_under_way(operator, initech):
    operation = moving(initech)
    refresh = '<meta http-equiv="refresh" content="2">'
    assert refresh in text_of(operation_page(operator, operation))

    later = timezone.now() + timedelta(days=30)
    for changes in ({"not_before": later}, {"status": "failed", "blocking": False}):
        Operation.objects.filter(pk=operation.pk).update(**changes)
        assert refresh not in text_of(operation_page(operator, operation))


def test_a_move_under_way_is_cancelled_after_a_confirmation(operator, root, initech):
    operation = moving(initech)
    page = operation_page(operator, operation)
    assert [tool.url for tool in page.context["tools"]] == [cancel_url(operation)]

    assert "is given up" in text_of(operator.get(cancel_url(operation)))
    operation.refresh_from_db()
    assert not operation.cancel_requested

    operator.post(cancel_url(operation))
    operation.refresh_from_db()
    assert operation.cancel_requested
    assert audit_of(initech)[0] == ("operation.cancel_requested", f"user:{root.pk}")
    again = operator.post(cancel_url(operation), follow=True)
    assert "is being cancelled already" in text_of(again)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step": "switch"}, "has taken effect: it is after the step “switch”"),
        ({"kind": "rename", "step": ""}, "is short, and not cancelled"),
        ({"status": "succeeded", "blocking": False}, "has ended: it is succeeded"),
    ],
)
def test_what_cannot_be_cancelled_has_no_button(operator, initech, changes, said):
    operation = moving(initech, **changes)

    assert operation_page(operator, operation).context["tools"] == []
    assert said in text_of(operator.post(cancel_url(operation), follow=True))
    operation.refresh_from_db()
    assert not operation.cancel_requested


def test_a_cancellation_that_comes_too_late_says_so(operator, initech, monkeypatch):
    operation = moving(initech, step="switch")
    late = replace(operation_acts.OPERATION_ACTS["cancel"], why_not=lambda row: "")
    monkeypatch.setitem(operation_acts.OPERATION_ACTS, "cancel", late)

    page = operator.post(cancel_url(operation))

    assert "The operation is running, after the step “switch”." in text_of(page)
    assert [action for action, _ in audit_of(initech)] == ["organization.created"]


def test_a_cancellation_needs_the_permission_to_act(initech):
    viewer = operator_who_may("view_organization", "view_operation")
    operation = moving(initech)

    assert viewer.post(cancel_url(operation)).status_code == 403
    operation.refresh_from_db()
    assert not operation.cancel_requested


def test_an_error_is_text_and_short_in_the_list(operator, initech):
    moving(initech, error="<script>alert(1)</script> " + "x" * 300)

    page = text_of(operator.get(OPERATIONS))

    assert "&lt;script&gt;alert(1)" in page
    assert "x" * 100 not in page


def test_a_list_of_operations_costs_the_same_for_few_and_for_many(
    operator, initech, django_assert_max_num_queries
):
    for _ in range(30):
        failed(initech)

    with django_assert_max_num_queries(12):
        operator.get(OPERATIONS)
