"""Documents as they come from MongoDB, many at a time; what their bytes tell is noted on the way.

JSON has no NaN and no infinities, and its writer makes null of them: an answer with a null in it
has to be looked through. Where the BSON holds none, that is known before.
"""

import re
from typing import Any

from bson import decode_all, encode

from tenancy.mongo.extended_types import CODEC_OPTIONS

Document = dict[str, Any]
# What MongoDB sends at a time: the section “Cursor Batches” of its manual.
BATCH_MAX_BYTES = 16 * 1_048_576
# A double (type 1), its name, and eight bytes with an exponent of ones: IEEE 754, section 3.4.
NON_FINITE = re.compile(rb"\x01[^\x00]*\x00.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)


class FiniteList(list[Any]):
    """Documents among whose numbers is no NaN and no infinity."""


def decode_batch(raw: bytes) -> list[Document]:
    """Return the documents of a batch; a FiniteList, if their bytes say so.

    Other bytes may look like such a number: then they are looked through for nothing.
    """
    rows = decode_all(raw, CODEC_OPTIONS)
    return rows if NON_FINITE.search(raw) else FiniteList(rows)


def read_rows(cursor: Any, limit: int) -> tuple[list[Document], int]:
    """Return the rows of a page with one more, and how many are the page's: at most `limit`.

    `cursor` finds at most `limit` + 1 documents and asks for all at once. MongoDB sends no more
    than 16 MiB at a time: documents that are beyond that are left for the next page, but for a
    second one.
    """
    with cursor:
        rows = [row for row in (next(cursor, None),) if row is not None]
        if cursor.retrieved > 1:  # what has come along: nothing more is asked for
            rows += cursor.to_list(cursor.retrieved - 1)
        while len(rows) == 1 and cursor.alive:
            rows += [row for row in (next(cursor, None),) if row is not None]
        return rows, len(rows) - 1 if cursor.alive else limit


def read_sorted_rows(cursor: Any, limit: int) -> tuple[list[Document], int]:
    """Return what `read_rows` does, of an aggregation: its raw cursor costs one command more."""
    if not cursor.cursor_id:  # MongoDB has sent everything at once
        return cursor.to_list(), limit
    rows: list[Document] = []
    size = 0
    with cursor:
        for row in cursor:
            rows.append(row)
            size += len(encode(row, codec_options=CODEC_OPTIONS))
            if size > BATCH_MAX_BYTES and len(rows) > 1:
                return rows, len(rows) - 1
    return rows, limit


def joined(one: list[Document], other: list[Document]) -> list[Document]:
    """Return the documents of two batches together."""
    are_finite = isinstance(one, FiniteList) and isinstance(other, FiniteList)
    return (FiniteList if are_finite else list)([*one, *other])
