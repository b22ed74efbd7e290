"""Import and export of one collection, as NDJSON."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api.views import DataViewSet
from tenancy.exceptions import Defect


@extend_schema(tags=["documents"])
class TransferViewSet(DataViewSet):
    """Streams of documents in and out."""

    required = {
        "export": "documents.read",
        "import_documents": "documents.write",
    }

    def export(self, request: Request, collection: str) -> Response:
        """Stream every document of one snapshot."""
        raise Defect

    def import_documents(self, request: Request, collection: str) -> Response:
        """Store a stream of documents."""
        raise Defect
