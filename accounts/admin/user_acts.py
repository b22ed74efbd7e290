"""What operators do to users, several at once: sign out, lock, unlock."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.authenticators import reset_two_factor
from accounts.locking import lock_user, unlock_user
from accounts.models import Session, User
from accounts.sessions import end_admin_sessions, revoke_with_trace
from tenancy.admin.records import actor_of

SELECTION_MAX_USERS = 200


class UserActs:
    """The actions of the list of users. Each leaves out whom the operator may not change."""

    actions: Any = [
        "sign_out_selected", "lock_selected", "unlock_selected", "reset_two_factor_selected",
    ]  # fmt: skip

    @admin.action(description="Sign selected users out everywhere", permissions=["change"])
    def sign_out_selected(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End every session of the users."""
        users, _ = self._changeable(request, queryset)
        with transaction.atomic():
            ended = revoke_with_trace(Session.objects.filter(user__in=users), by=actor_of(request))
            others = [user.pk for user in users if user.pk != request.user.pk]
            end_admin_sessions(pk__in=others)
        messages.success(request, f"{ended} session{'' if ended == 1 else 's'} ended.")

    @admin.action(description="Lock selected users", permissions=["change"])
    def lock_selected(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Refuse the users every credential from now on; oneself is left out."""
        self._each(request, queryset.exclude(pk=str(request.user.pk)), lock_user, "locked")

    @admin.action(description="Unlock selected users", permissions=["change"])
    def unlock_selected(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Let the users sign in again."""
        self._each(request, queryset, unlock_user, "unlocked")

    @admin.action(description="Reset two factors of selected users", permissions=["change"])
    def reset_two_factor_selected(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Remove authenticators and recovery codes, for users who lost both."""
        self._each(request, queryset, reset_two_factor, "reset")

    def _each(
        self, request: HttpRequest, chosen: QuerySet[User], act: Callable[..., bool], done: str
    ) -> None:
        users, left_out = self._changeable(request, chosen)
        count = sum(act(user, by=actor_of(request)) for user in users)
        messages.success(request, f"{count} user{'' if count == 1 else 's'} {done}.")
        if left_out:
            messages.warning(request, f"{left_out} left out: only a superuser changes operators.")

    def _changeable(self, request: HttpRequest, chosen: QuerySet[User]) -> tuple[list[User], int]:
        """Return the users whom the operator may change, and how many others were chosen."""
        owner: Any = self
        users = list(chosen[:SELECTION_MAX_USERS])
        allowed = [user for user in users if owner.has_change_permission(request, user)]
        return allowed, len(users) - len(allowed)
