"""Sessions: who is signed in where, and the end of it."""

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Session
from accounts.sessions import revoke_sessions
from tenancy.admin.records import ORGANIZATION_SEARCH, RecordAdmin, actor_of
from tenancy.audit import record_event

SELECTION_MAX_SESSIONS = 500


@admin.register(Session)
class SessionAdmin(RecordAdmin[Session]):
    """Sign-ins; read here, and revoked."""

    list_display = ["user", "organization", "state", "user_agent", "address", "created"]
    list_filter = ["created_at", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user", "organization"]
    search_fields = ["user__email", "user__id", *ORGANIZATION_SEARCH]
    search_help_text = "E-mail address or id of the user; name, slug or id of the organization"
    actions = ["revoke_selected"]
    readonly_fields = ["state"]
    fields = [
        "user", "organization", "state", "user_agent", "address", "created_at", "expires_at",
        "revoked_at",
    ]  # fmt: skip

    @admin.display(description="state")
    def state(self, session: Session) -> str:
        """Return whether a token of the session is still worth something."""
        if session.revoked_at is not None:
            return "Revoked"
        return "Open" if session.expires_at > timezone.now() else "Expired"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may end sessions."""
        return request.user.has_perm("accounts.change_session")

    @admin.action(description="Revoke selected sessions", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        """End the sessions, and say so in the audit of their organizations."""
        ended = _revoke(queryset, by=actor_of(request))
        messages.success(request, f"{ended} session{'' if ended == 1 else 's'} revoked.")


def _revoke(chosen: QuerySet[Session], *, by: str) -> int:
    with transaction.atomic():
        still_open = chosen.filter(revoked_at=None).select_related("organization")
        sessions = list(still_open[:SELECTION_MAX_SESSIONS])
        ended = revoke_sessions(pk__in=[session.pk for session in sessions])
        # In one order, as everybody who records in several does: chains are locked one by one.
        for session in sorted(sessions, key=lambda each: str(each.organization_id)):
            record_event(session.organization, "session.revoked", by=by, user=str(session.user_id))
        return ended
