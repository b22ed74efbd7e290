"""Questions about the documents of one collection."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api.views import DataViewSet
from tenancy.exceptions import Defect


@extend_schema(tags=["documents"])
class QueryViewSet(DataViewSet):
    """Queries with a body, counts, distinct values, aggregations, plans."""

    required = {
        "query": "documents.read",
        "count": "documents.read",
        "distinct": "documents.read",
        "aggregate": "documents.read",
        "explain": "documents.read",
    }

    def query(self, request: Request, collection: str) -> Response:
        """Return a page of documents; the same as the list, with a body."""
        raise Defect

    def count(self, request: Request, collection: str) -> Response:
        """Return how many documents a filter finds."""
        raise Defect

    def distinct(self, request: Request, collection: str) -> Response:
        """Return the distinct values of a field."""
        raise Defect

    def aggregate(self, request: Request, collection: str) -> Response:
        """Return what a pipeline makes of the documents."""
        raise Defect

    def explain(self, request: Request, collection: str) -> Response:
        """Return how a filter and sort would be answered."""
        raise Defect
