"""The operators' pages about people: users, memberships, invitations, sessions and API keys."""

from django.contrib import admin

from accounts.admin.api_keys import ApiKeyAdmin
from accounts.admin.invitations import InvitationAdmin
from accounts.admin.memberships import MembershipAdmin, OrganizationWithPeopleAdmin
from accounts.admin.sessions import SessionAdmin
from accounts.admin.site import demand_second_factor
from accounts.admin.users import UserAdmin, change_own_password

__all__ = [
    "ApiKeyAdmin",
    "InvitationAdmin",
    "MembershipAdmin",
    "OrganizationWithPeopleAdmin",
    "SessionAdmin",
    "UserAdmin",
]

admin.site.password_change = change_own_password  # type: ignore[method-assign]
demand_second_factor(admin.site)
