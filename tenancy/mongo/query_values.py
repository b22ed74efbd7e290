"""What filters and pipelines share: bounds, refusals with a place, values."""

from collections.abc import Collection, Iterator
from typing import Any, NoReturn

import orjson

from tenancy.exceptions import (
    FieldError,
    InvalidDocument,
    InvalidInput,
    QueryTooComplex,
    TypeNotAllowed,
    ValidationFailed,
)
from tenancy.mongo.document_rules import REFUSED_TYPES, decode_value
from tenancy.mongo.extended_types import WRAPPERS
from tenancy.mongo.raw_json import Path, pointer
from tenancy.wording import nearest

__all__ = ["REFUSED_TYPES", "WRAPPERS", "Path", "Walk", "is_whole", "meant"]

# Of the JSON itself, values included: what walks it may recurse.
MAX_NESTING = 64
# Operators are short: what is less near is another one.
SLIP_CUTOFF = 0.7


class Walk:
    """One look at the raw JSON of a query; `at` is the pointer to it in the request."""

    def __init__(self, at: str) -> None:
        self._at = at

    def refuse(
        self, path: Path, message: str, error: type[InvalidInput] = ValidationFailed
    ) -> NoReturn:
        """Raise an error that points at `path`."""
        raise error(message, errors=[FieldError(self._at + pointer(path), error.code, message)])

    def check_size(self, raw: Any, max_bytes: int) -> None:
        """Raise QueryTooComplex for JSON that is too long, or so deep that nobody should walk."""
        self._check_nesting(raw)
        try:
            size = len(orjson.dumps(raw))
        except TypeError as error:  # what `raw_json.loads` does not let pass
            message = "The query holds a value that JSON does not have."
            raise ValidationFailed(
                message, errors=[FieldError(self._at, "validation_failed", message)]
            ) from error
        if size > max_bytes:
            message = f"The query has {size:,} bytes of JSON; {max_bytes:,} are accepted."
            self.refuse(None, message, QueryTooComplex)

    def _check_nesting(self, raw: Any) -> None:
        level: list[tuple[Path, Any]] = [(None, raw)]
        for _ in range(MAX_NESTING + 1):
            level = [child for path, value in level for child in _children(path, value)]
            if not level:
                return
        message = f"The query nests more than {MAX_NESTING} levels deep."
        self.refuse(level[0][0], message, QueryTooComplex)

    def check_object(self, raw: Any, path: Path, what: str) -> dict[str, Any]:
        """Return `raw` if it is an object."""
        if not isinstance(raw, dict):
            self.refuse(path, f"{what} is a JSON object.")
        return raw

    def check_array(self, raw: Any, path: Path, what: str) -> list[Any]:
        """Return `raw` if it is an array."""
        if not isinstance(raw, list):
            self.refuse(path, f"{what} takes an array.")
        return raw

    def decode(self, raw: Any, path: Path) -> Any:
        """Return the BSON value that may stand in a document. Raises TypeNotAllowed for a type
        that may not, ValidationFailed for what else is wrong."""
        try:
            return decode_value(raw, path)
        except InvalidDocument as error:
            kind = TypeNotAllowed if isinstance(error, TypeNotAllowed) else ValidationFailed
            places = [
                FieldError(self._at + each.pointer, kind.code, each.message)
                for each in error.errors
            ]
            raise kind(error.detail, errors=places) from error


def _children(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield (path, key), child
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield (path, index), child


def is_whole(value: Any, low: int, high: int) -> bool:
    """Return whether a value is an integer, not a boolean, within two bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def meant(name: str, known: Collection[str]) -> str:
    """Return ` Did you mean “x”?` for a slip, else ''."""
    return nearest(name, known, cutoff=SLIP_CUTOFF)
