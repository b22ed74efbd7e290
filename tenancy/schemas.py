"""Judge documents by the JSON Schemas of their collections.

A tenant's snapshot says which schema a collection has. Its text is read once for each schema and
process, when the first document is to be judged by it.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import jsonschema_rs
import orjson
from django.conf import settings

from tenancy.catalog import Tenant
from tenancy.exceptions import FieldError, SchemaViolation, ValidationFailed
from tenancy.models import Collection, SchemaMode
from tenancy.mongo import extended_json
from tenancy.schema_fields import SchemaFields
from tenancy.schema_rules import MAX_ERRORS, check_schema, cut, weigh_bytes
from tenancy.schema_walk import pointer_of

CACHE_MAX_SCHEMAS = 256
POINTER_CHARACTERS = 1_000
# Finding all errors takes so long for each, and for each byte of what a message may name; if it
# could take too long for a document, the first error is all that is told.
ERROR_MICROSECONDS = 12.0
ERROR_BYTE_MICROSECONDS = 0.05
EXPLANATION_MAX_MICROSECONDS = 250_000.0
# The interpreter stands still while a document is judged: one that might take longer is refused.
# What is wrong is looked for again, to be told: then it is up to three times as much.
JUDGEMENT_MAX_NANOSECONDS = 100_000_000
PLACE_NANOSECONDS = 10  # for each schema that is applied to it
STEP_NANOSECONDS = 8  # of a pattern
TOO_LARGE = FieldError(
    "",
    "too_large_for_schema",
    "The document is too large for the patterns and parts of its schema. Simpler patterns, or "
    "maxLength beside them, let it take larger ones.",
)
NOT_TAKEN = FieldError(
    "", "schema_not_taken", "The schema of the collection is none that is taken now: set another."
)

Check = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class CompiledSchema:
    """A schema, ready to judge documents.

    It sees a document in relaxed Extended JSON, without `_meta`; its `_id` only if the top level
    of the schema names that, among its `properties` or as `required`.
    """

    validator: jsonschema_rs.Validator
    sees_id: bool
    error_microseconds: float
    work: int
    weight: int
    explaining_weight: int
    fields: SchemaFields | None = None
    is_taken: bool = True

    @classmethod
    def of(cls, schema: Any) -> "CompiledSchema":
        """Return a schema compiled. Raises ValidationFailed with pointers into `/json_schema`."""
        validator, work = check_schema(schema)
        sees_id = "_id" in schema.get("properties", ()) or "_id" in schema.get("required", ())
        named = max(map(len, map(orjson.dumps, _named(schema))), default=0)
        slowness = work * (ERROR_MICROSECONDS + ERROR_BYTE_MICROSECONDS * named)
        return cls(validator, sees_id, slowness, work, *weigh_bytes(schema), SchemaFields(schema))

    @classmethod
    def not_taken(cls) -> "CompiledSchema":
        """Return what judges by a schema that was stored when it was taken, and is no more."""
        nothing = jsonschema_rs.Draft202012Validator(False)
        return cls(nothing, True, 0.0, 0, 0, 0, is_taken=False)

    def find_errors(self, document: dict[str, Any]) -> list[FieldError]:
        """Return at most `MAX_ERRORS` reasons why a document does not satisfy the schema."""
        if not self.is_taken:
            return [NOT_TAKEN]
        fields = document.copy()
        fields.pop("_meta", None)
        if not self.sees_id:
            fields.pop("_id", None)
        if not self._is_quick_for(fields):
            return [TOO_LARGE]
        if (is_json := extended_json.is_json(fields)) and self.validator.is_valid(fields):
            return []
        text = extended_json.dumps(fields)
        spelled = orjson.loads(text)
        if not is_json and self.validator.is_valid(spelled):
            return []
        return self._explain(text, spelled)

    def find_valid(self, documents: Sequence[dict[str, Any]]) -> list[bool]:
        """Return which documents satisfy the schema, as it sees them, without their `_id`s.

        That one does not may be wrong, where it is about its `_id`: `find_errors` knows.
        """
        if self.sees_id:
            return [False] * len(documents)
        if self._is_quick:
            return list(map(self.validator.is_valid, documents))
        return [self._is_quick_for(each) and self.validator.is_valid(each) for each in documents]

    @property
    def _byte_nanoseconds(self) -> int:
        return self.weight * STEP_NANOSECONDS + self.work * PLACE_NANOSECONDS // 2

    @property
    def _is_quick(self) -> bool:
        """Whether no document takes long, however large it is."""
        longest = self._byte_nanoseconds * settings.TENANCY_MAX_DOCUMENT_BYTES
        return longest <= JUDGEMENT_MAX_NANOSECONDS

    def _is_quick_for(self, fields: dict[str, Any]) -> bool:
        """Return whether no document like this one takes long; the text is needed for few."""
        if self._is_quick:
            return True
        text = extended_json.dumps(fields)
        if self._byte_nanoseconds * len(text) <= JUDGEMENT_MAX_NANOSECONDS:
            return True
        worst = len(text) * self.weight * STEP_NANOSECONDS
        return worst + _places(text) * self.work * PLACE_NANOSECONDS <= JUDGEMENT_MAX_NANOSECONDS

    def _explain(self, text: bytes, spelled: Any) -> list[FieldError]:
        is_quick = (
            len(text) * self.explaining_weight * STEP_NANOSECONDS <= JUDGEMENT_MAX_NANOSECONDS
        )
        if is_quick and _places(text) * self.error_microseconds <= EXPLANATION_MAX_MICROSECONDS:
            errors = zip(range(MAX_ERRORS), self.validator.iter_errors(spelled), strict=False)
            return list(dict.fromkeys(_error_of(error) for _, error in errors))
        return _first_error(self.validator, spelled)


def _places(text: bytes) -> int:
    return text.count(b",") + text.count(b"{") + text.count(b"[")


def _named(schema: Any) -> list[Any]:
    """Return what messages may name: the values of every `enum` and `const`, wherever they are."""
    found, pending = [], [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            found += [value[keyword] for keyword in ("enum", "const") if keyword in value]
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return found


def _first_error(validator: jsonschema_rs.Validator, value: Any) -> list[FieldError]:
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return [_error_of(error)]
    return []


def _error_of(error: jsonschema_rs.ValidationError) -> FieldError:
    """Return an error with its place in the document, or the nearest above whose pointer fits."""
    path = list(error.instance_path)
    while len(pointer := pointer_of(path)) > POINTER_CHARACTERS:
        path.pop()
    return FieldError(pointer, error.kind.name, cut(error.message))


class Violations:
    """What stored documents have against them, by `_id`, where the schema only warns."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[FieldError, ...]] = {}

    def note(self, document_id: Any, errors: Sequence[FieldError]) -> None:
        """Note what the newest version of a document has against it; nothing, if there is none."""
        key = _key(document_id)
        if errors:
            self._found[key] = tuple(errors)
        else:
            self._found.pop(key, None)

    def forget(self) -> None:
        """Forget what was noted: nothing of it was stored."""
        self._found.clear()

    def of(self, document_id: Any) -> tuple[FieldError, ...]:
        """Return what a document has against it."""
        return self._found.get(_key(document_id), ())

    def __len__(self) -> int:
        """Return how many documents have anything against them."""
        return len(self._found)


def _key(document_id: Any) -> tuple[str, str]:
    return type(document_id).__name__, repr(document_id)


def find_check(tenant: Tenant, collection: str, noted: Violations | None) -> Check | None:
    """Return what judges the documents of a collection before they are stored, or None.

    Where the schema is enforced it raises SchemaViolation; where it only warns it writes into
    `noted`, and there is none if nobody wants to know.
    """
    reference = tenant.schemas.get(collection)
    if reference is None or (reference.mode == SchemaMode.WARN and noted is None):
        return None
    noted = noted if reference.mode == SchemaMode.WARN else None
    return _Check(partial(_find_schema, tenant.id, collection, reference.digest), noted)


class _Check:
    """A check that finds its schema with the first document: whoever only reads needs none."""

    def __init__(self, find: Callable[[], CompiledSchema | None], noted: Violations | None) -> None:
        self._find, self._noted = find, noted
        self._schema: CompiledSchema | None = None
        self._is_known = False

    def find_fine(self, documents: Sequence[dict[str, Any]], is_json: Sequence[bool]) -> list[bool]:
        """Return which fields without their `_id` need no closer look; see `Handle`."""
        schema = self._find_schema()
        if schema is None or self._noted:  # one may have had something against it before
            return [schema is None] * len(documents)
        others = [each for each, is_known in zip(documents, is_json, strict=True) if not is_known]
        if not others:
            return schema.find_valid(documents)
        seen = iter(orjson.loads(extended_json.dumps(others)))
        rows = zip(documents, is_json, strict=True)
        return schema.find_valid([each if is_known else next(seen) for each, is_known in rows])

    def _find_schema(self) -> CompiledSchema | None:
        if not self._is_known:
            self._schema, self._is_known = self._find(), True
        return self._schema

    def __call__(self, fields: dict[str, Any]) -> None:
        schema = self._find_schema()
        errors = schema.find_errors(fields) if schema else []
        if self._noted is not None:
            self._noted.note(fields.get("_id"), errors)
        elif errors:
            raise SchemaViolation(errors=errors)


def find_fields(tenant: Tenant, collection: str) -> SchemaFields | None:
    """Return what is known of the fields of a collection's documents, or None. As `find_check`."""
    reference = tenant.schemas.get(collection)
    if reference is None:
        return None
    schema = _find_schema(tenant.id, collection, reference.digest)
    return schema.fields if schema else None


_cache: OrderedDict[str, CompiledSchema] = OrderedDict()
_lock = threading.Lock()


def digest_of(text: str) -> str:
    """Return what names a schema's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _find_schema(organization_id: UUID, collection: str, digest: str) -> CompiledSchema | None:
    """Return a schema from the cache, or the one that the collection has now; None if it has none.

    A snapshot may be one TTL behind: then the newer schema judges a little early.
    """
    known = _cache.get(digest)
    if known is not None:
        return known
    row = Collection.objects.filter(organization_id=organization_id, name=collection).first()
    if row is None or row.schema_mode == SchemaMode.OFF:
        return None
    try:
        found = CompiledSchema.of(orjson.loads(row.json_schema))
    except ValidationFailed:
        found = CompiledSchema.not_taken()
    with _lock:
        _cache[row.schema_digest] = found
        while len(_cache) > CACHE_MAX_SCHEMAS:
            _cache.popitem(last=False)
    return found


def forget_schemas() -> None:
    """Forget every compiled schema, as a new process would have it."""
    with _lock:
        _cache.clear()
