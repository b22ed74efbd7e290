"""Questions about the documents of one collection."""

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api import schema_queries as schema
from tenancy.api.hints import hint_for, hint_for_selection, hint_for_stages
from tenancy.api.json import QUERY_BODY_MAX_BYTES
from tenancy.api.lists import (
    ask_of_body,
    checked_body,
    filter_in,
    indexes_for,
    page_for,
    select,
    sort_in,
    wrong,
)
from tenancy.api.requests import check_parameters, json_body
from tenancy.api.views import DataViewSet
from tenancy.mongo.field_paths import flaw_of_path
from tenancy.mongo.named_fields import searched_fields
from tenancy.mongo.pipelines import compile_pipeline


@extend_schema(tags=["documents"])
class QueryViewSet(DataViewSet):
    """Queries with a body, counts, distinct values, aggregations, plans: all of them read."""

    body_max_bytes = QUERY_BODY_MAX_BYTES
    required = {
        "query": "documents.read",
        "count": "documents.read",
        "distinct": "documents.read",
        "aggregate": "documents.read",
        "explain": "documents.read",
    }

    @extend_schema(**schema.QUERY)
    def query(self, request: Request, collection: str) -> Response:
        """Return a page of documents; the same as the list, with a body."""
        check_parameters(request, "types")
        return Response(page_for(self, collection, ask_of_body(json_body(request))))

    @extend_schema(**schema.COUNT)
    def count(self, request: Request, collection: str) -> Response:
        """Return how many documents a filter finds."""
        check_parameters(request)
        query = filter_in(checked_body(json_body(request), ("filter",)))
        found = self.read(collection, lambda each: each.count(query))
        hint = hint_for(self, collection, searched=searched_fields(query), is_empty=not found)
        return Response({"count": found} | hint)

    @extend_schema(**schema.DISTINCT)
    def distinct(self, request: Request, collection: str) -> Response:
        """Return the distinct values of a field."""
        check_parameters(request, "types")
        given = checked_body(json_body(request), ("field", "filter"))
        field, query = given.get("field"), filter_in(given)
        if not isinstance(field, str):
            raise wrong("/field", "The name of a field is a string.")
        if flaw := flaw_of_path(field):
            raise wrong("/field", flaw)
        values = self.read(collection, lambda each: each.distinct(field, query))
        searched = searched_fields(query)
        hint = hint_for(self, collection, searched=searched, used=[field], is_empty=not values)
        return Response({"values": values} | hint)

    @extend_schema(**schema.AGGREGATE)
    def aggregate(self, request: Request, collection: str) -> Response:
        """Return what a pipeline makes of the documents."""
        check_parameters(request, "types")
        given = checked_body(json_body(request), ("pipeline",))
        if "pipeline" not in given:
            raise wrong("/pipeline", "A pipeline is an array of stages.")
        # Not the plan's: before it was the organization's, its documents may have been larger.
        most = settings.TENANCY_MAX_DOCUMENT_BYTES
        stages = compile_pipeline(given["pipeline"], "/pipeline", document_bytes=most)
        made = self.read(collection, lambda each: each.aggregated(stages))
        hint = hint_for_stages(self, collection, stages, is_empty=not made)
        return Response({"data": made} | hint)

    @extend_schema(**schema.EXPLAIN)
    def explain(self, request: Request, collection: str) -> Response:
        """Return how a filter and sort would be answered."""
        check_parameters(request)
        given = checked_body(json_body(request), ("filter", "sort"))
        wanted = select(filter_in(given), sort_in(given))
        indexes = indexes_for(self, collection, wanted)
        found = self.read(collection, lambda each: each.explain(wanted, indexes=indexes))
        keys = found.suggested_index
        hint = hint_for_selection(self, collection, wanted, is_empty=True)
        suggested = None if keys is None else {"keys": keys}
        return Response({**vars(found), "suggested_index": suggested} | hint)
