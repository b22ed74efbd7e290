"""Organizations: read here, changed through the lifecycle."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html

from tenancy import lifecycle
from tenancy.admin.act_forms import Act, NameForm, name_rules
from tenancy.admin.acts import ACTS
from tenancy.admin.audit import verify_tools
from tenancy.admin.bars import size_text, usage_bar
from tenancy.admin.confirmation import Page, confirm, confirm_plan, posted, where_to_go_on
from tenancy.admin.organization_tables import latest_events, latest_operations
from tenancy.admin.records import (
    NOTHING,
    TABLE_MAX_ROWS,
    RecordAdmin,
    Table,
    Tool,
    actor_of,
    list_of,
    page_of,
)
from tenancy.admin.selections import act_on_selected
from tenancy.models import Organization, Usage

CHANGE = "tenancy.change_organization"


@admin.register(Organization)
class OrganizationAdmin(RecordAdmin[Organization]):
    """Search, filter and open organizations; act on them."""

    list_display = [
        "shown_name", "slug", "status", "kind", "cluster", "namespace", "plan", "created",
    ]  # fmt: skip
    list_filter = ["status", "placement__kind", "placement__cluster", "plan"]
    list_select_related = ["plan", "placement__cluster"]
    search_fields = ["name", "slug", "id", "slugs__slug"]
    search_help_text = "Name, slug (also a former one) or id"
    actions = ["suspend_selected", "resume_selected"]
    readonly_fields = [
        "shown_name", "former_slugs", "kind", "cluster", "namespace", "epoch", "bound_to",
        "declared", "documents_used", "bytes_used", "collections_used", "measured_at",
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
        ("Placement", {"fields": ["kind", "cluster", "namespace", "epoch", "bound_to"]}),
        (
            "Use",
            {
                "fields": [
                    "documents_used", "bytes_used", "collections_used", "declared", "measured_at",
                ]
            },
        ),
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
        """Return the alias of the cluster, with the way to its page."""
        row = organization.placement.cluster
        return format_html('<a href="{}">{}</a>', page_of(row), row.alias)

    @admin.display(description="namespace", ordering="placement__namespace")
    def namespace(self, organization: Organization) -> str:
        """Return the physical prefix or database name."""
        return organization.placement.namespace

    @admin.display(description="epoch")
    def epoch(self, organization: Organization) -> int:
        """Return how many places the organization has had."""
        return organization.placement.epoch

    @admin.display(description="region")
    def bound_to(self, organization: Organization) -> str:
        """Return the region that the data may not leave."""
        return organization.region or "bound to none"

    @admin.display(description="documents")
    def documents_used(self, organization: Organization) -> str:
        """Return how many of the documents of the plan are there."""
        used = _usage_of(organization).documents
        return usage_bar("Documents", used, organization.plan.max_documents)

    @admin.display(description="size")
    def bytes_used(self, organization: Organization) -> str:
        """Return how many of the bytes of the plan are used."""
        used, limit = _usage_of(organization).bytes, organization.plan.max_bytes
        shown = size_text(used) if limit is None else f"{size_text(used)} of {size_text(limit)}"
        return usage_bar("Size", used, limit, shown)

    @admin.display(description="collections")
    def collections_used(self, organization: Organization) -> str:
        """Return how many of the collections of the plan are there."""
        used = organization.collections.count()
        return usage_bar("Collections", used, organization.plan.max_collections)

    @admin.display(description="measured")
    def measured_at(self, organization: Organization) -> str:
        """Return when use was last measured and not only counted along."""
        at = _usage_of(organization).measured_at
        return date_format(at, "DATETIME_FORMAT") if at else "never: counted along with writes"

    @admin.display(description="their names")
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
        """Return a button for each act that the status allows, and one to verify the audit."""
        acts = ACTS.values() if self.has_act_permission(request) else ()
        offered = [
            Tool(act.label, reverse("admin:tenancy_act", args=[record.pk, act.name]))
            for act in acts
            if act.is_offered(record)
        ]
        return [*offered, *verify_tools(request, str(record.pk))]

    def tables(self, request: HttpRequest, record: Organization) -> Iterable[Table]:
        """Return the latest operations and audit events."""
        return [latest_operations(record), latest_events(record)]

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
        initial = {"name": "" if act.name == "clone" else organization.name}
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
        by, plan = actor_of(request), act.plan
        if plan is not None:
            return confirm_plan(
                self, request, page, form, lambda given: plan(organization, given), by=by
            )

        def run(given: dict[str, Any]) -> tuple[str, str]:
            return where_to_go_on(request, act.run(organization, given, by), back)

        return confirm(self, request, page, form, run)

    @admin.action(description="Suspend selected organizations", permissions=["act"])
    def suspend_selected(
        self, request: HttpRequest, queryset: QuerySet[Organization]
    ) -> HttpResponse | None:
        """Suspend several organizations, after a page that names them."""
        return act_on_selected(self, request, queryset, "suspend")

    @admin.action(description="Resume selected organizations", permissions=["act"])
    def resume_selected(
        self, request: HttpRequest, queryset: QuerySet[Organization]
    ) -> HttpResponse | None:
        """Resume several organizations, after a page that names them."""
        return act_on_selected(self, request, queryset, "resume")


def _usage_of(organization: Organization) -> Usage:
    return getattr(organization, "usage", None) or Usage(organization=organization)
