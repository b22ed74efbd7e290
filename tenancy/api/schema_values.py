"""What the OpenAPI document says of documents and filters: components that refer to each other."""

from typing import Any

from tenancy.mongo.field_paths import MAX_CHARACTERS, MAX_SEGMENTS, META_FIELDS
from tenancy.mongo.filter_operators import LIST_MAX_VALUES, TYPE_NAMES, TYPE_NUMBERS
from tenancy.mongo.filters import LOGICAL
from tenancy.mongo.projections import FIELDS_MAX, SORT_MAX_KEYS

Schema = dict[str, Any]

INT64 = {"minimum": -(2**63), "maximum": 2**63 - 1}
_META = "|".join(name.replace(".", r"\.") for name in sorted(META_FIELDS))
# Of names in documents: at their top, and further down.
_TOP = r"[^$._\u0000][^.\u0000]*"
_NAME = r"[^$.\u0000][^.\u0000]*"


def _path(first: str, own: str, without: str = "") -> str:
    """Return the pattern of dotted paths: `first` is what their first part begins without."""
    begin, more = rf"[^$.\u0000{first}{without}]", rf"[^.\u0000{without}]*"
    rest = rf"(\.[^$.\u0000{without}]{more}){{0,{MAX_SEGMENTS - 1}}}"
    return rf"({own}{begin}{more}{rest})"


def _listed(part: str) -> str:
    return f"{part}(,{part}){{0,{FIELDS_MAX - 1}}}"


PATH = _path("_", rf"_id(\.{_NAME})*|{_META}|")
_INNER_PATH = _path("", "")
_SORTED = _path("_", f"_id|{_META}|", ",")
_CHOSEN = f"_id|_meta|{_META}|"
_KEY = _path("_", f"_id|{_META}|")


def ref(name: str) -> Schema:
    """Return a reference to one of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(pattern: str, **more: Any) -> Schema:
    """Return what strings of a pattern are."""
    return {"type": "string", "pattern": f"^{pattern}$", **more}


def closed(properties: Schema, *required: str, **more: Any) -> Schema:
    """Return what an object of these properties and no others is."""
    needed = {"required": list(required)} if required else {}
    body = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**body, **needed, **more}


def _wrapper(name: str, inner: Schema) -> Schema:
    return closed({name: inner}, name)


FIELD_PATH = text(PATH, maxLength=MAX_CHARACTERS)
SORT_TEXT = text(f"-?{_SORTED}(,-?{_SORTED}){{0,{SORT_MAX_KEYS - 1}}}")
_IN, _OUT = _path(r"_\-", _CHOSEN, ","), "-" + _path("_", "", ",")
FIELDS_TEXT = text(f"({_listed(_IN)}|{_listed(_OUT)})")
PAIR: Schema = {
    "type": "array",
    "prefixItems": [text(_KEY, maxLength=MAX_CHARACTERS), {"type": "integer", "enum": [1, -1]}],
    "minItems": 2,
    "maxItems": 2,
}
# The keys of an index in an answer; tools that check answers do not all know `prefixItems`.
KEYS_ANSWERED: Schema = {
    "type": "array",
    "items": {
        "type": "array",
        "items": {"type": ["string", "integer"]},
        "minItems": 2,
        "maxItems": 2,
    },
}
_KEYS: Schema = {"type": "array", "minItems": 1, "maxItems": SORT_MAX_KEYS, "uniqueItems": True}
FIELD_OF_INDEX = text(_path("_", rf"_id(\.{_NAME})*|{_META}|"), maxLength=200)
SORT: Schema = {
    "description": (
        "1 to 4 keys, as the text of the parameter, its parts, or pairs of a field and 1 or -1. "
        "The `_id` decides between equals."
    ),
    "anyOf": [
        SORT_TEXT,
        {**_KEYS, "items": text(f"-?{_KEY}")},
        {**_KEYS, "items": PAIR},
    ],
}
_CHOICE: Schema = {"type": "array", "minItems": 1, "maxItems": FIELDS_MAX, "uniqueItems": True}
FIELDS: Schema = {
    "description": "Fields to answer with, or, each behind a `-`, to leave out.",
    "anyOf": [
        FIELDS_TEXT,
        {**_CHOICE, "items": text(_path(r"_\-", _CHOSEN))},
        {**_CHOICE, "items": text("-" + _path("_", ""))},
    ],
}
_OBJECT_ID = _wrapper("$oid", text("[0-9a-fA-F]{24}"))
_UUID = _wrapper("$uuid", text("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"))
_INTEGER = text("(0|-?[1-9][0-9]{0,17})")
_LONG = _wrapper("$numberLong", text("(0|-?[1-9][0-9]{0,18})"))
_INSTANT = text(
    "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,3}0*)?"
    "(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])"
)
_WRAPPERS: list[Schema] = [
    _OBJECT_ID,
    _UUID,
    _LONG,
    _wrapper("$numberInt", text("(0|-?[1-9][0-9]{0,9})")),
    _wrapper(
        "$numberDouble",
        text(r"(NaN|-?Infinity|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)"),
    ),
    _wrapper(
        "$numberDecimal",
        text(r"(NaN|[+-]?(Inf(inity)?|([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?))"),
    ),
    _wrapper("$date", {"anyOf": [_INSTANT, _LONG]}),
    _wrapper(
        "$binary",
        closed(
            {
                "base64": text(
                    "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
                    contentEncoding="base64",
                ),
                "subType": text("[0-9a-fA-F]{1,2}"),
            },
            "base64",
            "subType",
        ),
    ),
]
ID: Schema = {
    "description": "An ObjectId, a string of 1 to 512 bytes, a 64-bit integer or a UUID.",
    "anyOf": [
        text(r"[^\u0000]+", maxLength=512),
        {"type": "integer", **INT64},
        _OBJECT_ID,
        _UUID,
        _LONG,
        _wrapper("$numberInt", _INTEGER),
    ],
}
_VALUE: Schema = {
    "description": (
        "Relaxed Extended JSON v2. Integers outside of 64 bits are refused, so are numbers that "
        "are no double; at most 32 levels."
    ),
    "anyOf": [
        {"type": ["null", "boolean", "string", "number"]},
        {"type": "array", "items": ref("Value")},
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{_NAME}$"},
            "additionalProperties": ref("Value"),
        },
        *_WRAPPERS,
    ],
}
_INSTANTS = _wrapper("$date", {"type": "string"})
DOCUMENT: Schema = {
    "type": "object",
    "description": (
        "A document in relaxed Extended JSON v2: the user's fields, `_id` and `_meta`. With "
        "`types=plain`, dates, ids and decimals are strings."
    ),
    "properties": {
        "_id": {},
        "_meta": {
            "type": "object",
            "readOnly": True,
            "properties": {
                "rev": {"type": "integer", "minimum": 1},
                "created_at": {"anyOf": [_INSTANTS, {"type": "string", "format": "date-time"}]},
                "updated_at": {"anyOf": [_INSTANTS, {"type": "string", "format": "date-time"}]},
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": True,
}


def _given(description: str) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": {"_id": ref("Id"), "_meta": {"description": "Ours: it is left out."}},
        "propertyNames": {"pattern": f"^(_id|_meta|{_TOP})$"},
        "additionalProperties": ref("Value"),
    }


_VALUES: Schema = {"type": "array", "items": ref("Value"), "maxItems": LIST_MAX_VALUES}
_TYPE = {"enum": [*sorted(TYPE_NAMES), *sorted(TYPE_NUMBERS)]}
_WHOLE = {"type": "integer", **INT64}
_DIVISOR = {"anyOf": [{**_WHOLE, "minimum": 1}, {**_WHOLE, "maximum": -1}]}
_OPERATORS: Schema = closed(
    {
        **dict.fromkeys(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"), ref("Value")),
        "$in": _VALUES,
        "$nin": _VALUES,
        "$all": {
            "anyOf": [
                _VALUES,
                {
                    "type": "array",
                    "items": _wrapper("$elemMatch", ref("ElementFilter")),
                    "maxItems": LIST_MAX_VALUES,
                },
            ]
        },
        "$exists": {"type": "boolean"},
        "$type": {"anyOf": [_TYPE, {"type": "array", "items": _TYPE, "minItems": 1}]},
        "$size": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
        "$mod": {
            "type": "array",
            "prefixItems": [_DIVISOR, _WHOLE],
            "minItems": 2,
            "maxItems": 2,
        },
        "$regex": {
            **text(r"\^([^\\^$.|?*+()\[\]{}\u0000]|\\[!-/:-@\[-`{-~ ])+"),
            "description": "`^` and at most 256 characters of literal text.",
        },
        "$not": ref("Operators"),
        "$elemMatch": ref("ElementFilter"),
    },
    minProperties=1,
)


def _filter(path: str, itself: str, description: str) -> Schema:
    parts = {"type": "array", "items": ref(itself), "minItems": 1}
    logical = "|".join(rf"\{name}" for name in LOGICAL)
    return {
        "type": "object",
        "description": description,
        "properties": dict.fromkeys(LOGICAL, parts),
        "propertyNames": {"pattern": f"^({logical}|{path})$", "maxLength": MAX_CHARACTERS},
        "additionalProperties": {"anyOf": [ref("Operators"), ref("Value")]},
    }


COMPONENTS: Schema = {
    "Id": ID,
    "Value": _VALUE,
    "Document": DOCUMENT,
    "NewDocument": _given("The user's fields, and the `_id` if it is not to be made."),
    "Patch": _given("A JSON merge patch, RFC 7396: null removes, objects merge, else replaced."),
    "Operators": _OPERATORS,
    "Filter": _filter(
        PATH,
        "Filter",
        "Conditions on fields, by their dotted paths; all of them hold. At most 16 KiB, 100 "
        "conditions, 8 levels. `{}` finds everything.",
    ),
    "ElementFilter": {
        "description": "Operators on an element of an array, or a filter on its fields.",
        "anyOf": [ref("Operators"), ref("FieldsOfElement")],
    },
    "FieldsOfElement": _filter(_INNER_PATH, "FieldsOfElement", "A filter on an element's fields."),
}
