"""Relaxed Extended JSON v2 as simply as it can be written: what the fast writer must equal."""

import base64
import json
import math
from uuid import UUID

from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

LAST_MS = 253_402_300_799_999


def write(value):
    """Return the text, for the types that clients may write; dates are DatetimeMS."""
    if isinstance(value, dict):
        inner = ",".join(f"{_text(key)}:{write(item)}" for key, item in value.items())
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",".join(write(item) for item in value) + "]"
    return _text(_spelled(value))


def _spelled(value):
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity"
        return {"$numberDouble": f"-{name}" if value < 0 else name}
    if isinstance(value, Int64):
        number = int(value)
        return {"$numberLong": str(number)} if abs(number) > 2**53 - 1 else number
    for kind, spelling in SPELLINGS.items():
        if isinstance(value, kind):
            return spelling(value)
    return value


def _binary(value):
    subtype = value.subtype if isinstance(value, Binary) else 0
    if subtype == 4:
        return {"$uuid": str(UUID(bytes=bytes(value)))}
    return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": f"{subtype:02x}"}}


def _date(value):
    milliseconds = int(value)
    if not 0 <= milliseconds <= LAST_MS:
        return {"$date": {"$numberLong": str(milliseconds)}}
    at = DatetimeMS(milliseconds).as_datetime()
    rest = f".{milliseconds % 1000:03}" if milliseconds % 1000 else ""
    return {"$date": at.strftime("%Y-%m-%dT%H:%M:%S") + rest + "Z"}


SPELLINGS = {
    DatetimeMS: _date,
    ObjectId: lambda value: {"$oid": str(value)},
    Decimal128: lambda value: {"$numberDecimal": str(value)},
    bytes: _binary,
}


def _text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
