"""The JSON Schema of one collection."""

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api import schema_schemas as schema
from tenancy.api.json import QUERY_BODY_MAX_BYTES
from tenancy.api.requests import actor_of, check_parameters, json_body, validated
from tenancy.api.serializers import NewSchema, SchemaTrial
from tenancy.api.views import DataViewSet
from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.lifecycle.schemas import (
    CollectionSchema,
    Examination,
    examine_documents,
    get_schema,
    set_schema,
)
from tenancy.mongo.cursors import make_cursor, read_cursor
from tenancy.mongo.documents import START, Page
from tenancy.schemas import CompiledSchema, digest_of


def represent_schema(found: CollectionSchema) -> dict[str, Any]:
    """Return a schema as members see it."""
    return {"json_schema": found.json_schema, "mode": found.mode}


@extend_schema(tags=["collections"])
class SchemaViewSet(DataViewSet):
    """What documents of a collection should look like."""

    body_max_bytes = QUERY_BODY_MAX_BYTES
    required = {
        "retrieve": "documents.read",
        "update": "collections.manage",
        "check": "collections.manage",
    }

    @extend_schema(**schema.GET_SCHEMA)
    def retrieve(self, request: Request, collection: str) -> Response:
        """Return the schema and its mode."""
        check_parameters(request)
        return Response(represent_schema(get_schema(self.tenant.id, collection)))

    @extend_schema(**schema.PUT_SCHEMA)
    def update(self, request: Request, collection: str) -> Response:
        """Set the schema and its mode."""
        check_parameters(request)
        wanted = CollectionSchema(**validated(NewSchema, json_body(request)))
        done = set_schema(self.tenant.id, collection, wanted, by=actor_of(request))
        return Response(represent_schema(done))

    @extend_schema(**schema.CHECK_SCHEMA)
    def check(self, request: Request, collection: str) -> Response:
        """Return how many documents do not satisfy a schema: this one, or the collection's."""
        check_parameters(request)
        # What came without a body asks for the schema that is there.
        body = {} if request.stream is None else json_body(request)
        trial = validated(SchemaTrial, body)
        wanted = trial.get("json_schema")
        if wanted is None:
            wanted = _present(get_schema(self.tenant.id, collection))
        compiled = CompiledSchema.of(wanted)
        scope = f"{self.tenant.id}/{collection}/schema/{digest_of(orjson.dumps(wanted).decode())}"
        cursor = trial.get("cursor")
        after = START if cursor is None else read_cursor(scope, cursor)

        def read_page(after: Any, limit: int) -> Page:
            return self.read(collection, lambda each: each.list_page(limit=limit, after=after))

        return Response(_represent(examine_documents(compiled, read_page, after=after), scope))


def _present(found: CollectionSchema) -> dict[str, Any]:
    if found.json_schema is None:
        message = "The collection has no schema. Send the one to try as “json_schema”."
        raise ValidationFailed(message, errors=[FieldError("/json_schema", "required", message)])
    return found.json_schema


def _represent(found: Examination, scope: str) -> dict[str, Any]:
    is_complete = found.next_after is START
    return {
        "examined": found.examined,
        "failing": found.failing,
        "complete": is_complete,
        "next": None if is_complete else make_cursor(scope, found.next_after),
        "violations": [
            {"_id": each, "pointer": error.pointer, "code": error.code, "message": error.message}
            for each, error in found.violations
        ],
    }
