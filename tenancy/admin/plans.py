"""Plans: what organizations may use, and where they are placed."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminBigIntegerFieldWidget
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from tenancy.admin.bars import size_text
from tenancy.admin.records import UndeletableAdmin, actor_of, list_of
from tenancy.audit import record_event
from tenancy.models import Cluster, Organization, Plan

# A document of MongoDB: https://www.mongodb.com/docs/manual/reference/limits/
DOCUMENT_MAX_BYTES = 16 * 1_048_576
NO_LIMIT = "Empty: no limit."
HELP = {
    "default_kind": "Where new organizations of the plan are placed; others stay where they are.",
    "region": "Where every organization of the plan lives. Empty: anywhere.",
    "max_collections": "Logical collections of one organization, main included.",
    "max_document_bytes": f"Of one document, at most {DOCUMENT_MAX_BYTES:,}.",
    "max_documents": f"In all collections of one organization. {NO_LIMIT}",
    "max_bytes": f"In all collections of one organization. {NO_LIMIT}",
    "max_members": "People of one organization; with its open invitations, when one more is made. "
    f"{NO_LIMIT}",
    "requests_per_minute": f"Of one organization, in any 60 seconds. {NO_LIMIT}",
    "burst": f"So many of the requests at most in any one second. {NO_LIMIT}",
}
# What a field takes where it takes anything, and what less would mean.
RATES = {
    "requests_per_minute": (1, 6_000_000, "With none every request would be refused."),
    "burst": (1, 100_000, "With none every request would be refused."),
    "max_members": (1, 1_000_000, "With none nobody could own an organization."),
}

if TYPE_CHECKING:
    _PlanForm = forms.ModelForm[Plan]
else:
    _PlanForm = forms.ModelForm


class PlanForm(_PlanForm):
    """A plan; an empty limit is no limit."""

    class Meta:
        model = Plan
        fields = ["code", *HELP]
        help_texts = HELP
        widgets = {"max_document_bytes": AdminBigIntegerFieldWidget}  # wide enough for its digits

    def clean_max_collections(self) -> int:
        """Refuse a plan under which nobody could have `main`."""
        return self._within("max_collections", 1)

    def clean_max_document_bytes(self) -> int:
        """Refuse more than MongoDB stores."""
        return self._within("max_document_bytes", 1, DOCUMENT_MAX_BYTES)

    def clean_requests_per_minute(self) -> int | None:
        """Refuse none at all, and more than any service answers: that is no limit."""
        return self._rate("requests_per_minute")

    def clean_burst(self) -> int | None:
        """Refuse none at all, and more than any service answers: that is no limit."""
        return self._rate("burst")

    def clean_max_members(self) -> int | None:
        """Refuse a plan under which an organization could not even have its owner."""
        return self._rate("max_members")

    def clean_region(self) -> str:
        """Refuse a region that no cluster is in: nobody could be placed there."""
        region: str = self.cleaned_data["region"]
        changed = region != self.instance.region
        if region and changed and not Cluster.objects.filter(region=region).exists():
            raise forms.ValidationError(f"There is no cluster in region “{region}”.")
        return region

    def _rate(self, name: str) -> int | None:
        """Return a limit that may be left empty. Raises ValidationError with the reason."""
        number: int | None = self.cleaned_data[name]
        least, most, reason = RATES[name]
        if number is None or least <= number <= most:
            return number
        bound = f"It is from {least} to {most:,}. {reason if number < least else ''}"
        raise forms.ValidationError(f"{bound.strip()} {NO_LIMIT}")

    def _within(self, name: str, least: int, most: int | None = None) -> int:
        number: int = self.cleaned_data[name]
        if number < least or (most is not None and number > most):
            bound = f"at least {least}" if most is None else f"from {least} to {most:,}"
            raise forms.ValidationError(f"It is {bound}.")
        return number


@admin.register(Plan)
class PlanAdmin(UndeletableAdmin[Plan]):
    """What organizations may use."""

    form = PlanForm
    list_display = [
        "code", "organizations", "default_kind", "region", "documents", "size", "collections",
        "members", "requests",
    ]  # fmt: skip
    list_filter = ["default_kind", "region"]
    search_fields = ["code", "region"]
    fieldsets = [
        (None, {"fields": ["code", "default_kind", "region"]}),
        (
            "Limits",
            {
                "fields": [
                    "max_documents", "max_bytes", "max_collections", "max_document_bytes",
                    "max_members", "requests_per_minute", "burst",
                ],
                "description": "They hold within a second, for writes and new things: what an "
                "organization has already stays.",
            },
        ),
    ]  # fmt: skip

    @admin.display(description="documents", ordering="max_documents")
    def documents(self, plan: Plan) -> str:
        """Return the limit of documents."""
        return _limit(plan.max_documents)

    @admin.display(description="size", ordering="max_bytes")
    def size(self, plan: Plan) -> str:
        """Return the limit of bytes."""
        return _limit(None) if plan.max_bytes is None else size_text(plan.max_bytes)

    @admin.display(description="collections", ordering="max_collections")
    def collections(self, plan: Plan) -> str:
        """Return the limit of collections."""
        return _limit(plan.max_collections)

    @admin.display(description="members", ordering="max_members")
    def members(self, plan: Plan) -> str:
        """Return the limit of members."""
        return _limit(plan.max_members)

    @admin.display(description="requests/min", ordering="requests_per_minute")
    def requests(self, plan: Plan) -> str:
        """Return the limit of requests."""
        return _limit(plan.requests_per_minute)

    @admin.display(description="organizations")
    def organizations(self, plan: Plan) -> str:
        """Return how many organizations have the plan, with the way to them."""
        count: int = vars(plan).get("organizations_count", 0)
        url = list_of(Organization, plan__id__exact=plan.pk)
        return format_html('<a href="{}">{}</a>', url, f"{count:,}")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        """Count the organizations in the same query."""
        return super().get_queryset(request).annotate(organizations_count=Count("organization"))

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        """Keep the code once it is given."""
        return ["code"] if obj else []

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save, and leave an audit event with what changed."""
        values = {name: form.cleaned_data.get(name) for name in form.changed_data}
        action = "plan.changed" if change else "plan.added"
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            record_event(None, action, by=actor_of(request), **{"plan": obj.code, **values})


def _limit(number: int | None) -> str:
    return "no limit" if number is None else f"{number:,}"
