"""The audit: who did what to which organization."""

from django.contrib import admin

from tenancy.admin.records import ORGANIZATION_SEARCH, RecordAdmin, as_json, short_actor
from tenancy.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(RecordAdmin[AuditEvent]):
    """Events, never changed."""

    list_display = ["at", "action", "organization", "short_by"]
    list_filter = ["at", ("action", admin.AllValuesFieldListFilter)]
    list_select_related = ["organization"]
    search_fields = ["actor", "action", *ORGANIZATION_SEARCH]
    search_help_text = "Actor, action, or name, slug (also a former one) or id of the organization"
    readonly_fields = ["pretty_details"]
    fields = ["at", "action", "organization", "actor", "pretty_details"]

    @admin.display(description="actor", ordering="actor")
    def short_by(self, event: AuditEvent) -> str:
        """Return who did it."""
        return short_actor(event.actor)

    @admin.display(description="details")
    def pretty_details(self, event: AuditEvent) -> str:
        """Return the details."""
        return as_json(event.details)
