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
    match value:
        case DatetimeMS():
            return {"$date": _date(int(value))}
        case Int64() if abs(value) > 2**53 - 1:
            return {"$numberLong": str(int(value))}
        case Int64():
            return int(value)
        case float() if math.isnan(value):
            return {"$numberDouble": "NaN"}
        case float() if math.isinf(value):
            return {"$numberDouble": "Infinity" if value > 0 else "-Infinity"}
        case ObjectId():
            return {"$oid": str(value)}
        case Decimal128():
            return {"$numberDecimal": str(value)}
        case bytes():
            return _binary(value, value.subtype if isinstance(value, Binary) else 0)
    return value


def _binary(value, subtype):
    if subtype == 4:
        return {"$uuid": str(UUID(bytes=bytes(value)))}
    return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": f"{subtype:02x}"}}


def _date(milliseconds):
    if not 0 <= milliseconds <= LAST_MS:
        return {"$numberLong": str(milliseconds)}
    at = DatetimeMS(milliseconds).as_datetime()
    rest = f".{milliseconds % 1000:03}" if milliseconds % 1000 else ""
    return at.strftime("%Y-%m-%dT%H:%M:%S") + rest + "Z"


def _text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
