"""Query parameters such as `age__gte=21` -> the raw JSON filter that they stand for."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn

from tenancy.exceptions import FieldError, InvalidInput, InvalidParameter, UnknownParameter
from tenancy.mongo.extended_types import OBJECT_ID, UNREADABLE, WRAPPERS, read_wrapper
from tenancy.mongo.field_paths import flaw_of_path
from tenancy.mongo.filter_operators import pattern_of_prefix
from tenancy.mongo.raw_json import loads
from tenancy.wording import nearest, shorten

OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists", "startswith")
PREFIXES: Mapping[str, str] = {
    "oid": "$oid",
    "uuid": "$uuid",
    "int": "$numberLong",
    "date": "$date",
    "decimal": "$numberDecimal",
}
# A name as near as this to a parameter of the route is taken for a slip.
SLIP_CUTOFF = 0.8
_PREFIXED = re.compile(r"(oid|uuid|str|int|date|decimal):(.*)", re.DOTALL)
_PLAIN_JSON = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def filter_of(pairs: Iterable[tuple[str, str]], reserved: Collection[str]) -> dict[str, Any] | None:
    """Return the raw filter of `field=value` and `field__op=value`; None if there are none.

    Parameters with `reserved` names are not for it. A value is typed as it looks: a JSON number,
    true, false, null, a JSON string in its quotes, or an Extended JSON wrapper; the prefixes
    `oid: uuid: str: int: date: decimal:` say a type; all else is a string, except that 24 hex
    digits are an ObjectId where the field is `_id`. `in` and `nin` take values with commas between
    them, or a JSON array. Raises UnknownParameter for a name or operator that is likely a slip,
    and InvalidParameter for a value.
    """
    conditions: dict[tuple[str, str], Any] = {}
    for name, text in pairs:
        if name in reserved:
            continue
        field, operator = _split(name, reserved)
        if (field, operator) in conditions:
            _refuse(f"“{shorten(name)}” is given twice. For one of several values, take __in.")
        conditions[field, operator] = _condition(name, field, operator, text)
    parts = [{field: each} for (field, _), each in conditions.items()]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"$and": parts}


def _split(name: str, reserved: Collection[str]) -> tuple[str, str]:
    """Return the field and the operator that a parameter names."""
    field, mark, operator = name.rpartition("__")
    if not mark:
        field, operator = name, "eq"
        if near := nearest(name.lower(), reserved, cutoff=SLIP_CUTOFF):
            message = (
                f"There is no parameter “{shorten(name)}” here.{near}"
                f" If a field has this name, write “{shorten(name)}__eq=”."
            )
            _refuse(message, UnknownParameter)
    if operator not in OPERATORS:
        message = (
            f"There is no operator “__{shorten(operator)}”.{nearest(operator, OPERATORS)}"
            f" There are {', '.join(OPERATORS)}. A field with “__” in its name is for “filter”."
        )
        _refuse(message, UnknownParameter)
    if flaw := flaw_of_path(field):
        _refuse(flaw, UnknownParameter)
    return field, operator


def _condition(name: str, field: str, operator: str, text: str) -> dict[str, Any]:
    if operator == "exists":
        if text not in ("true", "false"):
            _refuse(f"“{shorten(name)}” is true or false, not “{shorten(text)}”.")
        return {"$exists": text == "true"}
    if operator == "startswith":
        return {"$regex": pattern_of_prefix(_prefix(name, text))}
    if operator in ("in", "nin"):
        return {f"${operator}": _list(name, field, text)}
    return {f"${operator}": _value(name, field, text)}


def _prefix(name: str, text: str) -> str:
    literal = _json(name, text) if text.startswith('"') else text.removeprefix("str:")
    if not literal or "\0" in literal:
        _refuse(f"“{shorten(name)}” takes at least one character, and no NUL.")
    return str(literal)


def _list(name: str, field: str, text: str) -> list[Any]:
    if not text.startswith("["):
        return [_value(name, field, each) for each in text.split(",")]
    values: list[Any] = _json(name, text)
    for each in values:
        if isinstance(each, dict):
            _check_wrapper(name, each)
    return values


def _value(name: str, field: str, text: str) -> Any:
    if field == "_id" and OBJECT_ID.fullmatch(text):
        return {"$oid": text}
    if prefixed := _PREFIXED.fullmatch(text):
        return _of_prefix(name, prefixed[1], prefixed[2])
    if text.startswith("{"):
        return _check_wrapper(name, _json(name, text))
    if text.startswith('"') or _PLAIN_JSON.fullmatch(text):
        return _json(name, text)
    return text


def _of_prefix(name: str, prefix: str, text: str) -> Any:
    if prefix == "str":
        return text
    if prefix == "date" and _DAY.fullmatch(text):
        text += "T00:00:00Z"
    return _check_wrapper(name, {PREFIXES[prefix]: text})


def _check_wrapper(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return `raw` if it is one Extended JSON value: no other object is written as a parameter."""
    wrapper = next(iter(raw), "")
    if len(raw) != 1 or wrapper not in WRAPPERS:
        _refuse(f'“{shorten(name)}” takes no object but a wrapper such as {{"$oid": "…"}}.')
    try:
        read_wrapper(wrapper, raw[wrapper])
    except UNREADABLE:
        _refuse(f"“{shorten(name)}”: {wrapper} takes {WRAPPERS[wrapper].takes}.")
    return raw


def _json(name: str, text: str) -> Any:
    try:
        return loads(text.encode())
    except (InvalidInput, UnicodeEncodeError):
        _refuse(
            f"“{shorten(name)}” is not well-formed JSON, or its number is too large:"
            f" “{shorten(text)}”. A string that looks like JSON begins with “str:”."
        )


def _refuse(message: str, error: type[InvalidParameter] = InvalidParameter) -> NoReturn:
    raise error(message, errors=[FieldError("", error.code, message)])
