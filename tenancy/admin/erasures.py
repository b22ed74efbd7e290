"""Erasure records: what was removed when an organization was purged."""

from django.contrib import admin

from tenancy.admin.records import RecordAdmin, as_json, short_actor
from tenancy.models import ErasureRecord


@admin.register(ErasureRecord)
class ErasureRecordAdmin(RecordAdmin[ErasureRecord]):
    """Records, never changed."""

    list_display = ["at", "organization_id", "collections", "documents", "bytes", "short_by"]
    list_filter = ["at"]
    search_fields = ["organization__id", "by"]
    search_help_text = "Id of the organization, or actor"
    readonly_fields = ["organization_id", "pretty_places"]
    fields = [
        "at", "organization_id", "by", "collections", "documents", "bytes", "members",
        "audit_addresses", "pretty_places",
    ]  # fmt: skip

    @admin.display(description="by", ordering="by")
    def short_by(self, record: ErasureRecord) -> str:
        """Return who had it removed."""
        return short_actor(record.by)

    @admin.display(description="places")
    def pretty_places(self, record: ErasureRecord) -> str:
        """Return the places that were emptied."""
        return as_json(record.places)
