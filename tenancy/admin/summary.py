"""The first page of the operators' site: how many organizations, how full, what goes wrong."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse

from tenancy.admin.bars import usage_bar
from tenancy.admin.doctor import doctor_view, last_check
from tenancy.admin.examinations import NOT_YET, Look, look_at
from tenancy.admin.records import Cell, list_of, may_view, page_of
from tenancy.lifecycle.capacity import WARNING_SHARE
from tenancy.models import Cluster, Operation, OperationStatus, Organization, OrganizationStatus
from tenancy.names import KINDS

CLUSTERS_MAX = 50
# The first page waits less for clusters than their own does.
WAIT_SECONDS = 0.5
COUNTED = (OperationStatus.PENDING, OperationStatus.RUNNING, OperationStatus.FAILED)


@dataclass(frozen=True)
class ClusterWarning:
    """A cluster that somebody should look at."""

    alias: Cell
    what: Any


def organizations_table() -> list[tuple[Cell, list[int], int]]:
    """Return for each status how many organizations of each kind there are, and in all."""
    counted: dict[str, dict[str, int]] = {}
    rows = Organization.objects.order_by().values_list("status", "placement__kind")
    for status, kind, count in rows.annotate(Count("pk")):
        counted.setdefault(status, {})[kind] = count
    return [
        (
            Cell(status.label, list_of(Organization, status__exact=status.value)),
            [counted[status].get(kind, 0) for kind in KINDS],
            sum(counted[status].values()),
        )
        for status in OrganizationStatus
        if status in counted
    ]


def operations_table() -> list[tuple[Cell, int]]:
    """Return how many operations are open or failed."""
    rows = Operation.objects.order_by().filter(status__in=COUNTED).values_list("status")
    counted = dict(rows.annotate(Count("pk")))
    return [
        (Cell(status.label, list_of(Operation, status__exact=status.value)), counted.get(status, 0))
        for status in COUNTED
    ]


def cluster_warnings() -> tuple[int, list[ClusterWarning]]:
    """Return how many clusters were looked at, and those that somebody should look at."""
    rows = list(Cluster.objects.all()[:CLUSTERS_MAX])
    looks = look_at(rows, wait_seconds=WAIT_SECONDS)
    told = [(row, _warning(looks[row.pk])) for row in rows]
    return len(rows), [
        ClusterWarning(Cell(row.alias, page_of(row)), what) for row, what in told if what
    ]


def _warning(look: Look) -> Any:
    found = look.capacity
    if found is None:
        return " ".join(look.problems) or NOT_YET
    if found.share < WARNING_SHARE:
        return " ".join(look.problems)
    if (
        found.files
        and found.max_files
        and found.files / found.max_files > found.used / max(found.ceiling, 1)
    ):
        return usage_bar("Open files", found.files, found.max_files)
    return usage_bar("Collections and indexes", found.used, found.ceiling)


def summary_for(request: HttpRequest) -> dict[str, Any]:
    """Return what the operator may see of it."""
    summary: dict[str, Any] = {}
    if may_view(request, Organization):
        summary |= {"kinds": KINDS, "organizations": organizations_table(), "last": last_check()}
        summary["doctor"] = reverse("admin:tenancy_doctor")
    if may_view(request, Operation):
        summary["operations"] = operations_table()
    if may_view(request, Cluster):
        summary["clusters"], summary["cluster_warnings"] = cluster_warnings()
    return summary


class Pages:
    """The pages of the site that are no model's, added to those that it has."""

    def __init__(self, site: admin.AdminSite) -> None:
        self.site = site
        self._index, self._urls = site.index, site.get_urls

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show the summary above the list of models."""
        context = {"summary": summary_for(request)} | (extra_context or {})
        return self._index(request, context)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Add the doctor's page."""
        return [path("doctor/", self.doctor, name="tenancy_doctor"), *self._urls()]

    def doctor(self, request: HttpRequest) -> HttpResponse:
        """Let operators in, and nobody else."""
        return self.site.admin_view(doctor_view)(request)


def add_pages(site: admin.AdminSite) -> None:
    """Give the site its first page and the doctor's."""
    pages = Pages(site)
    site.index = pages.index  # type: ignore[method-assign]
    site.get_urls = pages.get_urls  # type: ignore[method-assign]
    site.index_template = "admin/tenancy/index.html"
