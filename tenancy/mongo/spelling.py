"""How each BSON type is written in JSON: without loss, as Extended JSON v2, or plainly, for people.

Types that clients may not write still have a spelling, for documents that others wrote.
"""

import base64
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import chain, repeat
from operator import is_
from typing import Any, NoReturn
from uuid import UUID

from bson.binary import UUID_SUBTYPE, Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from orjson import Fragment

from tenancy.mongo.extended_types import EPOCH, FIRST_MS, LAST_MS, MILLISECOND
from tenancy.mongo.raw_batches import FiniteList

EXACT_IN_JAVASCRIPT = 2**53 - 1
# The two dates of `_meta` are often one, and so are those of what was stored together.
CACHED_DATES = 8_192
REGEX_OPTIONS = {"i": re.I, "l": re.L, "m": re.M, "s": re.S, "u": re.U, "x": re.X}

Speller = Callable[[Any], Any]


def spell(value: Any) -> Any:
    """What orjson asks for each value that plain JSON does not have: Extended JSON v2."""
    speller = SPELLINGS.get(type(value)) or _refuse(value)
    return speller(value)


def spell_plainly(value: Any) -> Any:
    """The same for people: a string, or what JSON has for it."""
    speller = PLAIN_SPELLINGS.get(type(value)) or _refuse(value)
    return speller(value)


def _refuse(value: Any) -> NoReturn:
    raise TypeError(f"{type(value).__name__} does not come from BSON")


# --- NaN and the infinities, of which orjson makes null


_LOOKED_INTO = frozenset((float, dict, list))


def has_non_finite(value: Any) -> bool:
    """Return whether a NaN or an infinity is in a value, at any depth; a FiniteList has none."""
    kind = type(value)
    if kind is float:
        return not math.isfinite(value)
    if kind is dict:
        return _any_non_finite(value.values())
    return kind is list and _any_non_finite(value)


def _any_non_finite(values: Any) -> bool:
    """One pass over many values: this loop is most of what a null in an answer costs."""
    for value in values:
        if type(value) not in _LOOKED_INTO:
            continue
        if type(value) is float:
            if value - value != 0.0:  # of finite numbers alone it is 0; cheaper than a call
                return True
        elif _any_non_finite(value.values() if type(value) is dict else value):
            return True
    return False


def nulls_in_sight(value: Any) -> int:
    """Return how many nulls there are in plain sight: in a document, or in lists of documents.

    Where the text has no more of them, none of its nulls was a NaN or an infinity; to count these
    takes a third of the time that looking at every value does.
    """
    if type(value) is not dict:
        return 0
    lists = [item for item in value.values() if type(item) is list]
    documents = [item for each in lists for item in each if type(item) is dict]
    inside = chain.from_iterable([value.values(), *[each.values() for each in documents]])
    return sum(map(is_, inside, repeat(None)))


def spell_non_finite(value: Any, *, plain: bool = False) -> Any:
    """Return a value with its NaN and infinities spelled out, at any depth."""
    if isinstance(value, dict):
        return {key: spell_non_finite(item, plain=plain) for key, item in value.items()}
    if isinstance(value, list):
        return [spell_non_finite(item, plain=plain) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        name = _name_non_finite(value)
        return name if plain else {"$numberDouble": name}
    return value


def _name_non_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


# --- without loss; a Fragment is JSON text, which orjson takes as it is


def _spell_object_id(value: ObjectId) -> Fragment:
    return Fragment(f'{{"$oid":"{value.binary.hex()}"}}')


@lru_cache(CACHED_DATES)
def _spell_datetime(value: datetime) -> Any:
    if value < EPOCH:
        return _spell_milliseconds((value - EPOCH) // MILLISECOND)
    return Fragment(f'{{"$date":"{_iso(value)}"}}')


def _spell_date(value: DatetimeMS) -> Any:
    milliseconds = int(value)
    if 0 <= milliseconds <= LAST_MS:
        return _spell_datetime(EPOCH + milliseconds * MILLISECOND)
    return _spell_milliseconds(milliseconds)


def _spell_milliseconds(milliseconds: int) -> Any:
    return {"$date": {"$numberLong": str(milliseconds)}}


def _iso(value: datetime) -> str:
    """Return the text of a naive time in UTC, with milliseconds where there are any."""
    text = value.isoformat()
    return f"{text[:-3]}Z" if value.microsecond else f"{text}Z"


def _spell_int64(value: Int64) -> Any:
    number = int(value)
    exact = -EXACT_IN_JAVASCRIPT <= number <= EXACT_IN_JAVASCRIPT
    return number if exact else {"$numberLong": str(number)}


def _spell_binary(value: bytes) -> dict[str, Any]:
    subtype = value.subtype if isinstance(value, Binary) else 0
    if subtype == UUID_SUBTYPE and len(value) == 16:
        return {"$uuid": str(UUID(bytes=bytes(value)))}
    return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": f"{subtype:02x}"}}


def _spell_code(value: Code) -> dict[str, Any]:
    code: dict[str, Any] = {"$code": str(value)}
    return code if value.scope is None else code | {"$scope": spell_non_finite(dict(value.scope))}


def _options(value: Regex[Any]) -> str:
    return "".join(letter for letter, flag in REGEX_OPTIONS.items() if value.flags & flag)


def _spell_regex(value: Regex[Any]) -> dict[str, Any]:
    return {"$regularExpression": {"pattern": value.pattern, "options": _options(value)}}


SPELLINGS: Mapping[type, Speller] = {
    FiniteList: list,
    datetime: _spell_datetime,
    ObjectId: _spell_object_id,
    Int64: _spell_int64,
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


# --- plainly


def _plain_date(value: DatetimeMS) -> str:
    """Return the time; for one that has no four-digit year, its milliseconds since 1970."""
    milliseconds = int(value)
    if FIRST_MS <= milliseconds <= LAST_MS:
        return _iso(EPOCH + milliseconds * MILLISECOND)
    return str(milliseconds)


def _plain_int64(value: Int64) -> int | str:
    number = int(value)
    return number if abs(number) <= EXACT_IN_JAVASCRIPT else str(number)


def _plain_binary(value: bytes) -> str:
    if isinstance(value, Binary) and value.subtype == UUID_SUBTYPE and len(value) == 16:
        return str(UUID(bytes=bytes(value)))
    return base64.b64encode(value).decode()


PLAIN_SPELLINGS: Mapping[type, Speller] = {
    FiniteList: list,
    datetime: _iso,
    ObjectId: str,
    Int64: _plain_int64,
    DatetimeMS: _plain_date,
    Decimal128: str,
    bytes: _plain_binary,
    Binary: _plain_binary,
    Regex: lambda value: f"/{value.pattern}/{_options(value)}",
    Code: str,
    Timestamp: lambda value: f"{value.time}:{value.inc}",
    DBRef: lambda value: spell_non_finite(dict(value.as_doc()), plain=True),
    MinKey: lambda _: "MinKey",
    MaxKey: lambda _: "MaxKey",
}
