"""What is being done, and was done, to the organization."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api import schema_organization as schema
from tenancy.api.requests import check_parameters, choice_parameter, int_parameter
from tenancy.api.views import TenantViewSet
from tenancy.exceptions import OperationNotFound
from tenancy.models import Operation, OperationQuerySet, OperationStatus
from tenancy.mongo.cursors import make_cursor, read_cursor
from tenancy.operations import KINDS

PAGE_DEFAULT_OPERATIONS = 50
PAGE_MAX_OPERATIONS = 1_000


def represent_operation(operation: Operation) -> dict[str, Any]:
    """Return an operation as its organization's admins see it.

    A kind that says in its state what it counts has that as the `unit` of its progress.
    """
    ended_at = operation.ended_at
    progress = {"done": operation.progress_done, "total": operation.progress_total}
    unit = operation.state.get("unit")
    return {
        "id": str(operation.pk),
        "kind": operation.kind,
        "status": operation.status,
        "step": operation.step,
        "progress": progress | ({"unit": unit} if unit else {}),
        "error": operation.error or None,
        "by": operation.by,
        "not_before": operation.not_before.isoformat(),
        "created_at": operation.created_at.isoformat(),
        "ended_at": ended_at.isoformat() if ended_at else None,
    }


@extend_schema(tags=["organization"])
class OperationViewSet(TenantViewSet):
    """The journal of the organization."""

    required = {"list": "operations.read", "retrieve": "operations.read"}

    @extend_schema(**schema.LIST_OPERATIONS)
    def list(self, request: Request) -> Response:
        """Return a page of operations, the newest first."""
        parameters = check_parameters(request, "limit", "cursor", "status", "kind")
        status = choice_parameter(request, "status", OperationStatus.values)
        kind = choice_parameter(request, "kind", sorted(KINDS))
        limit = int_parameter(
            request, "limit", default=PAGE_DEFAULT_OPERATIONS, low=1, high=PAGE_MAX_OPERATIONS
        )
        scope = f"{self.tenant.id}/operations/{status}/{kind}"
        found = self._rows(status=status, kind=kind)
        if (cursor := parameters.get("cursor")) is not None:
            found = _after(found, read_cursor(scope, cursor))
        rows = list(found[: limit + 1])
        following = _cursor(scope, rows[limit - 1]) if len(rows) > limit else None
        data = [represent_operation(row) for row in rows[:limit]]
        return Response({"data": data, "page": {"next": following, "limit": limit}})

    @extend_schema(**schema.GET_OPERATION)
    def retrieve(self, request: Request, operation_id: str) -> Response:
        """Return one operation. Another organization's is not found."""
        check_parameters(request)
        row = self._rows(pk=_parse_id(operation_id)).first()
        if row is None:
            raise OperationNotFound
        return Response(represent_operation(row))

    def _rows(self, **conditions: Any) -> OperationQuerySet:
        wanted = {name: value for name, value in conditions.items() if value is not None}
        rows = Operation.objects.filter(organization_id=self.tenant.id, **wanted)
        return rows.order_by("-created_at", "-pk")


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise OperationNotFound from None


def _cursor(scope: str, row: Operation) -> str:
    return make_cursor(scope, [row.created_at.isoformat(), str(row.pk)])


def _after(rows: OperationQuerySet, position: Any) -> OperationQuerySet:
    created_at, operation_id = datetime.fromisoformat(position[0]), UUID(position[1])
    return rows.filter(Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=operation_id))
