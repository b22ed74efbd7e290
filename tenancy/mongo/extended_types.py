"""The Extended JSON v2 spelling of each BSON type: how it is read, and how it is written.

Types that clients may not write still have a spelling, for documents that others wrote.
"""

import base64
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from bson.binary import UUID_SUBTYPE, Binary, UuidRepresentation
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

# How stored documents are read, so that nothing is lost before `dumps` sees it.
CODEC_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    tz_aware=False,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    unicode_decode_error_handler="strict",
)

EXACT_IN_JAVASCRIPT = 2**53 - 1

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LAST_ISO_MS = (datetime(9999, 12, 31, 23, 59, 59, 999000, UTC) - EPOCH) // MILLISECOND

# --- Extended JSON wrappers to BSON values


class Wrapper(NamedTuple):
    """How to read what stands behind a `$` name; `read` raises UNREADABLE for anything else."""

    read: Callable[[Any], Any]
    takes: str


# TypeError is a wrong inner type, met by the pattern; ArithmeticError is decimal's.
UNREADABLE = (ValueError, TypeError, ArithmeticError)

OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
DOUBLE = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
DECIMAL = re.compile(
    r"NaN|[+-]?(?:Inf(?:inity)?|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
)
SUBTYPE = re.compile(r"[0-9a-fA-F]{1,2}")
INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,3}0*)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])"
)
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def read_wrapper(name: str, inner: Any) -> Any:
    """The BSON value of `{name: inner}`. Raises one of UNREADABLE if `inner` is not its text."""
    return WRAPPERS[name].read(inner)


def _text(pattern: re.Pattern[str], inner: Any) -> str:
    found = pattern.fullmatch(inner)
    if found is None:
        raise ValueError
    return found[0]


def _read_integer(inner: Any, bits: int) -> int:
    number = int(_text(INTEGER, inner))
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise ValueError
    return number


def _read_double(inner: Any) -> float:
    if inner in NON_FINITE:
        return NON_FINITE[inner]
    number = float(_text(DOUBLE, inner))
    if math.isinf(number):
        raise OverflowError
    return number


def _read_date(inner: Any) -> DatetimeMS:
    if isinstance(inner, dict):
        (name, milliseconds), *rest = inner.items()
        if name != "$numberLong" or rest:
            raise ValueError
        return DatetimeMS(_read_integer(milliseconds, 64))
    instant = datetime.fromisoformat(_text(INSTANT, inner))
    return DatetimeMS((instant - EPOCH) // MILLISECOND)


def _read_binary(inner: Any) -> Binary:
    if not isinstance(inner, dict) or inner.keys() != {"base64", "subType"}:
        raise ValueError
    data = base64.b64decode(inner["base64"], validate=True)
    subtype = int(_text(SUBTYPE, inner["subType"]), 16)
    lossless = base64.b64encode(data).decode() == inner["base64"]
    if not lossless or (subtype == UUID_SUBTYPE and len(data) != 16):
        raise ValueError
    return Binary(data, subtype)


WRAPPERS: Mapping[str, Wrapper] = {
    "$oid": Wrapper(lambda inner: ObjectId(_text(OBJECT_ID, inner)), "24 hex digits"),
    "$date": Wrapper(
        _read_date,
        "an ISO 8601 time with Z or an offset, to the millisecond, such as"
        ' "2020-01-31T09:30:00.123Z", or {"$numberLong": "<milliseconds>"}',
    ),
    "$numberInt": Wrapper(lambda inner: _read_integer(inner, 32), "a 32-bit integer in a string"),
    "$numberLong": Wrapper(
        lambda inner: Int64(_read_integer(inner, 64)), "a 64-bit integer in a string"
    ),
    "$numberDouble": Wrapper(
        _read_double, 'a double in a string, or "NaN", "Infinity", "-Infinity"'
    ),
    "$numberDecimal": Wrapper(
        lambda inner: Decimal128(_text(DECIMAL, inner)),
        "a decimal in a string, of at most 34 digits",
    ),
    "$binary": Wrapper(
        _read_binary,
        '{"base64", "subType"}: base64 with its padding, one or two hex digits,'
        ' and 16 bytes for subtype "04"',
    ),
    "$uuid": Wrapper(
        lambda inner: Binary.from_uuid(UUID(_text(UUID_TEXT, inner))),
        "a UUID of 36 characters",
    ),
}


# --- BSON values to JSON text


REGEX_OPTIONS = {"i": re.I, "l": re.L, "m": re.M, "s": re.S, "u": re.U, "x": re.X}


def spell_non_finite(value: Any) -> Any:
    """Return a value with its NaN and infinities spelled out, at any depth."""
    if isinstance(value, dict):
        return {key: spell_non_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spell_non_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$numberDouble": _name_non_finite(value)}
    return value


def _name_non_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def spell(value: Any) -> Any:
    """What orjson asks for each value that plain JSON does not have."""
    spelling = SPELLINGS.get(type(value))
    if spelling is None:
        raise TypeError(f"{type(value).__name__} does not come from BSON")
    return spelling(value)


def _spell_int64(value: Int64) -> Any:
    exact = -EXACT_IN_JAVASCRIPT <= value <= EXACT_IN_JAVASCRIPT
    return int(value) if exact else {"$numberLong": str(int(value))}


def _spell_date(value: DatetimeMS) -> dict[str, Any]:
    milliseconds = int(value)
    if not 0 <= milliseconds <= LAST_ISO_MS:
        return {"$date": {"$numberLong": str(milliseconds)}}
    instant = EPOCH.replace(tzinfo=None) + milliseconds * MILLISECOND
    precision = "milliseconds" if instant.microsecond else "seconds"
    return {"$date": instant.isoformat(timespec=precision) + "Z"}


def _spell_binary(value: bytes) -> dict[str, Any]:
    subtype = value.subtype if isinstance(value, Binary) else 0
    if subtype == UUID_SUBTYPE and len(value) == 16:
        return {"$uuid": str(UUID(bytes=bytes(value)))}
    return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": f"{subtype:02x}"}}


def _spell_code(value: Code) -> dict[str, Any]:
    code: dict[str, Any] = {"$code": str(value)}
    return code if value.scope is None else code | {"$scope": spell_non_finite(dict(value.scope))}


def _spell_regex(value: Regex[Any]) -> dict[str, Any]:
    options = "".join(letter for letter, flag in REGEX_OPTIONS.items() if value.flags & flag)
    return {"$regularExpression": {"pattern": value.pattern, "options": options}}


SPELLINGS: Mapping[type, Callable[[Any], Any]] = {
    Int64: _spell_int64,
    ObjectId: lambda value: {"$oid": str(value)},
    DatetimeMS: _spell_date,
    Decimal128: lambda value: {"$numberDecimal": str(value)},
    bytes: _spell_binary,
    Binary: _spell_binary,
    Regex: _spell_regex,
    Code: _spell_code,
    Timestamp: lambda value: {"$timestamp": {"t": value.time, "i": value.inc}},
    DBRef: lambda value: spell_non_finite(dict(value.as_doc())),
    MinKey: lambda _: {"$minKey": 1},
    MaxKey: lambda _: {"$maxKey": 1},
}
