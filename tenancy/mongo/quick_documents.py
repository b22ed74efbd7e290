"""Raw JSON to BSON values where nothing is wrong with it; who finds fault is `document_rules`.

Most of a document is stored as it was parsed. So this looks at each value once, keeps no paths,
copies only what changes, and gives up at the first doubt.
"""

from operator import is_
from typing import Any

from bson.int64 import Int64

from tenancy.mongo.extended_types import UNREADABLE, WRAPPERS, read_wrapper

# These are in BSON what they are in JSON.
SAME = frozenset({str, bool, float, type(None)})
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


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
        if not key.isidentifier() and (not key or key[0] == "$" or "." in key or "\0" in key):
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
