"""Invitations: who was asked in where, and the end of it."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.invitations import revoke_invitations, state_of
from accounts.models import Invitation
from tenancy.admin.records import ORGANIZATION_SEARCH, RecordAdmin, actor_of

SELECTION_MAX_INVITATIONS = 500


@admin.register(Invitation)
class InvitationAdmin(RecordAdmin[Invitation]):
    """Invitations; read here, and revoked. Of a token there is nothing to be seen."""

    list_display = ["email", "organization", "role", "state", "invited_by", "sent_at", "sent_count"]
    list_filter = [
        "role",
        ("accepted_at", admin.EmptyFieldListFilter),
        ("revoked_at", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["organization", "invited_by"]
    search_fields = ["email", "id", "invited_by__email", *ORGANIZATION_SEARCH]
    search_help_text = (
        "Invited or inviting e-mail address, id; name, slug or id of the organization"
    )
    actions = ["revoke_selected"]
    readonly_fields = ["state"]
    fields = [
        "email", "organization", "role", "state", "invited_by", "invited_by_key", "created_at",
        "sent_at", "sent_count", "expires_at", "accepted_at", "accepted_by", "revoked_at",
    ]  # fmt: skip

    @admin.display(description="state")
    def state(self, invitation: Invitation) -> str:
        """Return what has become of it."""
        return state_of(invitation).capitalize()

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may take invitations back."""
        return request.user.has_perm("accounts.change_invitation")

    @admin.action(description="Revoke selected invitations", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """Take the invitations back, and say so in the audit of their organizations."""
        chosen = list(queryset.values_list("pk", flat=True)[:SELECTION_MAX_INVITATIONS])
        rows = Invitation.objects.filter(pk__in=chosen)
        revoked = revoke_invitations(rows, by=actor_of(request))
        messages.success(request, f"{revoked} invitation{'' if revoked == 1 else 's'} revoked.")
