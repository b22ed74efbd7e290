"""Operations: watched here, cancelled while that is possible, retried where it is safe."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.timesince import timesince

from tenancy.admin.bars import progress_bar
from tenancy.admin.confirmation import Page, confirm, posted
from tenancy.admin.operation_acts import OPERATION_ACTS, OperationAct, is_live
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
    shortened,
)
from tenancy.models import Operation

REFRESH_SECONDS = 2


@admin.register(Operation)
class OperationAdmin(RecordAdmin[Operation]):
    """What is being done, was done, or failed."""

    list_display = [
        "kind", "organization", "status", "step", "progress", "short_error", "age", "short_by",
    ]  # fmt: skip
    list_filter = ["status", "kind"]
    list_select_related = ["organization"]
    search_fields = [*ORGANIZATION_SEARCH, "id"]
    search_help_text = (
        "Name, slug (also a former one) or id of the organization, id of the operation"
    )
    readonly_fields = ["age", "pretty_params", "progress", "proof"]
    fieldsets = [
        (None, {"fields": ["kind", "organization", "status", "step", "progress", "error"]}),
        ("What", {"fields": ["pretty_params", "proof", "by", "id"]}),
        ("Time", {"fields": ["created_at", "age", "not_before", "updated_at", "ended_at"]}),
        (
            "Runner",
            {
                "fields": [
                    "attempts", "blocking", "undoing", "cancel_requested", "lease_owner",
                    "lease_until",
                ]
            },
        ),
    ]  # fmt: skip

    @admin.display(description="age", ordering="-created_at")
    def age(self, operation: Operation) -> str:
        """Return how long ago the operation was begun."""
        return timesince(operation.created_at, timezone.now())

    @admin.display(description="by", ordering="by")
    def short_by(self, operation: Operation) -> str:
        """Return who began the operation."""
        return short_actor(operation.by)

    @admin.display(description="error")
    def short_error(self, operation: Operation) -> str:
        """Return the beginning of why it failed, or was tried again."""
        return shortened(operation.error) or NOTHING

    @admin.display(description="params")
    def pretty_params(self, operation: Operation) -> str:
        """Return the parameters."""
        return as_json(operation.params)

    @admin.display(description="proof")
    def proof(self, operation: Operation) -> str:
        """Return what was compared before the operation took effect, of a kind that compares."""
        return as_json(operation.state.get("proof"))

    @admin.display(description="progress")
    def progress(self, operation: Operation) -> str:
        """Return how much is done, of a kind that counts."""
        done, total = operation.progress_done, operation.progress_total
        unit = str(operation.state.get("unit") or "documents")
        return progress_bar(done, total, unit) if total else NOTHING

    def get_urls(self) -> list[URLPattern]:
        """Add the confirmation pages of a cancellation and a retry."""
        view = self.admin_site.admin_view(self.act_view)
        routes = [
            path(f"<uuid:operation_id>/{act}/", view, {"act": act}, name=f"tenancy_{act}")
            for act in OPERATION_ACTS
        ]
        return [*routes, *super().get_urls()]

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may see operations and act on organizations."""
        return self.has_view_permission(request) and request.user.has_perm(CHANGE)

    def tools(self, request: HttpRequest, record: Operation) -> list[Tool]:
        """Return the buttons that the state of the operation allows."""
        if not self.has_act_permission(request):
            return []
        return [
            Tool(act.label, reverse(f"admin:tenancy_{act.name}", args=[record.pk]))
            for act in OPERATION_ACTS.values()
            if not act.why_not(record)
        ]

    def refresh_seconds(self, record: Operation) -> int:
        """Watch an operation that is under way."""
        return REFRESH_SECONDS if is_live(record) else 0

    def act_view(self, request: HttpRequest, operation_id: UUID, act: str) -> HttpResponse:
        """Confirm and perform one act on one operation."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        operation = self.get_object(request, str(operation_id))
        if operation is None:
            raise Http404
        refusal = OPERATION_ACTS[act].why_not(operation)
        if refusal:
            messages.error(request, refusal)
            return HttpResponseRedirect(page_of(operation))
        return self._act(request, operation, OPERATION_ACTS[act])

    def _act(self, request: HttpRequest, operation: Operation, act: OperationAct) -> HttpResponse:
        page = Page(
            title=act.label,
            subtitle=str(operation),
            lines=act.explain(operation),
            names=[f"{operation.kind} of {operation.organization}"],
            button=f"{act.label} the {operation.kind}",
            back=page_of(operation),
            leave="Back",
        )

        def run(given: dict[str, Any]) -> tuple[str, str]:
            act.run(operation, actor_of(request))
            return act.done, page.back

        return confirm(self, request, page, forms.Form(posted(request)), run)
