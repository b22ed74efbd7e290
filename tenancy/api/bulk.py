"""Many documents changed by one request."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api.views import DataViewSet
from tenancy.exceptions import Defect


@extend_schema(tags=["documents"])
class BulkViewSet(DataViewSet):
    """Bulk operations, update-many, delete-many."""

    required = {
        "bulk": "documents.write",
        "update_many": "documents.write",
        "delete_many": "documents.write",
    }

    def bulk(self, request: Request, collection: str) -> Response:
        """Do up to 1,000 operations."""
        raise Defect

    def update_many(self, request: Request, collection: str) -> Response:
        """Patch every document that a filter finds."""
        raise Defect

    def delete_many(self, request: Request, collection: str) -> Response:
        """Delete every document that a filter finds."""
        raise Defect
