"""What a user does with organizations: found another, give one away, leave it, bring it back."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema_members as schema
from accounts.api.members import principal_of, represent_member
from accounts.api.serializers_members import AnotherOrganization, Transfer
from accounts.authentication import get_signed_in
from accounts.ownership import found_organization, leave_organization, transfer_ownership
from accounts.principals import Principal
from accounts.roles import PERMISSIONS, SIGNED_IN, Role
from tenancy.api.idempotent import idempotent
from tenancy.api.organizations import represent_organization
from tenancy.api.requests import actor_of, check_parameters, json_body, validated
from tenancy.api.views import TenantViewSet
from tenancy.api.viewsets import ApiViewSet
from tenancy.catalog import get_tenant
from tenancy.idempotency import Attempt
from tenancy.lifecycle import restore_organization

SWITCH_HINT = (
    "To work in it, POST /api/v1/auth/refresh with your refresh_token and its id as “organization”."
)


@extend_schema(tags=["organization"])
class FoundingViewSet(ApiViewSet):
    """Organizations beside the one that the access token is for."""

    required = {"create": SIGNED_IN}
    counted = frozenset({"create"})

    @extend_schema(**schema.FOUND_ORGANIZATION)
    @idempotent()
    def create(self, request: Request, *, attempt: Attempt) -> Response:
        """Create another organization, owned by whoever is signed in."""
        check_parameters(request)
        form = validated(AnotherOrganization, json_body(request))
        organization = found_organization(
            get_signed_in(request), form["name"], region=form["region"],
            organization_id=attempt.resource,
        )  # fmt: skip
        answer = represent_organization(get_tenant(organization.pk, max_age=0))
        return Response(
            answer | {"role": str(Role.OWNER), "hint": SWITCH_HINT},
            status=201,
            headers={"Location": "/api/v1/organization"},
        )


@extend_schema(tags=["organization"])
class BelongingViewSet(TenantViewSet):
    """How one belongs to the organization: what one may do, and how one hands over or goes."""

    required = {
        "permissions": "organization.read",
        "transfer": "ownership.transfer",
        "leave": SIGNED_IN,
    }

    @extend_schema(**schema.GET_PERMISSIONS)
    def permissions(self, request: Request) -> Response:
        """Return what whoever asks may do."""
        check_parameters(request)
        return Response(represent_permissions(principal_of(request)))

    @extend_schema(**schema.TRANSFER_OWNERSHIP)
    def transfer(self, request: Request) -> Response:
        """Make another member an owner, and oneself an admin."""
        check_parameters(request)
        form = validated(Transfer, json_body(request))
        owner = transfer_ownership(get_signed_in(request), form["member"])
        return Response(represent_member(owner))

    @extend_schema(**schema.LEAVE_ORGANIZATION)
    def leave(self, request: Request) -> Response:
        """Leave the organization; one's sessions in it end."""
        check_parameters(request)
        leave_organization(get_signed_in(request))
        return Response(status=204)


@extend_schema(tags=["organization"])
class RestoreViewSet(ApiViewSet):
    """The one thing that can be done to a deleted organization."""

    required = {"restore": "organization.delete"}

    @extend_schema(**schema.RESTORE_ORGANIZATION)
    def restore(self, request: Request) -> Response:
        """Bring the deleted organization back as it was."""
        check_parameters(request)
        principal = principal_of(request)
        restore_organization(principal.organization_id, by=actor_of(request))
        return Response(represent_organization(get_tenant(principal.organization_id, max_age=0)))


def represent_permissions(principal: Principal) -> dict[str, Any]:
    """Return what somebody may do; null for scopes and collections: not narrowed."""
    scopes, collections = principal.scopes, principal.collections
    return {
        "role": str(principal.role),
        "permissions": sorted(name for name in PERMISSIONS if principal.may(name)),
        "scopes": None if scopes is None else sorted(scopes),
        "collections": None if collections is None else sorted(collections),
    }
