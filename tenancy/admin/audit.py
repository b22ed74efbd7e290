"""The audit: who did what to which organization, and whether that is as it was written."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from tenancy.admin.records import (
    ORGANIZATION_SEARCH,
    RecordAdmin,
    Tool,
    as_json,
    list_of,
    may_view,
    short_actor,
)
from tenancy.audit_chain import Verdict, verify_chain
from tenancy.models import AuditChain, AuditEvent

# What a page has time for; `verify_audit` reads everything.
VERIFY_MAX_EVENTS = 20_000


class ChainFilter(admin.SimpleListFilter):
    """Events of organizations, or of what concerns none."""

    title = "chain"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        """Return the two choices."""
        return [("service", "Service"), ("organizations", "Organizations")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        """Keep the chosen events."""
        if self.value() == "service":
            return queryset.filter(chain=AuditChain.SERVICE)
        if self.value() == "organizations":
            return queryset.exclude(chain=AuditChain.SERVICE)
        return queryset


def verify_tools(request: HttpRequest, key: str) -> list[Tool]:
    """Return the button that verifies a chain, for those who may see it."""
    if not may_view(request, AuditEvent):
        return []
    return [Tool("Verify audit", reverse("admin:tenancy_auditevent_verify", args=[key]))]


@admin.register(AuditEvent)
class AuditEventAdmin(RecordAdmin[AuditEvent]):
    """Events, never changed."""

    list_display = ["at", "action", "organization", "short_by", "address", "sequence"]
    list_filter = ["at", ChainFilter, ("action", admin.AllValuesFieldListFilter)]
    list_select_related = ["organization"]
    date_hierarchy = "at"
    search_fields = ["actor", "action", "chain", "request_id", *ORGANIZATION_SEARCH]
    search_help_text = (
        "Actor, action, request, or name, slug (also a former one) or id of the organization"
    )
    readonly_fields = ["pretty_details"]
    fields = [
        "at", "action", "organization", "actor", "pretty_details", "request_id", "address",
        "chain", "sequence", "hash",
    ]  # fmt: skip

    @admin.display(description="actor", ordering="actor")
    def short_by(self, event: AuditEvent) -> str:
        """Return who did it."""
        return short_actor(event.actor)

    @admin.display(description="details")
    def pretty_details(self, event: AuditEvent) -> str:
        """Return the details."""
        return as_json(event.details)

    def tools(self, request: HttpRequest, record: AuditEvent) -> list[Tool]:
        """Return the button that verifies the event's chain."""
        return verify_tools(request, record.chain)

    def get_urls(self) -> list[URLPattern]:
        """Add the verification of a chain."""
        verify = self.admin_site.admin_view(self.verify)
        route = path("verify/<slug:key>/", verify, name="tenancy_auditevent_verify")
        return [route, *super().get_urls()]

    def verify(self, request: HttpRequest, key: str) -> HttpResponse:
        """Verify the newest events of a chain, and say so above its events. Nothing is changed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        verdict = verify_chain(key, newest=VERIFY_MAX_EVENTS)
        tell = messages.success if verdict.is_whole else messages.error
        tell(request, sentence_of(verdict))
        return HttpResponseRedirect(list_of(AuditEvent, chain__exact=key))


def sentence_of(verdict: Verdict) -> str:
    """Return what was found in a chain."""
    broken = verdict.broken
    if broken is not None:
        row = f" (id {broken.event_id})" if broken.event_id is not None else ""
        return f"The audit is broken at sequence {broken.sequence}{row}: {broken.detail}"
    older = " Older ones were not looked at: verify_audit does that." if verdict.first > 1 else ""
    return f"The audit is whole: {verdict.events} events, head {verdict.head or '-'}.{older}"
