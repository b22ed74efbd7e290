"""Placements: where each organization's data lives. Moves change them, nobody by hand."""

from django.contrib import admin

from tenancy.admin.records import ORGANIZATION_SEARCH, RecordAdmin
from tenancy.models import Placement


@admin.register(Placement)
class PlacementAdmin(RecordAdmin[Placement]):
    """Where each organization's data lives."""

    list_display = ["namespace", "organization", "kind", "cluster", "epoch"]
    list_filter = ["kind", "cluster"]
    list_select_related = ["organization", "cluster"]
    search_fields = ["namespace", *ORGANIZATION_SEARCH]
    search_help_text = "Namespace, or name, slug (also a former one) or id of the organization"
