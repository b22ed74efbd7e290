"""Sorts and projections, as a parameter or in a body."""

from collections.abc import Callable
from typing import Any, TypeVar

from tenancy.exceptions import InvalidParameter, ValidationFailed
from tenancy.mongo.field_paths import META_FIELDS, colliding, flaw_of_path
from tenancy.mongo.query_values import Path, Walk
from tenancy.mongo.raw_json import shown

T = TypeVar("T")
SORT_MAX_KEYS = 4
FIELDS_MAX = 100
# What every answer has: the `_id`, and the revision for the ETag.
ALWAYS_THERE = frozenset(("_id", "_meta", *META_FIELDS))


def parse_sort(text: str) -> list[tuple[str, int]]:
    """Return the keys of `-created_at,name`: 1 to SORT_MAX_KEYS, no field twice, `_id` only last.

    Raises InvalidParameter.
    """
    return _as_parameter("sort", _SortWalk("").read_texts, text)


def checked_sort(raw: Any, at: str = "/sort") -> list[tuple[str, int]]:
    """Return the keys of a sort in a body: the text of the parameter, an array of its parts, or
    an array of [field, 1 or -1]. Raises ValidationFailed, pointing at the key."""
    walk = _SortWalk(at)
    if isinstance(raw, list) and any(isinstance(each, list) for each in raw):
        return walk.check([(walk.read_pair(each, (None, i)), (None, i)) for i, each in _all(raw)])
    return walk.read_texts(raw)


def parse_fields(text: str) -> dict[str, int]:
    """Return the projection of `name,address.city` (only these) or `-secret` (all but these).

    `_id` and `_meta` are always there. It is the same for the user's view and for what is stored.
    Raises InvalidParameter.
    """
    return _as_parameter("fields", _FieldsWalk("").read, text)


def checked_fields(raw: Any, at: str = "/fields") -> dict[str, int]:
    """Return the projection of fields in a body: the text of the parameter, or an array of its
    parts. Raises ValidationFailed, pointing at the field."""
    return _FieldsWalk(at).read(raw)


def _as_parameter(name: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValidationFailed as error:
        raise InvalidParameter(f"“{name}”: {error.errors[0].message}") from error


def _all(raw: list[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(raw))


class _TextWalk(Walk):
    """What is a text with commas, or an array of texts."""

    def texts(self, raw: Any, most: int) -> list[tuple[str, Path]]:
        if isinstance(raw, str):
            parts: list[tuple[Any, Path]] = [(each, None) for each in raw.split(",")]
        else:
            array = self.check_array(raw, None, "This")
            parts = [(each, (None, index)) for index, each in _all(array)]
        if not 0 < len(parts) <= most:
            self.refuse(None, f"There are 1 to {most} of them.")
        for each, path in parts:
            if not isinstance(each, str):
                self.refuse(path, "The name of a field is a string.")
        return parts


class _SortWalk(_TextWalk):
    def read_texts(self, raw: Any) -> list[tuple[str, int]]:
        parts = self.texts(raw, SORT_MAX_KEYS)
        return self.check([((each.removeprefix("-"), _sign(each)), path) for each, path in parts])

    def read_pair(self, raw: Any, path: Path) -> tuple[str, int]:
        is_pair = isinstance(raw, list) and len(raw) == 2 and isinstance(raw[0], str)
        if not is_pair or not is_direction(raw[1]):
            self.refuse(path, "A key of a sort is [field, 1] or [field, -1].")
        return raw[0], raw[1]

    def check(self, keys: list[tuple[tuple[str, int], Path]]) -> list[tuple[str, int]]:
        if not 0 < len(keys) <= SORT_MAX_KEYS:
            self.refuse(None, f"A sort has 1 to {SORT_MAX_KEYS} keys.")
        seen: set[str] = set()
        for (field, _), path in keys:
            if flaw := self._flaw(field, seen):
                self.refuse(path, flaw)
            seen.add(field)
        return [key for key, _ in keys]

    def _flaw(self, field: str, seen: set[str]) -> str:
        if field in seen:
            return f"The sort has {shown(field)} twice."
        if "_id" in seen:
            return "Nothing comes after _id in a sort: no two documents share it."
        if field.startswith("_id."):
            return "A sort can have _id, not what is in it."
        return flaw_of_path(field)


def _sign(text: str) -> int:
    return -1 if text.startswith("-") else 1


def is_direction(raw: Any) -> bool:
    """Return whether it is 1 or -1; true, which equals 1, is not."""
    return type(raw) is int and raw in (1, -1)


class _FieldsWalk(_TextWalk):
    def read(self, raw: Any) -> dict[str, int]:
        parts = [
            (each.removeprefix("-"), _sign(each), path)
            for each, path in self.texts(raw, FIELDS_MAX)
        ]
        for field, sign, path in parts:
            if flaw := _flaw_of_field(field, sign):
                self.refuse(path, flaw)
            if sign != parts[0][1]:
                self.refuse(path, "Either name fields, or leave out fields by “-”; not both.")
        names = [field for field, _, _ in parts]
        if pair := colliding(names):
            path = next(path for field, _, path in reversed(parts) if field == pair[1])
            self.refuse(path, f"The fields {shown(pair[0])} and {shown(pair[1])} overlap.")
        if parts[0][1] < 0:
            return dict.fromkeys(names, 0)
        return {**{name: 1 for name in names if name not in ALWAYS_THERE}, "_meta": 1}


def _flaw_of_field(field: str, sign: int) -> str:
    if field in ALWAYS_THERE:
        return "" if sign > 0 else f"{field} is always there."
    if field.startswith("_id."):
        return "_id is always there, and whole."
    return flaw_of_path(field)
