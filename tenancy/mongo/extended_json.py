"""BSON to JSON and back without loss: the one module that other modules call for either.

In: `loads` checks the text, `decode_document` and `decode_patch` turn its raw JSON, relaxed or
canonical, into BSON values. Out: `dumps` writes relaxed Extended JSON v2.
"""

import math
from typing import Any

import orjson

from tenancy.mongo.document_rules import (
    DocumentId,
    decode_document,
    decode_patch,
    format_id,
    parse_id,
)
from tenancy.mongo.extended_types import CODEC_OPTIONS, spell, spell_non_finite
from tenancy.mongo.raw_json import loads

__all__ = [
    "CODEC_OPTIONS",
    "DocumentId",
    "decode_document",
    "decode_patch",
    "dumps",
    "format_id",
    "loads",
    "parse_id",
]

JSON_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME


def dumps(value: Any) -> bytes:
    """Relaxed Extended JSON v2 of anything read from BSON under CODEC_OPTIONS.

    Integers beyond +-(2^53-1) are kept from JavaScript's rounding only if they are Int64, as
    BSON and `decode_document` give them: orjson prints a plain int bare. It also prints NaN and
    the infinities as null, so an output with a null in it is looked at again.
    """
    body = orjson.dumps(value, default=spell, option=JSON_OPTIONS)
    if b"null" in body and _has_non_finite(value):
        body = orjson.dumps(spell_non_finite(value), default=spell, option=JSON_OPTIONS)
    return body


def _has_non_finite(value: Any) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return True
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
