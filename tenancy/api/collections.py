"""The organization's collections."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy import lifecycle, measurement
from tenancy.api import schema_collections as schema
from tenancy.api.indexes import indexes_of
from tenancy.api.operations import represent_operation
from tenancy.api.requests import (
    actor_of,
    check_collection,
    check_parameters,
    json_body,
    seen_collections,
    validated,
)
from tenancy.api.serializers import NewCollection
from tenancy.api.views import TenantViewSet
from tenancy.catalog import get_collection
from tenancy.exceptions import AlreadyExists, FieldError, ValidationFailed
from tenancy.names import COLLECTION_NAME

NAME_RULE = "A collection name is a lower-case letter, then up to 62 of a-z, 0-9, _ and -."


@extend_schema(tags=["collections"])
class CollectionViewSet(TenantViewSet):
    """The collections of the organization; `main` is always there."""

    required = {
        "list": "documents.read",
        "create": "documents.write",
        "retrieve": "documents.read",
        "destroy": "collections.manage",
    }

    @extend_schema(**schema.LIST_COLLECTIONS)
    def list(self, request: Request) -> Response:
        """Return the names of the collections: the plan bounds them."""
        check_parameters(request)
        names = seen_collections(request, self.tenant.collections)
        return Response({"data": [{"name": name} for name in names]})

    @extend_schema(**schema.CREATE_COLLECTION)
    def create(self, request: Request) -> Response:
        """Create a collection. Writing a first document into it would, too."""
        check_parameters(request)
        name = validated(NewCollection, json_body(request))["name"]
        if not COLLECTION_NAME.fullmatch(name):
            raise ValidationFailed(
                NAME_RULE, errors=[FieldError("/name", "invalid_name", NAME_RULE)]
            )
        check_collection(request, name)
        if not lifecycle.declare_collection(self.tenant.id, name, by=actor_of(request)):
            raise AlreadyExists(f"There is a collection “{name}” already.")
        return Response(
            {"name": name},
            status=201,
            headers={"Location": f"/api/v1/collections/{name}"},
        )

    @extend_schema(**schema.GET_COLLECTION)
    def retrieve(self, request: Request, collection: str) -> Response:
        """Return a collection; its size where MongoDB knows it without counting."""
        check_parameters(request)
        row = get_collection(self.tenant.id, collection)
        size = measurement.find_collection_size(self.tenant.id, collection)
        return Response(
            {
                "name": row.name,
                "created_at": row.created_at.isoformat(),
                "documents": size.documents if size else None,
                "bytes": size.bytes if size else None,
                "indexes": indexes_of(self.tenant.id, collection),
                "schema_mode": row.schema_mode,
            }
        )

    @extend_schema(**schema.DELETE_COLLECTION)
    def destroy(self, request: Request, collection: str) -> Response:
        """Drop a collection with its documents; `confirm` has to be its name."""
        confirmed = check_parameters(request, "confirm").get("confirm")
        get_collection(self.tenant.id, collection)
        if confirmed != collection:
            message = f"To drop the collection, confirm with its name: ?confirm={collection}"
            raise ValidationFailed(message, errors=[FieldError("", "mismatch", message)])
        operation = lifecycle.drop_collection(self.tenant.id, collection, by=actor_of(request))
        return Response(represent_operation(operation), status=202)
