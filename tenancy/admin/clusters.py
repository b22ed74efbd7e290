"""Clusters: what they answer, how full they are, who lives there; added, changed and removed."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.views.decorators.debug import sensitive_post_parameters

from tenancy import catalog
from tenancy.admin.bars import usage_bar
from tenancy.admin.cluster_forms import (
    ClusterForm,
    NewClusterForm,
    RemovalForm,
    initial_of,
    traits_from,
)
from tenancy.admin.confirmation import Page, confirm, posted
from tenancy.admin.examinations import NOT_YET, Look, forget_examinations, look_at
from tenancy.admin.organization_tables import organizations_on
from tenancy.admin.records import (
    NOTHING,
    RecordAdmin,
    Table,
    Tool,
    actor_of,
    list_of,
    page_of,
    shortened,
)
from tenancy.lifecycle.clusters import add_cluster, change_cluster, remove_cluster
from tenancy.models import Cluster
from tenancy.mongo.cluster_probe import ClusterFacts

CLUSTERS_ON_A_PAGE = 50
JAVASCRIPT = {True: "runs", False: "off", None: "unknown"}
# What is said of a cluster that answers: label and value, unknown where its user may not read it.
FACTS = (
    ("deployment", lambda facts: f"{facts.topology}, MongoDB {facts.version}"),
    ("hosts", lambda facts: ", ".join(facts.hosts)),
    ("round trip", lambda facts: f"{facts.round_trip_ms:g} ms"),
    ("write concern", lambda facts: facts.write_concern),
    ("javascript", lambda facts: JAVASCRIPT[facts.javascript]),
    ("oplog", lambda facts: None if facts.oplog_hours is None else f"{facts.oplog_hours:g} hours"),
    ("connections", lambda facts: facts.load.connections),
)


class ClusterList(ChangeList):
    """A page of clusters, with what each of them answers."""

    def get_results(self, request: HttpRequest) -> None:
        """Look at the clusters of the page, all at the same time."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        attach_looks(self.result_list)


def attach_looks(rows: Iterable[Cluster]) -> None:
    """Look at clusters, and keep on each row what was seen."""
    clusters = list(rows)
    looks = look_at(clusters)
    for row in clusters:
        vars(row)["look"] = looks[row.pk]


def look_of(row: Cluster) -> Look:
    """Return what was seen of a cluster."""
    look: Look = vars(row)["look"]
    return look


@admin.register(Cluster)
class ClusterAdmin(RecordAdmin[Cluster]):
    """MongoDB deployments; placements refer to them by their alias. Nobody sees their URI."""

    list_display = [
        "alias", "region", "reached", "capacity", "open_files", "tenants", "new_tenants",
    ]  # fmt: skip
    list_filter = ["accepts_new", "region"]
    list_select_related = ["dedicated_to"]
    list_per_page = CLUSTERS_ON_A_PAGE
    list_max_show_all = CLUSTERS_ON_A_PAGE
    search_fields = ["alias", "region", "note"]
    readonly_fields = [
        "reached", "problems", "notes", "facts", "capacity", "open_files", "tenants",
        "database_used",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["alias", "reached", "problems", "notes"]}),
        ("Capacity", {"fields": ["capacity", "open_files"]}),
        (
            "Organizations",
            {"fields": ["tenants", "accepts_new", "dedicated_to", "region", "database_used"]},
        ),
        ("Facts", {"fields": ["facts", "note"]}),
    ]

    @admin.display(description="reached")
    def reached(self, row: Cluster) -> str:
        """Return how quickly it answers, or why it does not."""
        seen = look_of(row).seen
        if seen is None:
            return NOT_YET
        if seen.facts is None:
            return f"No. {shortened(' '.join(seen.problems).partition('. ')[0])}"
        return f"Yes, in {seen.facts.round_trip_ms:g} ms"

    @admin.display(description="capacity")
    def capacity(self, row: Cluster) -> str:
        """Return how many collections and indexes it holds, of those it may."""
        found = look_of(row).capacity
        return usage_bar("Collections and indexes", found.used, found.ceiling) if found else NOTHING

    @admin.display(description="open files")
    def open_files(self, row: Cluster) -> str:
        """Return how many files it needs with everything open, of those it may open."""
        found = look_of(row).capacity
        if found is None or not found.files or not found.max_files:
            return NOTHING
        return usage_bar("Open files", found.files, found.max_files)

    @admin.display(description="tenants")
    def tenants(self, row: Cluster) -> str:
        """Return how many organizations live there, by kind."""
        parts = [f"{count:,} {kind}" for kind, count in look_of(row).tenants.items()]
        return ", ".join(parts) or "none"

    @admin.display(description="accepts new", ordering="accepts_new")
    def new_tenants(self, row: Cluster) -> str:
        """Return who may be placed there."""
        if row.dedicated_to is not None:
            return f"dedicated to {row.dedicated_to.slug or row.dedicated_to_id}"
        return "yes" if row.accepts_new else "no"

    @admin.display(description="problems")
    def problems(self, row: Cluster) -> str:
        """Return what is wrong with it."""
        return _as_list(look_of(row).problems) or "none"

    @admin.display(description="could be better")
    def notes(self, row: Cluster) -> str:
        """Return what could be better."""
        seen = look_of(row).seen
        return _as_list(seen.notes if seen else ()) or NOTHING

    @admin.display(description="it is")
    def facts(self, row: Cluster) -> str:
        """Return what it is."""
        seen = look_of(row).seen
        return _as_list(_told(seen.facts)) if seen and seen.facts else NOTHING

    @admin.display(description="database")
    def database_used(self, row: Cluster) -> str:
        """Return the database of shared and own collections."""
        return catalog.database_of(row)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that looks at its clusters."""
        return ClusterList

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may add clusters."""
        return request.user.has_perm("tenancy.add_cluster")

    def get_urls(self) -> list[URLPattern]:
        """Add the pages that change and remove a cluster."""
        change = self.admin_site.admin_view(self.traits_view)
        remove = self.admin_site.admin_view(self.removal_view)
        return [
            path("<int:cluster_id>/traits/", change, name="tenancy_cluster_traits"),
            path("<int:cluster_id>/removal/", remove, name="tenancy_cluster_removal"),
            *super().get_urls(),
        ]

    def tools(self, request: HttpRequest, record: Cluster) -> list[Tool]:
        """Return the buttons that the operator's permissions allow."""
        tools = []
        if request.user.has_perm("tenancy.change_cluster"):
            tools.append(Tool("Change", reverse("admin:tenancy_cluster_traits", args=[record.pk])))
        if request.user.has_perm("tenancy.delete_cluster") and record.alias != Cluster.DEFAULT:
            tools.append(Tool("Remove", reverse("admin:tenancy_cluster_removal", args=[record.pk])))
        return tools

    def tables(self, request: HttpRequest, record: Cluster) -> Iterable[Table]:
        """Return some of the organizations that live there."""
        return [organizations_on(record)]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Look at the cluster."""
        if context.get("original") is not None:
            attach_looks([context["original"]])
        return super().render_change_form(request, context, *args, **kwargs)

    @method_decorator(sensitive_post_parameters("uri"))
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Examine a cluster and add it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        page = Page(
            title="Add cluster",
            lines=["It is examined now, which takes some seconds if it is not reached."],
            button="Add",
            back=list_of(Cluster),
        )

        def add(given: dict[str, Any]) -> tuple[str, str]:
            row = add_cluster(
                given["alias"], given["uri"], traits_from(given), by=actor_of(request),
                force=given["force"],
            )  # fmt: skip
            return f"The cluster “{row}” is added.", _after(self, request, row)

        return confirm(self, request, page, NewClusterForm(posted(request)), add)

    @method_decorator(sensitive_post_parameters("uri"))
    def traits_view(self, request: HttpRequest, cluster_id: int) -> HttpResponse:
        """Change what a cluster is for, or how it is reached."""
        row = self._get(request, cluster_id, "tenancy.change_cluster")
        page = Page(
            title="Change", subtitle=str(row), button="Save", back=_after(self, request, row),
            lines=["Organizations that live there stay, and are served all the time."],
        )  # fmt: skip

        def change(given: dict[str, Any]) -> tuple[str, str]:
            names = change_cluster(
                row, traits_from(given), given["uri"], by=actor_of(request), force=given["force"]
            )
            forget_examinations()
            told = ", ".join(name.removesuffix("_encrypted") for name in names)
            return f"Changed: {told}." if told else "Nothing changed.", page.back

        form = ClusterForm(posted(request), initial=initial_of(row))
        return confirm(self, request, page, form, change)

    def removal_view(self, request: HttpRequest, cluster_id: int) -> HttpResponse:
        """Forget a cluster that nobody lives on."""
        row = self._get(request, cluster_id, "tenancy.delete_cluster")
        page = Page(
            title="Remove", subtitle=str(row), button="Remove", back=_after(self, request, row),
            lines=[
                "Nothing is sent to it; what lies on it stays there.",
                "It has to be added again, with its URI, before it can be used again.",
                "A cluster that organizations live on is not removed.",
            ],
            is_destructive=True,
        )  # fmt: skip

        def remove(given: dict[str, Any]) -> tuple[str, str]:
            remove_cluster(row, by=actor_of(request))
            seen = self.has_view_permission(request)
            return f"“{row}” is removed.", list_of(Cluster) if seen else reverse("admin:index")

        return confirm(self, request, page, RemovalForm(row, posted(request)), remove)

    def _get(self, request: HttpRequest, cluster_id: int, permission: str) -> Cluster:
        if not request.user.has_perm(permission):
            raise PermissionDenied
        rows: QuerySet[Cluster] = Cluster.objects.select_related("dedicated_to")
        row = rows.filter(pk=cluster_id).first()
        if row is None:
            raise Http404
        return row


def _after(model_admin: ClusterAdmin, request: HttpRequest, row: Cluster) -> str:
    return page_of(row) if model_admin.has_view_permission(request) else reverse("admin:index")


def _as_list(texts: Iterable[str]) -> str:
    return format_html_join("", "<div>{}</div>", ((text,) for text in texts))


def _told(facts: ClusterFacts) -> list[str]:
    values = ((label, tell(facts)) for label, tell in FACTS)
    return [f"{label}: {'unknown' if value is None else value}" for label, value in values]
