"""What each operator on a field takes. Logical operators, `$not` and `$elemMatch` are filters'."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tenancy.exceptions import OperatorNotAllowed, QueryTooComplex
from tenancy.mongo.query_values import Path, Walk, is_whole

LIST_MAX_VALUES = 1_000
PREFIX_MAX_CHARACTERS = 256
# https://www.mongodb.com/docs/v6.0/reference/operator/query/type/
TYPE_NUMBERS = frozenset((*range(1, 20), -1, 127))
TYPE_NAMES = frozenset(
    (
        *("double", "string", "object", "array", "binData", "undefined", "objectId", "bool"),
        *("date", "null", "regex", "dbPointer", "javascript", "symbol", "javascriptWithScope"),
        *("int", "timestamp", "long", "decimal", "minKey", "maxKey", "number"),
    )
)
_META_CHARACTERS = re.compile(r"[\\^$.|?*+()\[\]{}]")
# A letter, a digit or a multi-byte character behind a backslash would mean something.
_ANCHORED_LITERAL = re.compile(r"\^((?:[^\\^$.|?*+()\[\]{}]|\\[!-/:-@\[-`{-~ ])+)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

Check: TypeAlias = Callable[[Walk, Any, Path], Any]


def pattern_of_prefix(text: str) -> str:
    """Return the regular expression of strings that begin with a text; it uses an index."""
    return "^" + _META_CHARACTERS.sub(r"\\\g<0>", text)


def _check_list(walk: Walk, raw: Any, path: Path) -> list[Any]:
    values = walk.check_array(raw, path, "This operator")
    if len(values) > LIST_MAX_VALUES:
        walk.refuse(path, f"At most {LIST_MAX_VALUES:,} values are accepted.", QueryTooComplex)
    return [walk.decode(each, (path, index)) for index, each in enumerate(values)]


def _check_exists(walk: Walk, raw: Any, path: Path) -> bool:
    if not isinstance(raw, bool):
        walk.refuse(path, "$exists takes true or false.")
    return raw


def _check_size(walk: Walk, raw: Any, path: Path) -> int:
    if not is_whole(raw, 0, 2**31 - 1):
        walk.refuse(path, "$size takes a whole number that is not negative.")
    return int(raw)


def _check_modulus(walk: Walk, raw: Any, path: Path) -> list[Any]:
    values = [walk.decode(each, (path, index)) for index, each in enumerate(raw)] \
        if isinstance(raw, list) else []  # fmt: skip
    if len(values) != 2 or not all(is_whole(each, -(2**63), 2**63 - 1) for each in values):
        walk.refuse(path, "$mod takes an array of two whole numbers: divisor, remainder.")
    if values[0] == 0:
        walk.refuse((path, 0), "The divisor of $mod cannot be zero.")
    return values


def _check_type(walk: Walk, raw: Any, path: Path) -> Any:
    if not isinstance(raw, list):
        return _check_one_type(walk, raw, path)
    if not 0 < len(raw) <= len(TYPE_NAMES):
        walk.refuse(path, "$type takes a type, or an array of some.")
    return [_check_one_type(walk, each, (path, index)) for index, each in enumerate(raw)]


def _check_one_type(walk: Walk, raw: Any, path: Path) -> Any:
    known = (isinstance(raw, str) and raw in TYPE_NAMES) or (
        is_whole(raw, -1, 127) and raw in TYPE_NUMBERS
    )
    if not known:
        walk.refuse(path, "$type takes the name or number of a BSON type, such as “string”.")
    return raw


def _check_pattern(walk: Walk, raw: Any, path: Path) -> str:
    found = _ANCHORED_LITERAL.fullmatch(raw) if isinstance(raw, str) else None
    if found is None or "\0" in found[1]:
        message = "$regex takes only ^ and literal text, its metacharacters escaped by \\."
        walk.refuse(path, message, OperatorNotAllowed)
    literal = _ESCAPED.sub(r"\1", found[1])
    if len(literal) > PREFIX_MAX_CHARACTERS:
        message = f"A prefix has at most {PREFIX_MAX_CHARACTERS} characters."
        walk.refuse(path, message, QueryTooComplex)
    return pattern_of_prefix(literal)


OPERATORS: Mapping[str, Check] = {
    **dict.fromkeys(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"), Walk.decode),
    **dict.fromkeys(("$in", "$nin", "$all"), _check_list),
    "$exists": _check_exists,
    "$type": _check_type,
    "$size": _check_size,
    "$mod": _check_modulus,
    "$regex": _check_pattern,
}
