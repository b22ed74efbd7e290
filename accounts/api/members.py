"""The people of the credential's organization."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema_members as schema
from accounts.api.serializers_members import RoleChange
from accounts.authentication import find_principal
from accounts.exceptions import NotAuthenticated
from accounts.memberships import members_of
from accounts.models import Membership
from accounts.ownership import change_role, remove_member
from accounts.principals import Principal
from accounts.roles import Role
from tenancy.api.pages import page_of_rows
from tenancy.api.requests import check_parameters, choice_parameter, json_body, validated
from tenancy.api.views import TenantViewSet
from tenancy.exceptions import NotFound


def represent_member(membership: Membership) -> dict[str, Any]:
    """Return a member as their colleagues see them; a row of `members_of`."""
    user = membership.user
    return {
        "id": str(membership.pk),
        "user": {"id": str(user.pk), "email": user.email, "name": user.name},
        "role": str(membership.role),
        "two_factor": getattr(membership, "has_two_factor", False),
        "created_at": membership.created_at.isoformat(),
    }


@extend_schema(tags=["organization"])
class MemberViewSet(TenantViewSet):
    """Who belongs to the organization, and in which role."""

    required = {
        "list": "members.read",
        "partial_update": "members.manage",
        "destroy": "members.manage",
    }
    unlimited = frozenset({"destroy"})

    @extend_schema(**schema.LIST_MEMBERS)
    def list(self, request: Request) -> Response:
        """Return a page of members, who came first before the others."""
        check_parameters(request, "limit", "cursor", "role")
        role = choice_parameter(request, "role", Role.values)
        rows = members_of(self.tenant.id)
        if role is not None:
            rows = rows.filter(role=role)
        scope = f"{self.tenant.id}/members/{role}"
        return Response(
            page_of_rows(request, rows, represent_member, scope=scope, newest_first=False)
        )

    @extend_schema(**schema.CHANGE_MEMBER)
    def partial_update(self, request: Request, member_id: str) -> Response:
        """Give a member another role. Only an owner makes owners, or touches one."""
        check_parameters(request)
        form = validated(RoleChange, json_body(request))
        member = change_role(principal_of(request), parse_member_id(member_id), form["role"])
        return Response(represent_member(member))

    @extend_schema(**schema.REMOVE_MEMBER)
    def destroy(self, request: Request, member_id: str) -> Response:
        """Remove a member; their sessions in the organization end."""
        check_parameters(request)
        remove_member(principal_of(request), parse_member_id(member_id))
        return Response(status=204)


def principal_of(request: Request) -> Principal:
    """Return who makes the request. Raises NotAuthenticated without a credential."""
    principal = find_principal(request)
    if principal is None:
        raise NotAuthenticated
    return principal


def parse_member_id(text: str) -> UUID:
    """Return the id of a membership; what is no id is not found."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such member.") from None
