"""Raw JSON to BSON values where nothing is wrong with it; who finds fault is `document_rules`.

Most of a document is stored as it was parsed. So this looks at each value once, keeps no paths,
copies only what changes, and gives up at the first doubt.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import is_
from struct import Struct
from typing import Any

from bson import encode
from bson.errors import BSONError
from bson.int64 import Int64

from tenancy.mongo.extended_types import CODEC_OPTIONS, UNREADABLE, WRAPPERS, read_wrapper
from tenancy.mongo.spelling import EXACT_IN_JAVASCRIPT

# These are in BSON what they are in JSON.
SAME = frozenset({str, bool, float, type(None)})
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
_LENGTH = Struct("<i")


class Doubtful(Exception):
    """Look more carefully."""


def quick_document(value: dict[str, Any], levels: int) -> dict[str, Any]:
    """The document or embedded document that `value` spells, of at most so many levels.

    Raw values are left as they are, and given back if nothing in them is to be changed. Raises
    Doubtful for whatever may be against the rules.
    """
    if not levels:
        raise Doubtful
    changed = value
    for key, item in value.items():
        # An identifier is not empty and holds neither dot, dollar nor NUL: nearly every key is one.
        if not key.isidentifier() and _is_doubtful(key):
            raise Doubtful
        kind = type(item)
        if kind is str or kind in SAME or (kind is int and INT32_MIN <= item <= INT32_MAX):
            continue
        decoded = _quick_value(item, levels - 1)
        if decoded is not item:
            if changed is value:
                changed = value.copy()
            changed[key] = decoded
    return changed


def _is_doubtful(key: str) -> bool:
    return not key or key[0] == "$" or "." in key or "\0" in key


def _quick_value(value: Any, levels: int) -> Any:
    kind = type(value)
    if kind is dict:
        return _quick_object(value, levels)
    if kind is list:
        return _quick_list(value, levels)
    if kind is int:
        return value if INT32_MIN <= value <= INT32_MAX else Int64(value)
    if kind in SAME:
        return value
    raise Doubtful


def _quick_object(value: dict[str, Any], levels: int) -> Any:
    name = next(iter(value), "")
    if name[:1] != "$":
        return quick_document(value, levels)
    if len(value) > 1 or name not in WRAPPERS:
        raise Doubtful
    try:
        return read_wrapper(name, value[name])
    except UNREADABLE as error:
        raise Doubtful from error


def _quick_list(value: list[Any], levels: int) -> list[Any]:
    if not levels:
        raise Doubtful
    if SAME.issuperset(map(type, value)):
        return value
    decoded = [_quick_value(item, levels - 1) for item in value]
    return value if all(map(is_, decoded, value)) else decoded


def are_plain(documents: Iterable[dict[str, Any]], levels: int) -> bool:
    """Return whether documents are nothing but JSON that follows the rules, as it is.

    So many levels are allowed, and integers that JavaScript has, too: others are spelled with their
    type. The documents are looked at together, level by level: they have few names, and few values
    hold others.
    """
    objects, lists = list(documents), list[list[Any]]()
    try:
        for _ in range(levels):
            if any(map(_is_doubtful, set[str]().union(*objects))):
                return False
            values = chain.from_iterable((*map(dict.values, objects), *lists))
            objects, lists = _holders_among(values)
            if not objects and not lists:
                return True
    except Doubtful:
        pass
    return False


def _holders_among(values: Iterable[Any]) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """Return the objects and the lists. Raises Doubtful for a value that is not plain."""
    objects, lists = list[dict[str, Any]](), list[list[Any]]()
    for value in values:
        kind = type(value)
        if kind is str or kind in SAME:
            continue
        if kind is dict:
            objects.append(value)
        elif kind is list:
            lists.append(value)
        elif kind is not int or not -EXACT_IN_JAVASCRIPT <= value <= EXACT_IN_JAVASCRIPT:
            raise Doubtful
    return objects, lists


def encode_together(documents: Sequence[dict[str, Any]]) -> list[bytes]:
    """Return the BSON of each document's fields, as `elements_of` does. Raises Doubtful.

    All are encoded by one call, as an array: the driver takes half as long for that.
    """
    try:
        array = encode({"": documents}, codec_options=CODEC_OPTIONS)
    except (BSONError, OverflowError, UnicodeError) as error:
        raise Doubtful from error
    return _cut(array, len(documents))


def _cut(array: bytes, count: int) -> list[bytes]:
    """Return the elements of the documents in the array that is all there is, its name empty.

    Before each document are its type and its number, which ends with a NUL; it begins with its
    length and ends with a NUL: https://bsonspec.org/spec.html.
    """
    parts = []
    end = 2 * _LENGTH.size + 2  # the lengths of both, a type and an empty name
    for _ in range(count):
        start = array.index(b"\0", end) + 1
        end = start + _LENGTH.unpack_from(array, start)[0]
        parts.append(array[start + _LENGTH.size : end - 1])
    return parts
