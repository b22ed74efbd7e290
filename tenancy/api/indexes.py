"""The indexes of one of the organization's collections."""

from typing import Any
from urllib.parse import quote

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy import lifecycle
from tenancy.api import schema_collections as schema
from tenancy.api.requests import actor_of, check_parameters, json_body, validated
from tenancy.api.serializers import NewIndex
from tenancy.api.views import TenantViewSet
from tenancy.exceptions import CollectionNotFound
from tenancy.mongo.indexes import IndexSpec

# So long a request waits for an index to be built.
WAIT_SECONDS = 10.0


def represent_index(spec: IndexSpec, *, built: bool, failure: str = "") -> dict[str, Any]:
    """Return an index as the organization's members see it.

    `built` is false while it is being built; with a `failure`, which says why it was not; and in a
    shared collection, where only the definition is kept.
    """
    return {
        "name": spec.name,
        "keys": [list(pair) for pair in spec.keys],
        "unique": spec.unique,
        "sparse": spec.sparse,
        "ttl_seconds": spec.ttl_seconds,
        "built": built,
        "failure": failure or None,
    }


@extend_schema(tags=["collections"])
class IndexViewSet(TenantViewSet):
    """The indexes that the organization wants on a collection; that of `_id` is always there."""

    required = {
        "list": "documents.read",
        "create": "collections.manage",
        "destroy": "collections.manage",
    }

    @extend_schema(**schema.LIST_INDEXES)
    def list(self, request: Request, collection: str) -> Response:
        """Return all indexes: there are at most 16."""
        check_parameters(request)
        return Response({"data": self._indexes(collection)})

    @extend_schema(**schema.CREATE_INDEX)
    def create(self, request: Request, collection: str) -> Response:
        """Create an index. 200 if the very same is there; 202 if it takes time to be built."""
        check_parameters(request)
        wanted = validated(NewIndex, json_body(request))
        spec, is_new, is_done = lifecycle.begin_index(
            self.tenant.id,
            collection,
            IndexSpec(**{"name": "", **wanted}),  # an empty name is made from the keys
            by=actor_of(request),
            wait_seconds=WAIT_SECONDS,
        )
        path = f"/api/v1/collections/{collection}/indexes/{quote(spec.name, safe='')}"
        is_built = is_done and self.tenant.address.kind != "shared"
        status = 201 if is_new else 200
        return Response(
            represent_index(spec, built=is_built),
            status=status if is_done else 202,
            headers={"Location": path} if is_new or not is_done else {},
        )

    @extend_schema(**schema.DELETE_INDEX)
    def destroy(self, request: Request, collection: str, name: str) -> Response:
        """Remove an index."""
        check_parameters(request)
        lifecycle.remove_index(self.tenant.id, collection, name, by=actor_of(request))
        return Response(status=204)

    def _indexes(self, collection: str) -> Any:
        if collection not in self.tenant.collections:
            raise CollectionNotFound(f"There is no collection “{collection}”.")
        return indexes_of(self.tenant.id, collection)


def indexes_of(organization_id: Any, collection: str) -> list[dict[str, Any]]:
    """Return a collection's indexes as members see them."""
    specs = lifecycle.declared_indexes(organization_id).get(collection, [])
    built = lifecycle.built_indexes(organization_id, collection) if specs else frozenset()
    found = [represent_index(spec, built=spec.name in built) for spec in specs]
    for spec, failure in lifecycle.failed_indexes(organization_id, collection):
        found.append(represent_index(spec, built=False, failure=failure))
    return found
