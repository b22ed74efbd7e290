"""What the OpenAPI document says of pipelines: their stages, and what each of them takes."""

from typing import Any

from tenancy.api.schema_values import FIELD_PATH, INT64, PATH, Schema, closed, ref, text
from tenancy.mongo.expression_operators import ACCUMULATORS, OPERATORS
from tenancy.mongo.pipelines import (
    BOUNDARIES_MAX,
    FACET_MAX_BRANCHES,
    FACET_MAX_STAGES,
    LIMIT_MAX,
    PIPELINE_MAX_STAGES,
    SKIP_MAX,
)

# The name of a field that a stage makes, and a field or variable in an expression.
_MADE = r"[^$._\u0000][^.\u0000]*"
_REFERENCE = r"\$\$?[^$.\u0000][^$\u0000]*"
_EXPRESSION: Schema = {
    "description": (
        "`$field`, a constant, or an object with one operator: "
        + " ".join(f"`{name}`" for name in sorted(OPERATORS))
        + "; or an object or array of expressions."
    ),
    "anyOf": [
        {"type": ["null", "boolean"]},
        {"type": "integer", **INT64},
        {"type": "number"},
        text(r"([^$][\s\S]*)?"),
        text(_REFERENCE),
        {"type": "array"},
        {
            "type": "object",
            "propertyNames": {
                "anyOf": [{"enum": sorted(OPERATORS)}, {"pattern": r"^[^.\u0000]+$"}]
            },
        },
    ],
}
_ACCUMULATOR: Schema = closed(
    {
        **dict.fromkeys(sorted(ACCUMULATORS - {"$count"}), ref("Expression")),
        "$count": closed({}),
    },
    minProperties=1,
    maxProperties=1,
)
_ACCUMULATED: Schema = {
    "type": "object",
    "propertyNames": {"pattern": f"^{_MADE}$"},
    "additionalProperties": ref("Accumulator"),
}
_OF_FIELDS: Schema = {"type": "object", "minProperties": 1}
_UNWOUND = text(r"\$[^$.\u0000][^$\u0000]*")
_STAGES: Schema = {
    "$match": ref("Filter"),
    "$group": {
        "type": "object",
        "required": ["_id"],
        "properties": {"_id": ref("Expression")},
        "propertyNames": {"pattern": f"^(_id|{_MADE})$"},
        "additionalProperties": ref("Accumulator"),
    },
    "$sort": {
        **_OF_FIELDS,
        "propertyNames": {"pattern": f"^{PATH}$"},
        "additionalProperties": {"enum": [1, -1]},
    },
    "$limit": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX},
    "$skip": {"type": "integer", "minimum": 0, "maximum": SKIP_MAX},
    "$project": {
        **_OF_FIELDS,
        "propertyNames": {"pattern": f"^(_meta|{PATH})$"},
        "additionalProperties": ref("Expression"),
    },
    "$set": {
        **_OF_FIELDS,
        "propertyNames": {"pattern": f"^{PATH}$"},
        "additionalProperties": ref("Expression"),
    },
    "$unset": {
        "anyOf": [
            FIELD_PATH,
            {"const": "_meta"},
            {
                "type": "array",
                "items": {"anyOf": [FIELD_PATH, {"const": "_meta"}]},
                "minItems": 1,
            },
        ]
    },
    "$unwind": {
        "anyOf": [
            _UNWOUND,
            closed(
                {
                    "path": _UNWOUND,
                    "includeArrayIndex": text(_MADE),
                    "preserveNullAndEmptyArrays": {"type": "boolean"},
                },
                "path",
            ),
        ]
    },
    "$count": text(_MADE),
    "$bucket": closed(
        {
            "groupBy": ref("Expression"),
            "boundaries": {
                "type": "array",
                "items": ref("Value"),
                "minItems": 2,
                "maxItems": BOUNDARIES_MAX,
                "description": "Ascending, of one type.",
            },
            "default": ref("Value"),
            "output": _ACCUMULATED,
        },
        "groupBy",
        "boundaries",
    ),
    "$sortByCount": {"anyOf": [text(_REFERENCE), {"type": "object", "minProperties": 1}]},
}


def _stage(stages: Schema) -> Schema:
    return closed(stages, minProperties=1, maxProperties=1)


_BRANCH = {"type": "array", "items": ref("StageOfFacet"), "maxItems": FACET_MAX_STAGES}
COMPONENTS: dict[str, Any] = {
    "Expression": _EXPRESSION,
    "Accumulator": _ACCUMULATOR,
    "StageOfFacet": _stage(_STAGES),
    "Stage": _stage(
        {
            **_STAGES,
            "$facet": {
                "type": "object",
                "propertyNames": {"pattern": f"^{_MADE}$"},
                "additionalProperties": _BRANCH,
                "minProperties": 1,
                "maxProperties": FACET_MAX_BRANCHES,
            },
        }
    ),
}
PIPELINE: Schema = {"type": "array", "items": ref("Stage"), "maxItems": PIPELINE_MAX_STAGES}
