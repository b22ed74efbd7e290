"""Documents as they come from MongoDB, many at a time; what their bytes tell is noted on the way.

JSON has no NaN and no infinities, and its writer makes null of them: an answer with a null in it
has to be looked through. Where the BSON holds none, that is known before.
"""

import re
from typing import Any

from bson import decode_all

from tenancy.mongo.extended_types import CODEC_OPTIONS

Document = dict[str, Any]
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


def joined(one: list[Document], other: list[Document]) -> list[Document]:
    """Return the documents of two batches together."""
    are_finite = isinstance(one, FiniteList) and isinstance(other, FiniteList)
    return (FiniteList if are_finite else list)([*one, *other])
