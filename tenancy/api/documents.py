"""Documents of one collection: list, create, get, replace, patch, delete."""

from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api import schema_documents as schema
from tenancy.api import schema_queries
from tenancy.api.json import DOCUMENT_BODY_MAX_BYTES, JsonParser, MergePatchParser, answer_of
from tenancy.api.lists import ask_of_parameters, link_to, page_for
from tenancy.api.requests import (
    ONE_CONDITION,
    check_parameters,
    condition_of_change,
    creates_only,
    has_current,
    if_match,
    json_body,
)
from tenancy.api.views import DataViewSet
from tenancy.exceptions import InvalidId, InvalidParameter
from tenancy.mongo.document_rules import decode_document, decode_patch, format_id, parse_id
from tenancy.mongo.projections import parse_fields
from tenancy.mongo.revisions import revision_of

PATH_AS_IT_CAME = "tenantry.path"  # bytes as latin-1, as WSGI has it; config/wsgi.py keeps it


def _etag(document: dict[str, Any]) -> str:
    return f'"r{revision_of(document)}"'


def _wanted_id(request: Request, document_id: str) -> Any:
    """Return the id that a path names. Raises InvalidId.

    Django would write bytes that are not UTF-8 back as percent signs: as the text of another id.
    """
    try:
        request.META.get(PATH_AS_IT_CAME, "").encode("latin-1").decode()
    except UnicodeError as error:
        raise InvalidId("The id in the path is not UTF-8.") from error
    return parse_id(document_id)


def document_path(collection: str, document_id: Any) -> str:
    """Return the path of a document."""
    return f"/api/v1/collections/{collection}/documents/{quote(format_id(document_id), safe='')}"


@extend_schema(tags=["documents"])
class DocumentViewSet(DataViewSet):
    """Documents of one of the organization's collections."""

    parser_classes = [JsonParser, MergePatchParser]
    body_max_bytes = DOCUMENT_BODY_MAX_BYTES
    required = {
        "list": "documents.read",
        "retrieve": "documents.read",
        "create": "documents.write",
        "update": "documents.write",
        "partial_update": "documents.write",
        "destroy": "documents.write",
    }

    @extend_schema(**schema_queries.LIST_DOCUMENTS)
    def list(self, request: Request, collection: str) -> HttpResponse:
        """Return a page of documents: filtered, sorted, with the fields that are asked for."""
        body = page_for(self, collection, ask_of_parameters(request))
        following = body["page"]["next"]
        headers = {"Link": link_to(request, following)} if following else {}
        return answer_of(request, body, headers)

    @extend_schema(**schema.CREATE_DOCUMENT)
    def create(self, request: Request, collection: str) -> Response:
        """Store a new document."""
        check_parameters(request, "types")
        fields = decode_document(json_body(request), max_bytes=self.tenant.max_document_bytes)
        return self.write(
            collection,
            lambda documents: documents.insert(fields),
            lambda document: _stored(collection, document, created=True),
            creates=True,
        )

    @extend_schema(**schema.READ_DOCUMENT)
    def retrieve(self, request: Request, collection: str, document_id: str) -> HttpResponse:
        """Return one document, or the fields of it that are asked for."""
        given = check_parameters(request, "fields", "types")
        fields = parse_fields(given["fields"]) if "fields" in given else None
        wanted = _wanted_id(request, document_id)
        document = self.read(collection, lambda documents: documents.get(wanted, fields))
        headers = {"ETag": _etag(document)}
        if has_current(request, revision_of(document)):
            return Response(status=304, headers=headers)
        return answer_of(request, document, headers)

    @extend_schema(**schema.PUT_DOCUMENT)
    def update(self, request: Request, collection: str, document_id: str) -> Response:
        """Replace a document, or create it."""
        check_parameters(request, "types")
        wanted, condition = _wanted_id(request, document_id), if_match(request)
        fields = decode_document(json_body(request), max_bytes=self.tenant.max_document_bytes)
        if creates_only(request):
            if condition is not None:
                raise InvalidParameter(ONE_CONDITION)
            return self.write(
                collection,
                lambda documents: documents.create(wanted, fields),
                lambda document: _stored(collection, document, created=True),
                creates=True,
            )
        # A condition can only hold where a document is: then nothing is created, nor a collection.
        return self.write(
            collection,
            lambda documents: documents.replace(wanted, fields, if_match=condition),
            lambda done: _stored(collection, done[0], created=done[1]),
            creates=condition is None,
        )

    @extend_schema(**schema.PATCH_DOCUMENT)
    def partial_update(self, request: Request, collection: str, document_id: str) -> Response:
        """Change a document by a merge patch."""
        check_parameters(request, "types")
        wanted, condition = _wanted_id(request, document_id), condition_of_change(request)
        patch = decode_patch(json_body(request))
        return self.write(
            collection,
            lambda documents: documents.patch(wanted, patch, if_match=condition),
            lambda document: _stored(collection, document, created=False),
            creates=False,
        )

    @extend_schema(**schema.DELETE_DOCUMENT)
    def destroy(self, request: Request, collection: str, document_id: str) -> Response:
        """Delete a document."""
        check_parameters(request)
        wanted, condition = _wanted_id(request, document_id), condition_of_change(request)
        return self.write(
            collection,
            lambda documents: documents.delete(wanted, if_match=condition),
            lambda _: Response(status=204),
            creates=False,
        )


def _stored(collection: str, document: dict[str, Any], *, created: bool) -> Response:
    answer = Response(document, status=201 if created else 200)
    answer["ETag"] = _etag(document)
    if created:
        answer["Location"] = document_path(collection, document["_id"])
    return answer
