"""The credential's own organization."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy import lifecycle
from tenancy.api import schema
from tenancy.api.requests import actor_of, check_parameters, json_body, validated
from tenancy.api.serializers import OrganizationChanges, OrganizationDeletion
from tenancy.api.views import TenantViewSet
from tenancy.catalog import Tenant, get_tenant
from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.models import Operation


def represent_organization(tenant: Tenant) -> dict[str, Any]:
    """Return an organization as its members see it."""
    address = tenant.address
    return {
        "id": str(tenant.id),
        "name": tenant.name,
        "slug": tenant.slug,
        "status": str(tenant.status),
        "plan": tenant.plan,
        "placement": {
            "kind": address.kind,
            "cluster": address.cluster,
            "namespace": address.namespace,
            "epoch": tenant.epoch,
        },
        "collections": sorted(tenant.collections),
        "created_at": tenant.created_at.isoformat(),
    }


def represent_operation(operation: Operation) -> dict[str, Any]:
    """Return an operation as its organization's admins see it."""
    return {
        "id": str(operation.pk),
        "kind": operation.kind,
        "status": operation.status,
        "step": operation.step,
        "progress": {"done": operation.progress_done, "total": operation.progress_total},
        "not_before": operation.not_before.isoformat(),
        "created_at": operation.created_at.isoformat(),
        "error": operation.error or None,
    }


@extend_schema(tags=["organization"])
class OrganizationViewSet(TenantViewSet):
    """The organization that the access token is for."""

    required = {
        "retrieve": "organization.read",
        "partial_update": "organization.update",
        "destroy": "organization.delete",
    }

    @extend_schema(**schema.GET_ORGANIZATION)
    def retrieve(self, request: Request) -> Response:
        """Return the organization."""
        check_parameters(request)
        return Response(represent_organization(self.tenant))

    @extend_schema(**schema.PATCH_ORGANIZATION)
    def partial_update(self, request: Request) -> Response:
        """Rename the organization; the rename is finished when the answer arrives."""
        check_parameters(request)
        changes = validated(OrganizationChanges, json_body(request))
        lifecycle.rename_organization(self.tenant.id, changes["name"], by=actor_of(request))
        return Response(represent_organization(get_tenant(self.tenant.id, max_age=0)))

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
