"""How long the patterns and divisions of a JSON Schema may take, for each byte of what they see.

The engine matches in time linear in the text, but for each byte in as much as the pattern is long
once its counted repetitions are written out: `a[a-c]{12000}` takes minutes for 1 MiB.
"""

import re
from typing import Any

from tenancy.schema_walk import Place

MAX_CHARACTERS = 1_000
MAX_SIZE = 2_000
# Measured: a pattern so short, or one that can go on in one way only, has so few states that the
# engine makes each once; any other may need a new one for each byte of a text made for it.
FEW = 12
STEADY_WEIGHT = 1
NEW_STATE_WEIGHT = 30
# A number is divided as an exact fraction, which takes long for such as 1e308.
DIVISION_WEIGHT = 80
FRACTION_WEIGHT = 750
FINE_FRACTION_WEIGHT = 1_200
FINE = 1e-30
# Most formats take well below 50 ns for a byte; names of hosts in all scripts are normalized.
FORMAT_WEIGHT = 6
HOSTNAME_WEIGHT = 25
# A text whose length is bounded, in one place only of a document, may take so many steps.
BOUNDED_STEPS = 64_000
_ONCE = frozenset(("properties", "prefixItems", "dependentSchemas", "allOf", "anyOf", "oneOf"))
_SINGLE = frozenset(("not", "if", "then", "else"))

_COUNT = re.compile(r"\{\s*(\d*)\s*(,\s*(\d*)\s*)?\}")
_ESCAPE = re.compile(r"\\(?:[pPxuU]\{[^}]*\}|[pP].|.)", re.DOTALL)
_CLASS = re.compile(r"\[\^?(?:\\.|[^\]\[\\])+\]", re.DOTALL)
_ATOM = r"(?:\\[pP]\{\w+\}|\\[^\w]|\\[dDsSwW]|\[\^?(?:\\.|[^\]\[\\])+\]|[^\\()\[\]{}*+?|^$])"
# From the start, each piece so many times and no other, but for the last.
_STEADY = re.compile(rf"\^(?:{_ATOM}(?:\{{\d+\}})?)*(?:{_ATOM}(?:\{{\d+,\d*\}}|[*+?]))?\$?")


def weigh_pattern(pattern: str) -> int:
    """Return how many steps a pattern may take for one byte of text; more than MAX_SIZE is many."""
    size = size_of(pattern)
    if size > MAX_SIZE:
        return size
    if size <= FEW or _STEADY.fullmatch(pattern):
        return STEADY_WEIGHT
    return NEW_STATE_WEIGHT + size


def weigh_values(schema: Any, *, once: bool) -> int:
    """Return what a schema itself may take for one byte of a text, a name or a number.

    `once` says that it is applied to one place of a document only.
    """
    if not isinstance(schema, dict):
        return 0
    texts = sum(map(weigh_pattern, patterns_of(schema)))
    others = _weigh_format(schema.get("format"))
    if once and "patternProperties" not in schema:
        is_bounded = texts * schema.get("maxLength", BOUNDED_STEPS) <= BOUNDED_STEPS
        return others if is_bounded else others + texts
    return others + texts + _weigh_division(schema.get("multipleOf"))


def _weigh_format(name: str | None) -> int:
    if name is None:
        return 0
    return HOSTNAME_WEIGHT if name.startswith("idn-") else FORMAT_WEIGHT


def _weigh_division(divisor: float | None) -> int:
    if divisor is None:
        return 0
    if divisor < FINE:
        return FINE_FRACTION_WEIGHT
    return DIVISION_WEIGHT if divisor == int(divisor) else FRACTION_WEIGHT


def is_once(place: Place) -> bool:
    """Return whether a schema is for one place of a document, if nothing refers to it."""
    tokens = iter(place)
    for keyword in tokens:
        if keyword in _ONCE:
            next(tokens)
        elif keyword not in _SINGLE:
            return False
    return True


def patterns_of(schema: dict[str, Any]) -> list[str]:
    """Return the patterns that a schema has itself."""
    own = [schema["pattern"]] if "pattern" in schema else []
    return [*own, *schema.get("patternProperties", ())]


def size_of(pattern: str) -> int:
    """Return at least how long a pattern is with its counted repetitions written out.

    What might be read in another way counts as if each repetition were of the whole.
    """
    counts = [_count_of(found) for found in _COUNT.finditer(pattern)]
    if "(?" in pattern and re.search(r"\(\?[a-zA-Z-]*x", pattern):
        return _product(len(pattern), counts)
    levels, at = [_Level()], 0
    while at < len(pattern):
        at = _read(pattern, at, levels)
        if at < 0:
            return _product(len(pattern), counts)
    return sum(each.total for each in levels)


class _Level:
    """A group that is not closed: how long it is so far, and the last piece of it."""

    def __init__(self) -> None:
        self.total = self.last = 0

    def add(self, size: int) -> None:
        self.total += size
        self.last = size


def _read(pattern: str, at: int, levels: list[_Level]) -> int:
    """Read one piece. Return where the next begins; -1 if it may be read in another way."""
    sign, level = pattern[at], levels[-1]
    if sign == "(":
        levels.append(_Level())
        return at + 1
    if sign == ")":
        if len(levels) > 1:
            levels.pop()
            levels[-1].add(level.total + 1)
        return at + 1
    if sign == "{" and (found := _COUNT.match(pattern, at)):
        grown = level.last * _count_of(found)
        level.total += grown - level.last
        level.last = grown
        return found.end()
    if sign in "*+?|":
        level.total += 1
        level.last += sign != "|"
        return at + 1
    return _read_atom(pattern, at, level)


def _read_atom(pattern: str, at: int, level: _Level) -> int:
    level.add(1)
    if pattern[at] == "\\":
        found = _ESCAPE.match(pattern, at)
    elif pattern[at] == "[":
        found = _CLASS.match(pattern, at)
    else:
        return at + 1
    return found.end() if found else -1


def _count_of(found: re.Match[str]) -> int:
    least, _, most = found.groups()
    return max(*(int((digits or "").lstrip("0")[:9] or 0) for digits in (least, most)), 1)


def _product(total: int, counts: list[int]) -> int:
    for count in counts:
        total *= count
    return total
