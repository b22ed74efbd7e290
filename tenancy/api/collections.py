"""The organization's collections."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy import lifecycle
from tenancy.api import schema
from tenancy.api.requests import actor_of, check_parameters, json_body, validated
from tenancy.api.serializers import NewCollection
from tenancy.api.views import TenantViewSet
from tenancy.exceptions import AlreadyExists, FieldError, ValidationFailed
from tenancy.names import COLLECTION_NAME

NAME_RULE = "A collection name is a lower-case letter, then up to 62 of a-z, 0-9, _ and -."


@extend_schema(tags=["collections"])
class CollectionViewSet(TenantViewSet):
    """The collections of the organization; `main` is always there."""

    required = {"list": "documents.read", "create": "documents.write"}

    @extend_schema(**schema.LIST_COLLECTIONS)
    def list(self, request: Request) -> Response:
        """Return the names of all collections: the plan bounds them."""
        check_parameters(request)
        return Response({"data": [{"name": name} for name in sorted(self.tenant.collections)]})

    @extend_schema(**schema.CREATE_COLLECTION)
    def create(self, request: Request) -> Response:
        """Create a collection. Writing a first document into it would, too."""
        check_parameters(request)
        name = validated(NewCollection, json_body(request))["name"]
        if not COLLECTION_NAME.fullmatch(name):
            raise ValidationFailed(
                NAME_RULE, errors=[FieldError("/name", "invalid_name", NAME_RULE)]
            )
        if not lifecycle.declare_collection(self.tenant.id, name, by=actor_of(request)):
            raise AlreadyExists(f"There is a collection “{name}” already.")
        return Response(
            {"name": name},
            status=201,
            headers={"Location": f"/api/v1/collections/{name}/documents"},
        )
