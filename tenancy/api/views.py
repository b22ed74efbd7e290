"""What the tenant's own views share."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from tenancy.access import check_served, with_collection
from tenancy.api.requests import actor_of
from tenancy.catalog import Tenant
from tenancy.lifecycle import declare_collection
from tenancy.mongo.documents import TenantCollection

T = TypeVar("T")


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


class DataViewSet(TenantViewSet):
    """A view of the documents of one collection."""

    def read(self, collection: str, call: Callable[[TenantCollection], T]) -> T:
        """Return `call(documents)`; it may run more than once. See `with_collection`."""
        return with_collection(self.tenant.id, collection, call, by=actor_of(self.request))

    def write(
        self,
        collection: str,
        call: Callable[[TenantCollection], T],
        respond: Callable[[T], Response],
        *,
        creates: bool,
    ) -> Response:
        """Answer with `respond(call(documents))`.

        `creates` says whether a collection that is not there yet is made for it.
        """
        if creates and collection not in self.tenant.collections:
            declare_collection(self.tenant.id, collection, by=actor_of(self.request))
        return respond(self.read(collection, call))
