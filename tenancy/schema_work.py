"""How much work a JSON Schema can make: how often a validator looks at one place of a document.

`anyOf` of two references to itself doubles the work at every level of a document: 2**32 at the
deepest. So what schemas are applied to a path into a document is counted before one is taken.
"""

from collections import Counter
from typing import Any, NoReturn
from urllib.parse import unquote

from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.schema_patterns import MAX_SIZE, is_once, weigh_values
from tenancy.schema_walk import CHILDREN, IN_PLACE, NAMED, Place, inner_places, pointer_of

MAX_WORK = 500
# Documents nest no deeper.
DOCUMENT_MAX_DEPTH = 32
MAX_STEPS = 50_000
# To compare with an object or array takes as long as several schemas do.
COMPARISON_WORK = 10


def measure_work(places: dict[Place, Any]) -> int:
    """Return the most schemas that are applied on the way to any place of a document.

    `places` are a schema's, by `find_places`. Raises ValidationFailed for more than MAX_WORK, a
    reference to what is no schema, and for schemas that refer to each other in a circle without
    going deeper into the document.
    """
    return _Measuring(places).work((), DOCUMENT_MAX_DEPTH)


def measure_values(places: dict[Place, Any]) -> int:
    """Return the most steps that patterns and divisions take for a byte of any text or number.

    Raises ValidationFailed for more than MAX_SIZE.
    """
    return _MeasuringValues(places).work((), DOCUMENT_MAX_DEPTH)


class _Measuring:
    """One walk over the graph of a schema's places."""

    most = MAX_WORK

    def __init__(self, places: dict[Place, Any]) -> None:
        self._places = places
        self._by_pointer = {pointer_of(place): place for place in places}
        self._anchors: dict[str, list[Place]] = {}
        for place, each in places.items():
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(each, dict) and keyword in each:
                    self._anchors.setdefault(each[keyword], []).append(place)
        self._together: dict[Place, Counter[Place] | None] = {}
        self._works: dict[tuple[Place, int], int] = {}
        self._steps = 0

    def work(self, place: Place, depth: int) -> int:
        """Return the work of a schema for a value that nests so deep."""
        if (known := self._works.get((place, depth))) is not None:
            return known
        together = self._applied_together(place)
        own, total = sum(self._own(each) * times for each, times in together.items()), 0
        by_name: Counter[Any] = Counter()
        for each, times in together.items() if depth else ():
            schema = self._places[each]
            for inner in inner_places(schema, each, *CHILDREN):
                total += times * self._step(inner, depth)
            for inner in inner_places(schema, each, *NAMED):
                by_name[inner[-2:]] += times * self._step(inner, depth)
        total = self._both(own, total + max(by_name.values(), default=0))
        if total > self.most:
            self._refuse_work()
        self._works[place, depth] = total
        return total

    def _step(self, inner: Place, depth: int) -> int:
        self._steps += 1
        if self._steps > MAX_STEPS:
            self._refuse_work()
        return self.work(inner, depth - 1)

    def _both(self, own: int, below: int) -> int:
        return own + below

    def _own(self, place: Place) -> int:
        schema = self._places[place]
        if not isinstance(schema, dict):
            return 1
        values = [*schema.get("enum", ()), schema.get("const"), *[[]] * ("uniqueItems" in schema)]
        compared = COMPARISON_WORK * sum(isinstance(value, dict | list) for value in values)
        return 1 + len(schema.get("dependentRequired", ())) + compared

    def _applied_together(self, place: Place, depth: int = 0) -> Counter[Place]:
        """Return what is applied to the same value along with a schema, itself included."""
        if place in self._together:
            known = self._together[place]
            if known is None:
                self._refuse(place, "endless", "The schema is applied to itself without end.")
            return known
        if depth > MAX_WORK:
            self._refuse_work()
        self._together[place] = None
        found = Counter([place])
        schema = self._places[place]
        for inner in (*inner_places(schema, place, *IN_PLACE), *self._targets(place)):
            found.update(self._applied_together(inner, depth + 1))
            if found.total() > MAX_WORK:
                self._refuse_work()
        self._together[place] = found
        return found

    def _targets(self, place: Place) -> list[Place]:
        """Return where the references of a schema lead."""
        schema = self._places[place]
        if not isinstance(schema, dict):
            return []
        found = []
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in schema:
                found += self._targets_of((*place, keyword), unquote(schema[keyword][1:]))
        return found

    def _targets_of(self, at: Place, name: str) -> list[Place]:
        if name in self._by_pointer:
            return [self._by_pointer[name]]
        if name not in self._anchors:
            self._refuse(at, "dead_reference", "There is no schema in this place.")
        return self._anchors[name]

    def _refuse_work(self) -> NoReturn:
        message = "The schema is too complex: its parts, or patterns, are applied too often."
        self._refuse((), "too_complex", message)

    def _refuse(self, place: Place, code: str, message: str) -> NoReturn:
        pointer = f"/json_schema{pointer_of(place)}"
        raise ValidationFailed(message, errors=[FieldError(pointer, code, message)])


class _MeasuringValues(_Measuring):
    """A text has nothing below it: of all that are on the way to it, one counts."""

    most = MAX_SIZE

    def __init__(self, places: dict[Place, Any]) -> None:
        super().__init__(places)
        self._has_references = any(
            "$ref" in each or "$dynamicRef" in each
            for each in places.values()
            if isinstance(each, dict)
        )

    def _both(self, own: int, below: int) -> int:
        return max(own, below)

    def _own(self, place: Place) -> int:
        once = not self._has_references and is_once(place)
        return weigh_values(self._places[place], once=once)
