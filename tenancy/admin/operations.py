"""Operations: read here, and retried where that is safe."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.timesince import timesince

from tenancy.admin.confirmation import Page, confirm, posted
from tenancy.admin.organizations import CHANGE
from tenancy.admin.records import (
    NOTHING,
    ORGANIZATION_SEARCH,
    RecordAdmin,
    Tool,
    actor_of,
    as_json,
    page_of,
    short_actor,
)
from tenancy.audit import record_event
from tenancy.models import Operation, OperationStatus
from tenancy.operations import KINDS, retry_operation


@admin.register(Operation)
class OperationAdmin(RecordAdmin[Operation]):
    """What is being done, was done, or failed."""

    list_display = [
        "kind", "organization", "step", "status", "attempts", "short_by", "created", "age",
    ]  # fmt: skip
    list_filter = ["status", "kind"]
    list_select_related = ["organization"]
    search_fields = [*ORGANIZATION_SEARCH, "id"]
    search_help_text = (
        "Name, slug (also a former one) or id of the organization, id of the operation"
    )
    readonly_fields = ["age", "pretty_params", "progress"]
    fieldsets = [
        (
            None,
            {"fields": ["kind", "organization", "status", "error", "pretty_params", "by", "id"]},
        ),
        (
            "Progress",
            {"fields": ["step", "attempts", "progress", "blocking", "undoing", "not_before"]},
        ),
        ("Time", {"fields": ["created_at", "age", "updated_at", "ended_at"]}),
        ("Lease", {"fields": ["lease_owner", "lease_until"]}),
    ]

    @admin.display(description="age", ordering="-created_at")
    def age(self, operation: Operation) -> str:
        """Return how long ago the operation was begun."""
        return _age(operation.created_at)

    @admin.display(description="by", ordering="by")
    def short_by(self, operation: Operation) -> str:
        """Return who began the operation."""
        return short_actor(operation.by)

    @admin.display(description="params")
    def pretty_params(self, operation: Operation) -> str:
        """Return the parameters."""
        return as_json(operation.params)

    @admin.display(description="progress")
    def progress(self, operation: Operation) -> str:
        """Return how much is done, of a kind that counts."""
        total = operation.progress_total
        return f"{operation.progress_done:,} of {total:,}" if total else NOTHING

    def get_urls(self) -> list[URLPattern]:
        """Add the confirmation page of a retry."""
        retry = self.admin_site.admin_view(self.retry_view)
        route = path("<uuid:operation_id>/retry/", retry, name="tenancy_retry")
        return [route, *super().get_urls()]

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may see operations and act on organizations."""
        return self.has_view_permission(request) and request.user.has_perm(CHANGE)

    def tools(self, request: HttpRequest, record: Operation) -> list[Tool]:
        """Return the button that retries a failed operation."""
        if not self.has_act_permission(request) or why_not_retried(record):
            return []
        return [Tool("Retry", reverse("admin:tenancy_retry", args=[record.pk]))]

    def retry_view(self, request: HttpRequest, operation_id: UUID) -> HttpResponse:
        """Confirm and make a failed operation due again."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        operation = self.get_object(request, str(operation_id))
        if operation is None:
            raise Http404
        refusal = why_not_retried(operation)
        if refusal:
            messages.error(request, refusal)
            return HttpResponseRedirect(page_of(operation))
        page = Page(
            title="Retry",
            subtitle=str(operation),
            lines=_explain_retry(operation),
            names=[f"{operation.kind} of {operation.organization}"],
            button="Retry",
            back=page_of(operation),
        )

        def retry(given: dict[str, Any]) -> tuple[str, str]:
            _retry(operation, actor_of(request))
            return "The operation is due; the background worker picks it up.", page.back

        return confirm(self, request, page, forms.Form(posted(request)), retry)


def _age(since: datetime) -> str:
    return timesince(since, timezone.now())


def why_not_retried(operation: Operation) -> str:
    """Return why an operation is not to be retried, or '' if it may be.

    One that was undone has nothing left to go on from: the act is begun anew instead.
    """
    if operation.status != OperationStatus.FAILED:
        return "Only a failed operation is retried."
    kind = KINDS.get(operation.kind)
    if kind is None or operation.organization is None:
        return "What the operation was about no longer exists."
    if kind.undo is not None:
        return "The operation was undone when it failed. Begin the act again instead."
    return ""


def _explain_retry(operation: Operation) -> list[str]:
    done = f"after the step “{operation.step}”" if operation.step else "with its first step"
    return [
        f"It failed with: {operation.error or 'no reason was recorded.'}",
        f"It goes on {done}, with a new count of attempts.",
        "It does not run on this page: the background worker picks it up within seconds.",
    ]


def _retry(operation: Operation, by: str) -> None:
    with transaction.atomic():
        row = retry_operation(operation.pk)
        if row.organization is not None:
            record_event(
                row.organization, "operation.retried", by=by, operation=str(row.pk), kind=row.kind
            )
