"""What may be stored: keys, depth, types, size and ids. Raw JSON in, BSON values out."""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias
from uuid import UUID

import bson
from bson.binary import UUID_SUBTYPE, Binary
from bson.errors import BSONError
from bson.int64 import Int64
from bson.objectid import ObjectId

from tenancy.exceptions import (
    FieldError,
    InvalidDocument,
    InvalidId,
    PayloadTooLarge,
    TypeNotAllowed,
)
from tenancy.mongo.extended_types import (
    CODEC_OPTIONS,
    OBJECT_ID,
    UNREADABLE,
    WRAPPERS,
    read_wrapper,
)
from tenancy.mongo.quick_documents import Doubtful, quick_document
from tenancy.mongo.raw_json import SURROGATE, Path, pointer, refusal, shown

MAX_DEPTH = 32
MAX_DOCUMENT_BYTES = 1_048_576
MAX_ID_BYTES = 512
METADATA = "_meta"
RESERVED = ("$", "_")  # what no name of a top-level field begins with, but for two

DocumentId: TypeAlias = ObjectId | str | int | Binary

REFUSED_TYPES: Mapping[str, str] = {
    "$code": "JavaScript code",
    "$scope": "JavaScript code",
    "$regularExpression": "regular expression",
    "$regex": "regular expression",
    "$options": "regular expression",
    "$dbPointer": "database pointer",
    "$ref": "database reference",
    "$id": "database reference",
    "$db": "database reference",
    "$symbol": "symbol",
    "$timestamp": "timestamp",
    "$minKey": "minimum key",
    "$maxKey": "maximum key",
    "$undefined": "undefined",
    "$type": "type name",
}


# --- documents and patches


def decode_document(value: Any, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> dict[str, Any]:
    """The document of BSON values that `value`, from `raw_json.loads`, spells.

    Integers outside int32 are Int64, dates naive datetimes in UTC (DatetimeMS where there is no
    such), UUIDs Binary of subtype 4. `_meta` is ours and left out, so that what was read can be
    sent back. Raises InvalidDocument with a pointer, TypeNotAllowed for a type clients may not
    write, and PayloadTooLarge for more than `max_bytes` of BSON.
    """
    return _decode_top(value, "document", max_bytes)


def decode_patch(value: Any, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> dict[str, Any]:
    """An RFC 7396 merge patch under the rules of a document; a None in it means "remove"."""
    return _decode_top(value, "patch", max_bytes)


def _decode_top(value: Any, noun: str, max_bytes: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refusal(None, f"The {noun} must be a JSON object.")
    fields = _without_reserved(value) if _may_be_reserved(value) else value
    try:
        document = quick_document(fields, MAX_DEPTH)
    except Doubtful:
        document = _decode_fields(fields, None, 1)
    if "_id" in document and not is_id(document["_id"]):
        raise refusal(
            (None, "_id"),
            f"An _id is an ObjectId, a string of 1 to {MAX_ID_BYTES} bytes without NUL,"
            " an integer or a UUID.",
        )
    _check_size(document, noun, max_bytes)
    return document


def _may_be_reserved(value: dict[str, Any]) -> bool:
    """Return whether a name may begin as the reserved ones do: one look at all of them."""
    names = "\0" + "\0".join(value)
    return "\0_" in names or "\0$" in names


def _without_reserved(value: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without `_meta`. Raises InvalidDocument and TypeNotAllowed."""
    reserved = [key for key in value if key[:1] in RESERVED]
    if reserved:
        _refuse_type(value, None)
    for key in reserved:
        if key not in ("_id", METADATA):
            raise refusal((None, key), f"The name {shown(key)} is reserved.")
    return {key: item for key, item in value.items() if key != METADATA}


def decode_value(value: Any, path: Path) -> Any:
    """The BSON value that raw JSON spells, under the rules of what is inside a document.

    Raises InvalidDocument and TypeNotAllowed; their pointers begin with `path`.
    """
    return _decode(value, path, 1)


def _decode(value: Any, path: Path, depth: int) -> Any:
    """Any value that may stand inside a document; `depth` is the level it would be at."""
    if isinstance(value, dict):
        if any(key[:1] == "$" for key in value):
            return _decode_wrapper(value, path)
        return _decode_fields(value, path, depth)
    if isinstance(value, list):
        _check_depth(path, depth)
        return [_decode(item, (path, index), depth + 1) for index, item in enumerate(value)]
    if type(value) is int and not -(2**31) <= value < 2**31:
        return Int64(value)
    return value


def _decode_fields(value: dict[str, Any], path: Path, depth: int) -> dict[str, Any]:
    _check_depth(path, depth)
    fields = {}
    for key, item in value.items():
        at = (path, key)
        if not key or "." in key or "\0" in key:
            raise refusal(at, f"The key {shown(key)} is empty or holds a dot or a NUL.")
        fields[key] = _decode(item, at, depth + 1)
    return fields


def _decode_wrapper(value: dict[str, Any], path: Path) -> Any:
    _refuse_type(value, path)
    name = next(key for key in value if key[:1] == "$")
    if name not in WRAPPERS:
        raise refusal((path, name), f"The key {shown(name)} starts with a dollar sign.")
    if len(value) > 1:
        raise refusal(path, f"{name} stands alone in its object.")
    try:
        return read_wrapper(name, value[name])
    except UNREADABLE as exc:
        raise refusal(path, f"{name} takes {WRAPPERS[name].takes}.") from exc


def _refuse_type(value: dict[str, Any], path: Path) -> None:
    for key in value:
        if key in REFUSED_TYPES:
            message = f"The type {REFUSED_TYPES[key]} ({key}) is not accepted."
            error = FieldError(pointer(path), "type_not_allowed", message)
            raise TypeNotAllowed(message, errors=[error])


def _check_depth(path: Path, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise refusal(path, f"Objects and arrays nest at most {MAX_DEPTH} levels deep.")


def _check_size(document: dict[str, Any], noun: str, max_bytes: int) -> None:
    try:
        size = len(bson.encode(document, codec_options=CODEC_OPTIONS))
    except (BSONError, OverflowError, UnicodeError) as exc:
        # Only values that did not come through `loads` get here.
        raise InvalidDocument(errors=[FieldError("", "invalid_document", "Not BSON.")]) from exc
    if size > max_bytes:
        message = f"The {noun} is {size} bytes of BSON; at most {max_bytes} are accepted."
        raise PayloadTooLarge(message, errors=[FieldError("", "payload_too_large", message)])


# --- ids


def is_id(value: Any) -> bool:
    """Whether a BSON value may be a document's `_id`."""
    if isinstance(value, str):
        return _is_text_id(value)
    if isinstance(value, Binary):
        return value.subtype == UUID_SUBTYPE
    return isinstance(value, ObjectId | int) and not isinstance(value, bool)


def _is_text_id(text: str) -> bool:
    if "\0" in text or SURROGATE.search(text):
        return False
    return 0 < len(text.encode()) <= MAX_ID_BYTES


ID_WRAPPERS: Mapping[str, str] = {"oid": "$oid", "int": "$numberLong", "uuid": "$uuid"}
AMBIGUOUS_LENGTHS = (1, 2, 24)  # of "." and "..", and of what may be an ObjectId
ID_PREFIX = re.compile(r"(oid|str|int|uuid):(.*)", re.DOTALL)


def parse_id(text: str) -> DocumentId:
    """The `_id` that a path segment names: 24 hex digits are an ObjectId, `oid:`, `str:`,
    `int:` and `uuid:` say which type follows, all else is a string. Raises InvalidId."""
    prefixed = ID_PREFIX.fullmatch(text)
    prefix, rest = prefixed.groups() if prefixed else _guess_prefix(text)
    if prefix in ID_WRAPPERS:
        return _read_id(prefix, rest)
    if not _is_text_id(rest):
        raise InvalidId(f"A string id has 1 to {MAX_ID_BYTES} bytes of UTF-8 and no NUL.")
    return rest


def _guess_prefix(text: str) -> tuple[str, str]:
    return ("oid" if OBJECT_ID.fullmatch(text) else "str"), text


def _read_id(prefix: str, rest: str) -> DocumentId:
    name = ID_WRAPPERS[prefix]
    try:
        value: DocumentId = read_wrapper(name, rest)
    except UNREADABLE as exc:
        raise InvalidId(f"An id after {prefix}: is {WRAPPERS[name].takes}.") from exc
    return value


def format_id(value: DocumentId) -> str:
    """The path segment, not yet percent-encoded, that `parse_id` turns back into `value`."""
    if isinstance(value, ObjectId):
        return str(value)
    if type(value) is str and ":" not in value and len(value) not in AMBIGUOUS_LENGTHS:
        return value
    if isinstance(value, Binary):
        return f"uuid:{UUID(bytes=bytes(value))}"
    if isinstance(value, int):
        return f"int:{int(value)}"
    text = str(value)
    if isinstance(value, str) and (_guess_prefix(text)[0] == "oid" or _is_ambiguous(text)):
        return f"str:{text}"
    return text


def _is_ambiguous(text: str) -> bool:
    return text in (".", "..") or ID_PREFIX.fullmatch(text) is not None
