"""Memberships, and the people on the page of an organization."""

from collections.abc import Iterable

from django.contrib import admin
from django.http import HttpRequest

from accounts.models import Membership
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
from tenancy.models import Organization


@admin.register(Membership)
class MembershipAdmin(RecordAdmin[Membership]):
    """Who belongs to which organization, in which role."""

    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "organization"]
    search_fields = ["user__email", "user__name", *ORGANIZATION_SEARCH]
    search_help_text = "E-mail address or name of the user; name, slug or id of the organization"


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
