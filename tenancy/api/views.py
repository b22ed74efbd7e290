"""What the tenant's own views share."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from tenancy.access import check_served
from tenancy.catalog import Tenant


class TenantViewSet(ViewSet):
    """A view of the credential's own organization, refused while that is not being served.

    `required` names, for each action, the permission it needs; the undeclared is denied.
    """

    required: ClassVar[dict[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, check the permission, then the organization."""
        super().initial(request, *args, **kwargs)
        if self.action not in {None, "metadata"}:
            check_served(self.tenant)

    @property
    def tenant(self) -> Tenant:
        """The organization of the credential, at most one TTL old."""
        tenant: Tenant = self.request.tenant  # type: ignore[attr-defined]
        return tenant
