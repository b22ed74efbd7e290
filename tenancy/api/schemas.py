"""The JSON Schema of one collection."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api.views import DataViewSet
from tenancy.exceptions import Defect


@extend_schema(tags=["documents"])
class SchemaViewSet(DataViewSet):
    """What documents of a collection should look like."""

    required = {
        "retrieve": "documents.read",
        "update": "collections.manage",
        "check": "collections.manage",
    }

    def retrieve(self, request: Request, collection: str) -> Response:
        """Return the schema and its mode."""
        raise Defect

    def update(self, request: Request, collection: str) -> Response:
        """Set the schema and its mode."""
        raise Defect

    def check(self, request: Request, collection: str) -> Response:
        """Return how many documents do not satisfy a schema."""
        raise Defect
