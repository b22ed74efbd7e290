"""BSON to JSON and back without loss: the one module that other modules call for either.

In: `loads` checks the text, `decode_document` and `decode_patch` turn its raw JSON, relaxed or
canonical, into BSON values. Out: `dumps` writes relaxed Extended JSON v2, or what people read.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from tenancy.mongo.document_rules import (
    DocumentId,
    decode_document,
    decode_patch,
    format_id,
    parse_id,
)
from tenancy.mongo.extended_types import CODEC_OPTIONS
from tenancy.mongo.raw_batches import FiniteList
from tenancy.mongo.raw_json import loads
from tenancy.mongo.spelling import (
    has_non_finite,
    nulls_in_sight,
    spell,
    spell_non_finite,
    spell_plainly,
)

__all__ = [
    "CODEC_OPTIONS",
    "DocumentId",
    "decode_document",
    "decode_patch",
    "dumps",
    "dumps_lines",
    "format_id",
    "is_json",
    "loads",
    "parse_id",
]

JSON_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME
BETWEEN, BETWEEN_LINES = b'},{"_id":', b'}\n{"_id":'
LINE_OPTIONS = JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE


def dumps(value: Any, *, plain: bool = False) -> bytes:
    """Relaxed Extended JSON v2 of anything read from BSON under CODEC_OPTIONS.

    With `plain` dates, ids, decimals, UUIDs and whatever else JSON has no type for are strings
    that people read; what they were cannot be told from them.

    Integers beyond +-(2^53-1) are kept from JavaScript's rounding only if they are Int64, as
    BSON and `decode_document` give them: orjson prints a plain int bare. It also prints NaN and
    the infinities as null, so an output with a null in it is looked at again.
    """
    return _dumps(value, plain, JSON_OPTIONS)


def is_json(value: Any) -> bool:
    """Return whether JSON spells a value as it is: no type is in it, and no number, that it lacks.

    That is when `dumps` needs to ask nobody, so that its text would be read as the same again.
    """
    try:
        text = orjson.dumps(value, option=JSON_OPTIONS)
    except TypeError:  # orjson's JSONEncodeError
        return False
    return b"null" not in text or not has_non_finite(value)


def dumps_lines(documents: Iterable[Any], *, plain: bool = False) -> bytes:
    """The same for many, each on a line of its own."""
    if isinstance(documents, FiniteList):
        default = spell_plainly if plain else spell
        lines = _lines_of_list(orjson.dumps(documents, default, JSON_OPTIONS), documents)
        if lines is not None:
            return lines
        return b"".join([orjson.dumps(each, default, LINE_OPTIONS) for each in documents])
    return b"".join([_dumps(document, plain, LINE_OPTIONS) for document in documents])


def _lines_of_list(text: bytes, documents: list[Any]) -> bytes | None:
    """Return the lines of a list written by one call, which takes half as long; None if unsure.

    Each document begins with its `_id`. If there are as many such beginnings behind an end as there
    are places between two documents, it is at those.
    """
    are_sure = all(next(iter(each), None) == "_id" for each in documents)
    if not are_sure or text.count(BETWEEN) != len(documents) - 1:
        return None
    return text[1:-1].replace(BETWEEN, BETWEEN_LINES) + b"\n"


def _dumps(value: Any, plain: bool, options: int) -> bytes:  # noqa: FBT001 -- not called by others
    default = spell_plainly if plain else spell
    body = orjson.dumps(value, default=default, option=options)
    nulls = body.count(b"null")
    if nulls and nulls != nulls_in_sight(value) and has_non_finite(value):
        spelled = spell_non_finite(value, plain=plain)
        body = orjson.dumps(spelled, default=default, option=options)
    return body
