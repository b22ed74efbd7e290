"""What the OpenAPI document says of lists of documents, and of questions about them."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample

from tenancy.api.schema import DOCUMENT, GET_DOCUMENT, TYPES, USUAL, answers, query
from tenancy.mongo.documents import PAGE_MAX_DOCUMENTS
from tenancy.mongo.query_plans import STAGES
from tenancy.mongo.reading import (
    AGGREGATE_MAX_BYTES,
    AGGREGATE_MAX_DOCUMENTS,
    DISTINCT_MAX_BYTES,
    DISTINCT_MAX_VALUES,
)

_READS = (*USUAL, 415, 422, 504)
_KEYS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "prefixItems": [{"type": "string"}, {"type": "integer", "enum": [1, -1]}],
    },
}
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
_CURSOR = {"type": ["string", "null"], "description": "The cursor to go on with; null at the end."}
LISTED: dict[str, Any] = {
    "type": "object",
    "required": ["data", "page"],
    "properties": {
        "data": {"type": "array", "items": DOCUMENT},
        "page": {
            "type": "object",
            "required": ["next", "limit"],
            "properties": {"next": _CURSOR, "limit": {"type": "integer"}},
        },
        "count": _COUNT,
    },
}
_FILTER: dict[str, Any] = {
    "type": "object",
    "additionalProperties": True,
    "description": (
        "A filter over Extended JSON values: `$eq $ne $gt $gte $lt $lte $in $nin $exists $type "
        "$and $or $nor $not $all $elemMatch $size $mod`, and `$regex` as an anchored literal "
        "prefix. At most 16 KiB, 100 conditions, 8 levels."
    ),
}
_NAMES: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"type": "string"}}
_SORT: dict[str, Any] = {
    "description": (
        "1 to 4 keys, as the text of the parameter, its parts, or pairs of a field and 1 or -1. "
        "The `_id` decides between equals."
    ),
    "anyOf": [{"type": "string"}, {**_NAMES, "maxItems": 4}, {**_KEYS, "maxItems": 4}],
}
_FIELDS: dict[str, Any] = {
    "description": "Fields to answer with, or, each behind a `-`, to leave out.",
    "anyOf": [{"type": "string"}, {**_NAMES, "maxItems": 100}],
}
_HOW_TO_COUNT = (
    "`none` (default), `exact`, `estimated` (MongoDB's own figure, where there is one; else up to "
    "10,000 are counted), or `bounded:N`: up to N, at most 1,000,000."
)
_QUERY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "filter": _FILTER,
        "sort": _SORT,
        "fields": _FIELDS,
        "limit": {
            "type": "integer", "minimum": 1, "maximum": PAGE_MAX_DOCUMENTS, "default": 50,
        },
        "cursor": _CURSOR,
        "count": {
            "type": "string",
            "pattern": "^(none|estimated|exact|bounded:[1-9][0-9]{0,6})$",
            "description": _HOW_TO_COUNT,
        },
    },
    "additionalProperties": False,
}  # fmt: skip
_ORDER = {"_id": "A-7", "status": "open", "total": 40}
_META = {
    "rev": 1,
    "created_at": {"$date": "2026-01-31T09:30:00Z"},
    "updated_at": {"$date": "2026-01-31T09:30:00Z"},
}
_LISTED_EXAMPLE = OpenApiExample(
    "A page",
    value={"data": [{**_ORDER, "_meta": _META}], "page": {"next": None, "limit": 50}},
    response_only=True,
    status_codes=["200"],
)


def _of_body(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "object", "properties": properties, "additionalProperties": False,
    }  # fmt: skip
    return {"application/json": {**body, **({"required": list(required)} if required else {})}}


def _examples(request: Any, response: Any) -> list[OpenApiExample]:
    return [
        OpenApiExample("Asked", value=request, request_only=True),
        OpenApiExample("Answered", value=response, response_only=True, status_codes=["200"]),
    ]


_FIELDS_PARAMETER = query("fields", "`name,address.city`: only these; `-secret`: all but these.")
LIST_DOCUMENTS: dict[str, Any] = {
    "summary": "List documents",
    "description": (
        "Every other parameter is a condition: `status=open`, `total__gte=10`, with `ne gt gte lt "
        "lte in nin exists startswith` behind `__`. Every document that exists unchanged through "
        "the walk appears exactly once. The `Link` header leads to the next page."
    ),
    "parameters": [
        query("limit", f"1..{PAGE_MAX_DOCUMENTS}, 50 by default.", OpenApiTypes.INT),
        query("cursor", "`page.next` of the page before; of the same filter and sort."),
        query("filter", "A filter in JSON, as POST …/query takes it; all conditions hold at once."),
        query("sort", "`-created_at,name`: 1 to 4 fields; the `_id` decides between equals."),
        _FIELDS_PARAMETER,
        query("count", _HOW_TO_COUNT),
        TYPES,
    ],
    "responses": answers(*USUAL, 422, 504, s200=LISTED),
    "examples": [_LISTED_EXAMPLE],
}
READ_DOCUMENT: dict[str, Any] = {
    **GET_DOCUMENT,
    "parameters": [*GET_DOCUMENT["parameters"], _FIELDS_PARAMETER, TYPES],
}
QUERY: dict[str, Any] = {
    "summary": "List documents by a query in a body",
    "parameters": [TYPES],
    "request": {"application/json": _QUERY},
    "responses": answers(*_READS, s200=LISTED),
    "examples": [
        OpenApiExample(
            "Asked",
            value={"filter": {"total": {"$gte": 10}}, "sort": "-total", "limit": 50},
            request_only=True,
        ),
        _LISTED_EXAMPLE,
    ],
}
COUNT: dict[str, Any] = {
    "summary": "Count the documents that a filter finds",
    "request": _of_body({"filter": _FILTER}),
    "responses": answers(
        *_READS,
        s200={
            "type": "object",
            "required": ["count"],
            "properties": {"count": {"type": "integer", "minimum": 0}},
        },
    ),
    "examples": _examples({"filter": {"status": "open"}}, {"count": 12}),
}
DISTINCT: dict[str, Any] = {
    "summary": "List the distinct values of a field",
    "description": (
        f"Sorted; the elements of arrays one by one. At most {DISTINCT_MAX_VALUES:,} values and "
        f"{DISTINCT_MAX_BYTES:,} bytes, else 422 `query_too_complex`."
    ),
    "parameters": [TYPES],
    "request": _of_body(
        {"field": {"type": "string", "minLength": 1, "maxLength": 1024}, "filter": _FILTER},
        "field",
    ),
    "responses": answers(
        *_READS,
        s200={
            "type": "object",
            "required": ["values"],
            "properties": {"values": {"type": "array", "items": {}}},
        },
    ),
    "examples": _examples({"field": "status"}, {"values": ["closed", "open"]}),
}
AGGREGATE: dict[str, Any] = {
    "summary": "Run a pipeline over the documents",
    "description": (
        "Stages: `$match $group $sort $limit $skip $project $set $unset $unwind $count $bucket "
        f"$sortByCount $facet`. At most {AGGREGATE_MAX_DOCUMENTS:,} results and "
        f"{AGGREGATE_MAX_BYTES:,} bytes, else 422 `query_too_complex`."
    ),
    "parameters": [TYPES],
    "request": _of_body({"pipeline": {"type": "array", "items": {"type": "object"}}}, "pipeline"),
    "responses": answers(
        *_READS,
        s200={
            "type": "object",
            "required": ["data"],
            "properties": {"data": {"type": "array", "items": {"type": "object"}}},
        },
    ),
    "examples": _examples(
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
            "properties": {"keys": _KEYS},
            "description": "The body to POST to …/indexes, where an index would help.",
        },
    },
}
EXPLAIN: dict[str, Any] = {
    "summary": "Say how a filter and sort are answered",
    "request": _of_body({"filter": _FILTER, "sort": _SORT}),
    "responses": answers(*_READS, s200=_EXPLANATION),
    "examples": _examples(
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
