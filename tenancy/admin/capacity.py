"""Where organizations can live, where they do, and how much they may use."""

from django.contrib import admin
from django.http import HttpRequest

from tenancy.admin.records import ORGANIZATION_SEARCH, RecordAdmin, UndeletableAdmin
from tenancy.models import Cluster, Placement, Plan


@admin.register(Placement)
class PlacementAdmin(RecordAdmin[Placement]):
    """Where each organization's data lives."""

    list_display = ["namespace", "organization", "kind", "cluster", "epoch"]
    list_filter = ["kind", "cluster"]
    list_select_related = ["organization", "cluster"]
    search_fields = ["namespace", *ORGANIZATION_SEARCH]
    search_help_text = "Namespace, or name, slug (also a former one) or id of the organization"


@admin.register(Cluster)
class ClusterAdmin(UndeletableAdmin[Cluster]):
    """MongoDB deployments; placements refer to them by their alias."""

    list_display = ["alias", "region", "accepts_new"]
    list_filter = ["accepts_new", "region"]
    search_fields = ["alias", "region", "note"]

    def get_readonly_fields(self, request: HttpRequest, obj: Cluster | None = None) -> list[str]:
        """Keep the alias once it is given."""
        return ["alias"] if obj else []


@admin.register(Plan)
class PlanAdmin(UndeletableAdmin[Plan]):
    """What organizations may use."""

    list_display = ["code", "max_collections", "max_document_bytes"]
    search_fields = ["code"]

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        """Keep the code once it is given."""
        return ["code"] if obj else []
