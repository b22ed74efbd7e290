"""Users: who they are, whether they may sign in, and who of them are operators."""

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.views import PasswordChangeView
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin.forms import NewUserForm, OwnPasswordForm, PasswordForm, UserForm
from accounts.admin.user_acts import UserActs
from accounts.models import Membership, Session, User
from accounts.sessions import revoke_sessions
from accounts.traces import record_for_user
from tenancy.admin.records import actor_of, list_of
from tenancy.audit import record_event

MEMBERSHIPS_MAX = 100
# A change of one of these ends the user's sessions, as a change of the password does.
ENDS_SESSIONS = frozenset({"email", "is_active"})
PERSONAL = frozenset({"email", "name"})
POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")

if TYPE_CHECKING:
    _UserAdmin = DjangoUserAdmin[User]
    _TabularInline = admin.TabularInline[Membership, User]
else:
    _UserAdmin, _TabularInline = DjangoUserAdmin, admin.TabularInline


class MembershipInline(_TabularInline):
    """The organizations of a user; read here, changed on the page of each membership."""

    model = Membership
    fields = ["organization", "role", "created_at"]
    readonly_fields = ["organization", "role", "created_at"]
    max_num = MEMBERSHIPS_MAX
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse."""
        return False


@admin.register(User)
class UserAdmin(UserActs, _UserAdmin):
    """Users, by their address. What makes an operator is given by superusers alone."""

    form = UserForm
    add_form = NewUserForm
    change_password_form = PasswordForm
    inlines = [MembershipInline]
    list_display = ["email", "name", "is_staff", "is_active", "created_at"]
    list_filter = ["is_staff", "is_superuser", "is_active"]
    search_fields = ["email", "name", "id"]
    search_help_text = "E-mail address, name or id"
    ordering = ["email"]
    readonly_fields = ["id", "password_link", "sessions_link", "last_login", "created_at"]
    fieldsets = [
        (None, {"fields": ["email", "name", "is_active", "password_link", "sessions_link"]}),
        ("Operator", {"fields": POWERS}),
        ("Record", {"fields": ["id", "last_login", "created_at"]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["email", "name", "password1", "password2"]})
    ]

    @admin.display(description="password")
    def password_link(self, user: User) -> str:
        """Return the way to a new password; of the old one nothing is shown."""
        url = reverse("admin:auth_user_password_change", args=[user.pk])
        return format_html('<a href="{}">Set a new password</a>', url)

    @admin.display(description="sessions")
    def sessions_link(self, user: User) -> str:
        """Return how many sessions are open, and the way to them."""
        still_open = user.sessions.filter(revoked_at=None, expires_at__gt=timezone.now()).count()
        url = list_of(Session, user__id__exact=user.pk)
        return format_html('<a href="{}">{} open</a>', url, still_open)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse: users are deactivated."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse changes of other operators, unless by a superuser."""
        if obj is not None and obj.is_staff and obj != request.user:
            return bool(getattr(request.user, "is_superuser", False))
        return super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Let superusers alone give powers."""
        fixed = list(self.readonly_fields)
        return fixed if getattr(request.user, "is_superuser", False) else [*fixed, *POWERS]

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[Any]:
        """Leave the memberships out of the page of a user that is not there yet."""
        return [MembershipInline] if obj else []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save what was changed, and that alone: what others change meanwhile stays.

        The sessions of a user who was deactivated or has another address end.
        """
        if not change:
            super().save_model(request, obj, form, change)
            return
        changed = set(form.changed_data)
        columns = changed & {*PERSONAL, "is_active", "is_staff", "is_superuser"}
        values = {name: getattr(obj, name) for name in columns}
        if values and not User.objects.filter(pk=obj.pk).update(**values):
            raise Http404
        if ENDS_SESSIONS & changed:
            revoke_sessions(user=obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """Save groups and permissions; then record everything that was done to the user."""
        super().save_related(request, form, formsets, change)
        record_changes(
            form.instance, set(form.changed_data), by=actor_of(request), is_new=not change
        )

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 -- Django's name
        form_url: str = "",
    ) -> HttpResponse:
        """Let an operator set somebody's password; the form knows who does."""
        this_time = copy(self)
        this_time.change_password_form = partial(  # type: ignore[assignment]
            PasswordForm, by=actor_of(request)
        )
        return super(UserAdmin, this_time).user_change_password(request, id, form_url)


def record_changes(user: User, changed: set[str], *, by: str, is_new: bool) -> None:
    """Record what an operator did to a user: the names of the fields, not what is in them."""
    if is_new:
        record_for_user(user, "user.created", by=by)
        return
    if personal := changed & PERSONAL:
        record_for_user(user, "user.changed", by=by, **dict.fromkeys(sorted(personal), True))
    if "is_active" in changed:
        record_for_user(user, "user.unlocked" if user.is_active else "user.locked", by=by)
    if fields := sorted(changed & set(POWERS)):
        record_event(
            None, "operator.powers_changed", by=by, user=str(user.pk), fields=fields,
            operator=user.is_staff, superuser=user.is_superuser,
        )  # fmt: skip


def change_own_password(
    request: HttpRequest, extra_context: dict[str, Any] | None = None
) -> TemplateResponse:
    """Let an operator choose a new password; everybody signed in as this user is signed out."""
    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm,
        success_url=reverse_lazy("admin:password_change_done"),
        extra_context={**admin.site.each_context(request), **(extra_context or {})},
    )
    return cast(TemplateResponse, view(request))
