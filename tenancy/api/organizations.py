"""The credential's own organization."""

from collections.abc import Collection
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy import lifecycle, usage
from tenancy.api import schema_organization as schema
from tenancy.api.operations import represent_operation
from tenancy.api.requests import (
    actor_of,
    check_parameters,
    json_body,
    seen_collections,
    validated,
)
from tenancy.api.serializers import OrganizationChanges, OrganizationDeletion
from tenancy.api.views import TenantViewSet
from tenancy.catalog import Tenant, get_tenant
from tenancy.exceptions import FieldError, ValidationFailed


def represent_organization(
    tenant: Tenant, *, collections: Collection[str] | None = None
) -> dict[str, Any]:
    """Return an organization as its members see it, with all collections or those given."""
    address, seen = tenant.address, tenant.collections if collections is None else collections
    return {
        "id": str(tenant.id),
        "name": tenant.name,
        "slug": tenant.slug,
        "status": str(tenant.status),
        "plan": tenant.plan,
        "region": tenant.region or None,
        "placement": {
            "kind": address.kind,
            "cluster": address.cluster,
            "namespace": address.namespace,
            "epoch": tenant.epoch,
        },
        "collections": sorted(seen),
        "usage": represent_usage(tenant, collections=seen),
        "limits": represent_limits(tenant),
        "settings": lifecycle.settings_of(tenant.id),
        "two_factor_required": tenant.two_factor_required,
        "created_at": tenant.created_at.isoformat(),
    }


def represent_usage(tenant: Tenant, *, collections: Collection[str]) -> dict[str, int]:
    """Return what an organization uses, as it was counted along: at most about a second old.

    Of collections those that whoever asks may know of; documents and bytes are held against the
    plan and told whole.
    """
    used = usage.used_by(tenant)
    return {
        "documents": used.documents,
        "bytes": used.bytes,
        "collections": len(collections),
        "members": usage.members_of(tenant),
    }


def represent_limits(tenant: Tenant) -> dict[str, int | None]:
    """Return what the plan allows; null is no limit."""
    return {
        "documents": tenant.max_documents,
        "bytes": tenant.max_bytes,
        "collections": min(tenant.max_collections, settings.TENANCY_MAX_COLLECTIONS),
        "document_bytes": min(tenant.max_document_bytes, settings.TENANCY_MAX_DOCUMENT_BYTES),
        "members": tenant.max_members,
        "requests_per_minute": tenant.requests_per_minute,
        "burst": tenant.burst,
    }


@extend_schema(tags=["organization"])
class OrganizationViewSet(TenantViewSet):
    """The organization that the access token is for."""

    required = {
        "retrieve": "organization.read",
        "usage": "organization.read",
        "partial_update": "organization.update",
        "change_policy": "policy.manage",  # beside that, if a body asks for it
        "destroy": "organization.delete",
    }

    @extend_schema(**schema.GET_ORGANIZATION)
    def retrieve(self, request: Request) -> Response:
        """Return the organization."""
        check_parameters(request)
        return Response(self._represent(self.tenant))

    def _represent(self, tenant: Tenant) -> dict[str, Any]:
        seen = seen_collections(self.request, tenant.collections)
        return represent_organization(tenant, collections=seen)

    @extend_schema(**schema.GET_USAGE)
    def usage(self, request: Request) -> Response:
        """Return what the organization uses, and what it may."""
        check_parameters(request)
        seen = seen_collections(request, self.tenant.collections)
        used = represent_usage(self.tenant, collections=seen)
        return Response(used | {"limits": represent_limits(self.tenant)})

    @extend_schema(**schema.PATCH_ORGANIZATION)
    def partial_update(self, request: Request) -> Response:
        """Change the organization; a rename is finished when the answer arrives."""
        check_parameters(request)
        changes = validated(OrganizationChanges, json_body(request))
        if "two_factor_required" in changes:
            self._check_declared("change_policy")
        name = changes.pop("name", None)
        lifecycle.change_organization(
            self.tenant.id, lifecycle.Preferences(**changes), by=actor_of(request), name=name
        )
        return Response(self._represent(get_tenant(self.tenant.id, max_age=0)))

    def _check_declared(self, action: str) -> None:
        """Ask whoever asks for what another action declares, as if it had a route."""
        own, self.action = self.action, action
        try:
            self.check_permissions(self.request)
        finally:
            self.action = own

    @extend_schema(**schema.DELETE_ORGANIZATION)
    def destroy(self, request: Request) -> Response:
        """Delete the organization. It can be restored until `purge_after`, unless purged."""
        check_parameters(request)
        wanted = validated(OrganizationDeletion, json_body(request))
        if wanted["confirm"] != self.tenant.slug:
            message = f"To delete the organization, confirm with its slug “{self.tenant.slug}”."
            raise ValidationFailed(message, errors=[FieldError("/confirm", "mismatch", message)])
        operation = lifecycle.delete_organization(
            self.tenant.id, by=actor_of(request), purge=wanted["purge"]
        )
        answer = represent_operation(operation)
        purge_after = operation.organization.purge_after if operation.organization else None
        answer["purge_after"] = purge_after.isoformat() if purge_after else None
        return Response(answer, status=202)
