"""Extended JSON v2 wrappers: how each is read. `tenancy.mongo.spelling` writes them."""

import base64
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from bson.binary import UUID_SUBTYPE, Binary, UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

# How stored documents are read, so that nothing is lost before `dumps` sees it. A date is a naive
# datetime in UTC, which the driver makes in C; beyond the years 1 to 9999 it is a DatetimeMS.
CODEC_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    tz_aware=False,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    unicode_decode_error_handler="strict",
)
# How a reply is read that may hold MongoDB's own words: a value in them is cut anywhere, also in
# the middle of a letter. Not for documents: what a client reads, it may store again.
REPLY_OPTIONS = CODEC_OPTIONS.with_options(unicode_decode_error_handler="replace")
# How the driver looks into bytes that it is to send.
RAW_OPTIONS = CODEC_OPTIONS.with_options(document_class=RawBSONDocument)

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- as BSON is read: naive, in UTC
MILLISECOND = timedelta(milliseconds=1)
FIRST_MS = (datetime.min - EPOCH) // MILLISECOND  # noqa: DTZ901
LAST_MS = (datetime.max - EPOCH) // MILLISECOND  # noqa: DTZ901

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


def date_of(milliseconds: int) -> datetime | DatetimeMS:
    """Return the time so many milliseconds after 1970, as it would be read under CODEC_OPTIONS."""
    if FIRST_MS <= milliseconds <= LAST_MS:
        return EPOCH + milliseconds * MILLISECOND
    return DatetimeMS(milliseconds)


def _read_date(inner: Any) -> datetime | DatetimeMS:
    if isinstance(inner, dict):
        (name, milliseconds), *rest = inner.items()
        if name != "$numberLong" or rest:
            raise ValueError
        return date_of(_read_integer(milliseconds, 64))
    instant = datetime.fromisoformat(_text(INSTANT, inner))
    if instant.tzinfo is UTC:
        return instant.replace(tzinfo=None)
    return date_of((instant - EPOCH.replace(tzinfo=UTC)) // MILLISECOND)


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
