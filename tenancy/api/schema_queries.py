"""What the OpenAPI document says of lists of documents, and of questions about them."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from tenancy.api.schema import (
    COLLECTION,
    IN_JSON,
    TYPES,
    USUAL,
    answered,
    answers,
    asked,
    query,
)
from tenancy.api.schema_documents import FIELDS as FIELDS_PARAMETER
from tenancy.api.schema_documents import ORDER, stored
from tenancy.api.schema_pipelines import PIPELINE
from tenancy.api.schema_values import (
    FIELD_PATH,
    FIELDS,
    KEYS_ANSWERED,
    PATH,
    SORT,
    SORT_TEXT,
    ref,
    text,
)
from tenancy.mongo.documents import PAGE_MAX_DOCUMENTS
from tenancy.mongo.parameters import OPERATORS
from tenancy.mongo.query_plans import STAGES
from tenancy.mongo.reading import (
    AGGREGATE_MAX_BYTES,
    AGGREGATE_MAX_DOCUMENTS,
    DISTINCT_MAX_BYTES,
    DISTINCT_MAX_VALUES,
)

_READS = (*USUAL, 413, 415, 422, 504)
_COUNT: dict[str, Any] = {
    "type": "object",
    "required": ["value", "kind"],
    "description": "Only where `count` asks for it.",
    "properties": {
        "value": {"type": "integer", "minimum": 0},
        "kind": {
            "type": "string",
            "enum": ["exact", "at_least", "estimated"],
            "description": "`at_least`: there are more than were counted.",
        },
    },
}
_HINT: dict[str, Any] = {
    "type": "string",
    "description": "Where the query names a field that the collection's schema does not have.",
}
_CURSOR = {"type": ["string", "null"], "description": "The cursor to go on with; null at the end."}
_FEWER = "As asked for. A page that would be more than 16 MiB has fewer, and a `next`."
LISTED: dict[str, Any] = {
    "type": "object",
    "required": ["data", "page"],
    "properties": {
        "data": {"type": "array", "items": ref("Document")},
        "page": {
            "type": "object",
            "required": ["next", "limit"],
            "properties": {
                "next": _CURSOR,
                "limit": {"type": "integer", "description": _FEWER},
            },
        },
        "count": _COUNT,
        "hint": _HINT,
    },
}
_HOW_TO_COUNT = (
    "`none` (default), `exact`, `estimated` (MongoDB's own figure, where there is one; else up to "
    "10,000 are counted), or `bounded:N`: up to N, at most 1,000,000."
)
_LIMIT = {"type": "integer", "minimum": 1, "maximum": PAGE_MAX_DOCUMENTS, "default": 50}
_COUNT_TEXT = text(
    "(none|estimated|exact|bounded:([1-9][0-9]{0,5}|1000000))", description=_HOW_TO_COUNT
)
_QUERY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "filter": ref("Filter"),
        "sort": SORT,
        "fields": FIELDS,
        "limit": _LIMIT,
        "cursor": _CURSOR,
        "count": _COUNT_TEXT,
    },
    "additionalProperties": False,
}  # fmt: skip
_LISTED_EXAMPLE = answered(
    {"data": [stored(ORDER)], "page": {"next": None, "limit": 50}}, name="A page"
)


def _pair(request: Any, response: Any) -> list[OpenApiExample]:
    return [asked(request), answered(response)]


def _of_body(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "object", "properties": properties, "additionalProperties": False,
    }  # fmt: skip
    return {"application/json": {**body, **({"required": list(required)} if required else {})}}


FILTER_PARAMETER = OpenApiParameter(
    "filter",
    ref("Filter"),
    "query",
    description="A filter in JSON, as POST …/query takes it; all conditions hold at once.",
    extensions={IN_JSON: True},
)
_CONDITIONS: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": f"^{PATH}(__({'|'.join(OPERATORS)}))?$"},
    "additionalProperties": {"type": "string"},
    "example": {"total__gte": "10"},
}
CONDITIONS = OpenApiParameter(
    "conditions", _CONDITIONS, "query", style="form", explode=True,
    description="Every other parameter is a condition: `status=open`, `total__gte=10`.",
)  # fmt: skip
LIST_DOCUMENTS: dict[str, Any] = {
    "summary": "List documents",
    "description": (
        "Every other parameter is a condition: `status=open`, `total__gte=10`, with `ne gt gte lt "
        "lte in nin exists startswith` behind `__`. Every document that exists unchanged through "
        "the walk appears exactly once. The `Link` header leads to the next page."
    ),
    "parameters": [
        COLLECTION,
        query("limit", f"1..{PAGE_MAX_DOCUMENTS}, 50 by default.", _LIMIT),
        query("cursor", "`page.next` of the page before; of the same filter and sort."),
        FILTER_PARAMETER,
        query(
            "sort",
            "`-created_at,name`: 1 to 4 fields; the `_id` decides between equals.",
            SORT_TEXT,
        ),
        FIELDS_PARAMETER,
        query("count", _HOW_TO_COUNT, _COUNT_TEXT),
        TYPES,
        CONDITIONS,
    ],
    "responses": answers(*USUAL, 422, 504, s200=LISTED),
    "examples": [_LISTED_EXAMPLE],
}
QUERY: dict[str, Any] = {
    "summary": "List documents by a query in a body",
    "parameters": [COLLECTION, TYPES],
    "request": {"application/json": _QUERY},
    "responses": answers(*_READS, s200=LISTED),
    "examples": [
        asked({"filter": {"total": {"$gte": 10}}, "sort": "-total", "limit": 50}),
        _LISTED_EXAMPLE,
    ],
}
COUNT: dict[str, Any] = {
    "parameters": [COLLECTION],
    "summary": "Count the documents that a filter finds",
    "request": _of_body({"filter": ref("Filter")}),
    "responses": answers(
        *_READS,
        s200={
            "type": "object",
            "required": ["count"],
            "properties": {"count": {"type": "integer", "minimum": 0}, "hint": _HINT},
        },
    ),
    "examples": _pair({"filter": {"status": "open"}}, {"count": 12}),
}
DISTINCT: dict[str, Any] = {
    "summary": "List the distinct values of a field",
    "description": (
        f"Sorted; the elements of arrays one by one. At most {DISTINCT_MAX_VALUES:,} values and "
        f"{DISTINCT_MAX_BYTES:,} bytes, else 422 `query_too_complex`."
    ),
    "parameters": [COLLECTION, TYPES],
    "request": _of_body(
        {"field": FIELD_PATH, "filter": ref("Filter")},
        "field",
    ),
    "responses": answers(
        *_READS,
        s200={
            "type": "object",
            "required": ["values"],
            "properties": {"values": {"type": "array", "items": {}}, "hint": _HINT},
        },
    ),
    "examples": _pair({"field": "status"}, {"values": ["closed", "open"]}),
}
AGGREGATE: dict[str, Any] = {
    "summary": "Run a pipeline over the documents",
    "description": (
        "Stages: `$match $group $sort $limit $skip $project $set $unset $unwind $count $bucket "
        f"$sortByCount $facet`. At most {AGGREGATE_MAX_DOCUMENTS:,} results and "
        f"{AGGREGATE_MAX_BYTES:,} bytes, else 422 `query_too_complex`."
    ),
    "parameters": [COLLECTION, TYPES],
    "request": _of_body({"pipeline": PIPELINE}, "pipeline"),
    "responses": answers(
        *_READS,
        s200={
            "type": "object",
            "required": ["data"],
            "properties": {
                "data": {"type": "array", "items": {"type": "object"}},
                "hint": _HINT,
            },
        },
    ),
    "examples": _pair(
        {"pipeline": [{"$group": {"_id": "$status", "total": {"$sum": "$total"}}}]},
        {"data": [{"_id": "open", "total": 40}]},
    ),
}
_EXPLANATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "index": {"type": ["string", "null"], "description": "`_id`, one's own, or none."},
        "stages": {
            "type": "array",
            "items": {"type": "string", "enum": sorted({*STAGES.values(), "other"})},
            "description": "In the order in which documents pass them.",
        },
        "keys_examined": {"type": "integer"},
        "documents_examined": {"type": "integer"},
        "returned": {"type": "integer"},
        "sorted_in_memory": {"type": "boolean"},
        "suggested_index": {
            "type": ["object", "null"],
            "properties": {"keys": KEYS_ANSWERED},
            "description": "The body to POST to …/indexes, where an index would help.",
        },
        "hint": _HINT,
    },
}
EXPLAIN: dict[str, Any] = {
    "parameters": [COLLECTION],
    "summary": "Say how a filter and sort are answered",
    "request": _of_body({"filter": ref("Filter"), "sort": SORT}),
    "responses": answers(*_READS, s200=_EXPLANATION),
    "examples": _pair(
        {"filter": {"status": "open"}, "sort": "-total"},
        {
            "index": "status_1_total_-1__id_-1",
            "stages": ["index_scan", "fetch", "limit"],
            "keys_examined": 51,
            "documents_examined": 51,
            "returned": 51,
            "sorted_in_memory": False,
            "suggested_index": None,
        },
    ),
}
