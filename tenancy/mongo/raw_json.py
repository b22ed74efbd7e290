"""JSON text to raw JSON that is safe to look at, with the place of whatever was wrong.

Parsers bend what they cannot hold: the last of two equal keys wins, `1e400` becomes infinity,
half of a surrogate pair becomes a string that no encoder takes. Here each of these is refused.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from tenancy.exceptions import FieldError, InvalidDocument, MalformedJson

INT64_CHARACTERS = len(str(-(2**63)))  # a longer text is out of range; int() is not even asked
SHOWN_KEY_CHARACTERS = 64
# In a larger text the place of a flaw is not looked for: that costs 100 bytes for each value.
PLACED_MAX_BYTES = 1_048_576
TOO_LARGE_TO_PLACE = (
    "The body holds an object with a key twice, or a number outside of 64 bits and doubles."
)

SURROGATE = re.compile(r"[\ud800-\udfff]")
SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")  # NUL, or a half of a pair

# What a text may hold that orjson reads in its own way; see _may_be_bent.
ODD_ESCAPE = re.compile(rb"\\u00(?:00|3[aA])")  # NUL, a colon
LONG_NUMBER = b"0" * len(str(2**63 - 1))
DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")

# A place in a value, the innermost key first: cheap to extend, rendered only when refused.
Path: TypeAlias = "tuple[Path, str | int] | None"


def refusal(path: Path, message: str) -> InvalidDocument:
    """The error for one bad place in a document, with its RFC 6901 pointer."""
    return InvalidDocument(message, errors=[FieldError(pointer(path), "invalid_document", message)])


def pointer(path: Path) -> str:
    """`path` as an RFC 6901 pointer; lone surrogates in a key are spelled out as `\\udXXX`."""
    tokens = []
    while path is not None:
        path, token = path
        tokens.append("/" + _printable(str(token)).replace("~", "~0").replace("/", "~1"))
    return "".join(reversed(tokens))


def shown(key: str) -> str:
    """A key in quotes, as a message can hold it: encodable, and no longer than a line."""
    cut = key if len(key) <= SHOWN_KEY_CHARACTERS else key[:SHOWN_KEY_CHARACTERS] + "..."
    return f'"{_printable(cut)}"'


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")


def loads(raw: bytes) -> Any:
    """Read a JSON body into plain Python values that BSON and JSON can both hold.

    Raises MalformedJson, with line and column, for what is not JSON in UTF-8, and
    InvalidDocument for duplicate keys, NUL in keys, lone surrogates, numbers outside
    double and int64, and nesting that the parser does not take.
    """
    try:
        tree = orjson.loads(raw)
        if not _may_be_bent(raw, tree):
            return tree
    except (ValueError, TypeError):  # orjson's JSONDecodeError and JSONEncodeError
        pass
    return _load_carefully(raw)


def _may_be_bent(raw: bytes, tree: Any) -> bool:
    """Return whether what orjson made of a text could be something else than the text says.

    orjson is strict, but for two things: the last of equal keys wins, and an integer over 64 bits
    becomes a double. Colons stand behind keys and in strings: if the tree is written with as many
    as there were, no key was lost. Raises TypeError if it is nested deeper than orjson writes.
    """
    if LONG_NUMBER in raw.translate(DIGITS_AS_ZEROS) or ODD_ESCAPE.search(raw):
        return True
    return orjson.dumps(tree).count(b":") != raw.count(b":")


def _load_carefully(raw: bytes) -> Any:
    """Read a text piece by piece, and find the place of what is wrong with it."""
    text = _decode_utf8(raw)
    hooks = _Hooks()
    try:
        tree = json.loads(
            text,
            object_pairs_hook=hooks.read_object,
            parse_int=hooks.read_integer,
            parse_float=hooks.read_float,
            parse_constant=hooks.read_constant,
        )
    except json.JSONDecodeError as exc:
        raise _malformed(exc.msg.removesuffix(" at"), exc.lineno, exc.colno) from exc
    except RecursionError as exc:
        raise refusal(None, "The body is nested too deeply.") from exc
    if hooks.flawed and len(raw) > PLACED_MAX_BYTES:
        raise refusal(None, TOO_LARGE_TO_PLACE)
    if hooks.flawed or SUSPECT_ESCAPE.search(raw):
        _refuse_flaws(tree)
    return tree


def _decode_utf8(raw: bytes) -> str:
    if not raw.strip():
        raise MalformedJson("The body is empty.")
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        before = raw[: exc.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _malformed("Invalid UTF-8", line, column) from exc
    if text.startswith("\ufeff"):
        raise _malformed("Unexpected byte order mark", 1, 1)
    return text


def _malformed(what: str, line: int, column: int) -> MalformedJson:
    return MalformedJson(f"The body is not valid JSON: {what} (line {line}, column {column}).")


@dataclass(frozen=True)
class _Flaw:
    """Stands in the tree where a value was refused, until its pointer is known."""

    message: str
    key: str | None = None


class _Hooks:
    """What the C scanner calls. Raising there would lose the place, so a flaw is left in it."""

    def __init__(self) -> None:
        self.flawed = False

    def read_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Flaw:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        return self._flaw(f"The key {shown(twice)} occurs more than once.", twice)

    def read_integer(self, text: str) -> int | _Flaw:
        if len(text) <= INT64_CHARACTERS and -(2**63) <= (number := int(text)) < 2**63:
            return number
        return self._flaw("The integer does not fit into 64 bits.")

    def read_float(self, text: str) -> float | _Flaw:
        number = float(text)
        if math.isfinite(number):
            return number
        return self._flaw("The number does not fit into a double.")

    def read_constant(self, text: str) -> _Flaw:
        return self._flaw(f'{text} is not JSON. Send {{"$numberDouble": "{text}"}}.')

    def _flaw(self, message: str, key: str | None = None) -> _Flaw:
        self.flawed = True
        return _Flaw(message, key)


def _refuse_flaws(tree: Any) -> None:
    """Raise for the first flaw in document order. Iterative: the parser takes more than we do."""
    pending: list[tuple[Path, Any]] = [(None, tree)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, _Flaw):
            raise refusal(path if value.key is None else (path, value.key), value.message)
        if isinstance(value, str) and SURROGATE.search(value):
            raise refusal(path, "The string holds half of a surrogate pair.")
        children = [((path, key), child) for key, child in _items(value)]
        for at, _ in children:
            _refuse_key(at)
        pending.extend(reversed(children))


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _refuse_key(at: tuple[Path, str | int]) -> None:
    key = str(at[1])
    if "\0" in key:
        raise refusal(at, f"The key {shown(key)} holds a NUL character.")
    if SURROGATE.search(key):
        raise refusal(at, f"The key {shown(key)} holds half of a surrogate pair.")
