"""Memberships, and the people on the page of an organization."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.exceptions import LastOwner
from accounts.models import Membership
from accounts.ownership import Operator, change_role, check_role_change, remove_member
from accounts.roles import Role
from tenancy.admin import OrganizationAdmin
from tenancy.admin.records import (
    ORGANIZATION_SEARCH,
    TABLE_MAX_ROWS,
    Cell,
    RecordAdmin,
    Table,
    list_of,
    page_of,
)
from tenancy.exceptions import TenancyError
from tenancy.models import Organization

if TYPE_CHECKING:
    _MembershipForm = forms.ModelForm[Membership]
else:
    _MembershipForm = forms.ModelForm


class MembershipForm(_MembershipForm):
    """The role of a member; an operator is bound by the rules of owners."""

    operator_id: UUID  # set for each request

    class Meta:
        model = Membership
        fields = ["role"]

    def clean_role(self) -> Role:
        """Refuse to leave an organization without an owner. The rows stay locked until it saves."""
        role = Role(self.cleaned_data["role"])
        operator = _operator(self.operator_id, self.instance)
        try:
            check_role_change(operator, self.instance.pk, role)
        except TenancyError as error:
            raise forms.ValidationError(error.detail) from error
        return role


@admin.register(Membership)
class MembershipAdmin(RecordAdmin[Membership]):
    """Who belongs to which organization, in which role: to be changed and removed one by one."""

    form = MembershipForm
    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "organization"]
    search_fields = ["user__email", "user__name", *ORGANIZATION_SEARCH]
    search_help_text = "E-mail address or name of the user; name, slug or id of the organization"
    fields = ["user", "organization", "role", "created_at"]
    readonly_fields = ["user", "organization", "created_at"]
    actions = None  # many at once could not say which of them was refused

    def has_change_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        """Return whether the operator may change memberships."""
        return request.user.has_perm("accounts.change_membership")

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        """Return whether the operator may remove members."""
        return request.user.has_perm("accounts.delete_membership")

    def get_form(
        self,
        request: HttpRequest,
        obj: Membership | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 -- Django's signature
        **kwargs: Any,
    ) -> Any:
        """Return the form, which knows who fills it in."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.operator_id = request.user.pk
        return form

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:  # noqa: FBT001
        """Change the role; old access tokens end."""
        change_role(_operator(request.user.pk, obj), obj.pk, Role(obj.role))

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Remove the member; their sessions in the organization end."""
        remove_member(_operator(request.user.pk, obj), obj.pk)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask, then remove; say so if the rules of owners are against it."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except LastOwner as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(
                reverse("admin:accounts_membership_change", args=[object_id])
            )


def _operator(user_id: Any, membership: Membership) -> Operator:
    return Operator(membership.organization_id, user_id=user_id)


class OrganizationWithPeopleAdmin(OrganizationAdmin):
    """The page of an organization, with its people."""

    def tables(self, request: HttpRequest, record: Organization) -> Iterable[Table]:
        """Return the people, then what tenancy knows."""
        return [_people(record), *super().tables(request, record)]


def _people(organization: Organization) -> Table:
    rows = organization.memberships.select_related("user")[:TABLE_MAX_ROWS]
    return Table(
        Membership,
        "People",
        ["E-mail", "Name", "Role", "Since"],
        [
            [
                Cell(row.user.email, page_of(row.user)), Cell(row.user.name),
                Cell(row.get_role_display()), Cell(row.created_at),
            ]
            for row in rows
        ],
        "Nobody is a member.",
        list_of(Membership, organization__id__exact=organization.pk),
    )  # fmt: skip


admin.site.unregister(Organization)
admin.site.register(Organization, OrganizationWithPeopleAdmin)
