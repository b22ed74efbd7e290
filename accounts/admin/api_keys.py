"""API keys: which programs have a way in, and the end of it. Nothing here opens anything."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.api_keys import revoke_key
from accounts.models import ApiKey
from tenancy.admin.records import ORGANIZATION_SEARCH, RecordAdmin, actor_of

SELECTION_MAX_KEYS = 500


@admin.register(ApiKey)
class ApiKeyAdmin(RecordAdmin[ApiKey]):
    """Keys of organizations; read here, and revoked."""

    list_display = ["name", "organization", "role", "state", "last_used_at", "created"]
    list_filter = ["role", "created_at", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["organization"]
    search_fields = ["name", "id", "created_by", *ORGANIZATION_SEARCH]
    search_help_text = "Name or id of the key, its creator; name, slug or id of the organization"
    actions = ["revoke_selected"]
    readonly_fields = ["id", "state"]
    fields = [
        "id", "name", "organization", "state", "role", "scopes", "collections", "created_by",
        "created_at", "rotated_at", "previous_until", "last_used_at", "expires_at", "revoked_at",
    ]  # fmt: skip

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        """Return whether the key still opens something."""
        return key.status_at(timezone.now()).capitalize()

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may end keys."""
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke selected API keys", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """End the keys, each with an event in the audit of its organization."""
        chosen = list(queryset.filter(revoked_at=None)[:SELECTION_MAX_KEYS])
        by = actor_of(request)
        ended = sum(revoke_key(key.organization_id, key.pk, by=by) for key in chosen)
        messages.success(request, f"{ended} API key{'' if ended == 1 else 's'} revoked.")
