"""Organizations: read here, changed through the lifecycle."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from tenancy import lifecycle
from tenancy.admin.acts import ACTS, Act, NameForm, name_rules
from tenancy.admin.confirmation import Page, confirm, posted, render_page
from tenancy.admin.records import (
    NOTHING,
    TABLE_MAX_ROWS,
    Cell,
    RecordAdmin,
    Table,
    Tool,
    actor_of,
    list_of,
    page_of,
)
from tenancy.exceptions import TenancyError
from tenancy.models import AuditEvent, Operation, Organization

CHANGE = "tenancy.change_organization"
SELECTION_MAX_ORGANIZATIONS = 500
REFUSALS_SHOWN = 10


@admin.register(Organization)
class OrganizationAdmin(RecordAdmin[Organization]):
    """Search, filter and open organizations; act on them."""

    list_display = [
        "shown_name", "slug", "status", "kind", "namespace", "plan", "created",
    ]  # fmt: skip
    list_filter = ["status", "placement__kind", "plan"]
    list_select_related = ["plan", "placement"]
    search_fields = ["name", "slug", "id", "slugs__slug"]
    search_help_text = "Name, slug (also a former one) or id"
    actions = ["suspend_selected", "resume_selected"]
    readonly_fields = [
        "shown_name", "former_slugs", "kind", "cluster", "namespace", "epoch", "declared",
    ]  # fmt: skip
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "shown_name", "slug", "former_slugs", "id", "status", "plan", "created_at",
                    "updated_at",
                ]
            },
        ),
        ("Placement", {"fields": ["kind", "cluster", "namespace", "epoch", "declared"]}),
        ("Pause and purge", {"fields": ["pause_from", "purge_after"]}),
    ]  # fmt: skip

    @admin.display(description="name", ordering="name")
    def shown_name(self, organization: Organization) -> str:
        """Return the name, or what there is of a tombstone."""
        return str(organization)

    @admin.display(description="former slugs")
    def former_slugs(self, organization: Organization) -> str:
        """Return the retired slugs, the latest first; at most 20."""
        retired = organization.slugs.filter(retired_at__isnull=False).order_by("-retired_at")
        return ", ".join(retired.values_list("slug", flat=True)[:TABLE_MAX_ROWS]) or NOTHING

    @admin.display(description="kind", ordering="placement__kind")
    def kind(self, organization: Organization) -> str:
        """Return the kind of the placement; a tombstone has none, and Django shows that."""
        return organization.placement.kind

    @admin.display(description="cluster")
    def cluster(self, organization: Organization) -> str:
        """Return the alias of the cluster."""
        return organization.placement.cluster.alias

    @admin.display(description="namespace", ordering="placement__namespace")
    def namespace(self, organization: Organization) -> str:
        """Return the physical prefix or database name."""
        return organization.placement.namespace

    @admin.display(description="epoch")
    def epoch(self, organization: Organization) -> int:
        """Return how many places the organization has had."""
        return organization.placement.epoch

    @admin.display(description="collections")
    def declared(self, organization: Organization) -> str:
        """Return the names of the logical collections, which the plan bounds."""
        return ", ".join(organization.collections.values_list("name", flat=True)) or NOTHING

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may create organizations."""
        return request.user.has_perm("tenancy.add_organization")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may act on organizations."""
        return request.user.has_perm(CHANGE)

    def get_urls(self) -> list[URLPattern]:
        """Add the confirmation pages of the acts."""
        act = self.admin_site.admin_view(self.act_view)
        route = path("<uuid:organization_id>/acts/<slug:act>/", act, name="tenancy_act")
        return [route, *super().get_urls()]

    def tools(self, request: HttpRequest, record: Organization) -> list[Tool]:
        """Return a button for each act that the status allows."""
        if not self.has_act_permission(request):
            return []
        return [
            Tool(act.label, reverse("admin:tenancy_act", args=[record.pk, act.name]))
            for act in ACTS.values()
            if act.is_offered(record)
        ]

    def tables(self, request: HttpRequest, record: Organization) -> Iterable[Table]:
        """Return the latest operations and audit events."""
        return [_latest_operations(record), _latest_events(record)]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Create an organization from a name, outside of a transaction: it is an operation."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        page = Page(
            title="Add organization",
            lines=["It gets the default plan and an empty place in MongoDB.", *name_rules()],
            button="Create",
            back=list_of(Organization),
        )

        def create(given: dict[str, Any]) -> tuple[str, str]:
            row = lifecycle.create_organization(given["name"], by=actor_of(request))
            seen = self.has_view_permission(request, row)
            return f"“{row}” is created.", page_of(row) if seen else reverse("admin:index")

        return confirm(self, request, page, NameForm(posted(request)), create)

    def act_view(self, request: HttpRequest, organization_id: UUID, act: str) -> HttpResponse:
        """Confirm and perform one act on one organization."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        organization = self.get_object(request, str(organization_id))
        if organization is None or act not in ACTS:
            raise Http404
        return self._act(request, organization, ACTS[act])

    def _act(self, request: HttpRequest, organization: Organization, act: Act) -> HttpResponse:
        back = page_of(organization)
        if not act.is_offered(organization):
            status = organization.get_status_display().lower()
            messages.error(request, f"{act.label} is not possible: its status is {status}.")
            return HttpResponseRedirect(back)
        initial = {"name": organization.name}
        form = act.form(organization, data=posted(request), initial=initial)
        page = Page(
            title=act.label,
            subtitle=str(organization),
            lines=act.explain(organization, form),
            names=[str(organization)],
            button=act.label,
            back=back,
            is_destructive=act.is_destructive,
            has_preview=act.has_preview,
        )
        by = actor_of(request)
        return confirm(
            self, request, page, form, lambda given: (act.run(organization, given, by), back)
        )

    @admin.action(description="Suspend selected organizations", permissions=["act"])
    def suspend_selected(
        self, request: HttpRequest, queryset: QuerySet[Organization]
    ) -> HttpResponse | None:
        """Suspend several organizations, after a page that names them."""
        return self._act_on_selected(request, queryset, ACTS["suspend"], _suspend)

    @admin.action(description="Resume selected organizations", permissions=["act"])
    def resume_selected(
        self, request: HttpRequest, queryset: QuerySet[Organization]
    ) -> HttpResponse | None:
        """Resume several organizations, after a page that names them."""
        return self._act_on_selected(request, queryset, ACTS["resume"], _resume)

    def _act_on_selected(
        self,
        request: HttpRequest,
        queryset: QuerySet[Organization],
        act: Act,
        change: Callable[[UUID, str], bool],
    ) -> HttpResponse | None:
        chosen = list(queryset[: SELECTION_MAX_ORGANIZATIONS + 1])
        if len(chosen) > SELECTION_MAX_ORGANIZATIONS:
            messages.error(request, f"Select at most {SELECTION_MAX_ORGANIZATIONS} organizations.")
        elif "confirmed" not in request.POST:
            return render_page(self, request, _selection_page(chosen, act), forms.Form())
        else:
            _report(request, act, *_change_each(chosen, change, actor_of(request)))
        return None


def _latest_operations(organization: Organization) -> Table:
    rows = organization.operations.all()[:TABLE_MAX_ROWS]
    return Table(
        Operation,
        "Operations",
        ["Kind", "Status", "Last step", "Attempts", "By", "Created"],
        [
            [
                Cell(row.kind, page_of(row)), Cell(row.get_status_display()), Cell(row.step),
                Cell(str(row.attempts)), Cell(row.by), Cell(row.created_at),
            ]
            for row in rows
        ],
        "No operations.",
        list_of(Operation, organization__id__exact=organization.pk),
    )  # fmt: skip


def _latest_events(organization: Organization) -> Table:
    rows = organization.audit_events.all()[:TABLE_MAX_ROWS]
    return Table(
        AuditEvent,
        "Audit",
        ["Action", "Actor", "At"],
        [[Cell(row.action, page_of(row)), Cell(row.actor), Cell(row.at)] for row in rows],
        "No audit events.",
        list_of(AuditEvent, organization__id__exact=organization.pk),
    )


def _suspend(organization_id: UUID, by: str) -> bool:
    return lifecycle.suspend_organization(organization_id, by=by)


def _resume(organization_id: UUID, by: str) -> bool:
    return lifecycle.resume_organization(organization_id, by=by)


def _selection_page(chosen: Sequence[Organization], act: Act) -> Page:
    selected = [(ACTION_CHECKBOX_NAME, str(organization.pk)) for organization in chosen]
    return Page(
        title=f"{act.label} selected organizations",
        lines=act.explain(chosen[0], act.form(chosen[0])),
        names=[f"{each} ({each.get_status_display().lower()})" for each in chosen],
        button=act.label,
        back=list_of(Organization),
        hidden=[("action", f"{act.name}_selected"), ("confirmed", "yes"), *selected],
    )


def _change_each(
    chosen: Sequence[Organization], change: Callable[[UUID, str], bool], by: str
) -> tuple[int, list[str]]:
    """Return how many changed, and why the others did not."""
    changed, refused = 0, []
    for organization in chosen:
        try:
            changed += change(organization.pk, by)
        except TenancyError as error:
            refused.append(f"“{organization}”: {error.detail}")
    return changed, refused


def _report(request: HttpRequest, act: Act, changed: int, refused: list[str]) -> None:
    plural = "" if changed == 1 else "s"
    messages.success(request, f"{act.label}: {changed} organization{plural} changed.")
    for reason in refused[:REFUSALS_SHOWN]:
        messages.error(request, reason)
    if len(refused) > REFUSALS_SHOWN:
        messages.error(request, f"{len(refused) - REFUSALS_SHOWN} more were refused.")
