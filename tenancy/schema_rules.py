"""What a JSON Schema may be here: bounded in size, and in the work that it can make.

Whatever a schema refers to is in itself, so that nothing is ever fetched; patterns are matched in
linear time; and no document makes more work than its size times `MAX_WORK`.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

import jsonschema_rs
import orjson

from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.schema_patterns import MAX_CHARACTERS, MAX_SIZE, patterns_of, size_of, weigh_values
from tenancy.schema_walk import Place, find_places, pointer_of
from tenancy.schema_work import measure_values, measure_work

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ROOT = "/json_schema"
MAX_BYTES = 65_536
MAX_DEPTH = 64
MAX_SUBSCHEMAS = 1_000
MAX_PATTERNS = 50
MAX_ERRORS = 20
MESSAGE_CHARACTERS = 200
# Of each pattern, compiled: letters of all scripts take much, `schema_patterns` bounds the rest.
PATTERN_BYTES = 4 * 1_048_576

_META = jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, offline=True)
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES, dfa_size_limit=PATTERN_BYTES)


def compile_schema(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Return the validator of a schema. Its messages repeat no value of a document.

    Raises ValidationFailed for what it does not take.
    """
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, pattern_options=_PATTERNS, validate_formats=True, offline=True, mask="The value"
        )
    except jsonschema_rs.ValidationError as error:
        _refuse("invalid_schema", cut(_reason(error)), error.instance_path)


def check_schema(schema: Any) -> tuple[jsonschema_rs.Validator, int]:
    """Return the validator of a schema, and how much work it makes for each place of a document.

    Raises ValidationFailed with pointers into `/json_schema`.
    """
    _check_size(schema)
    errors = [
        FieldError(ROOT + pointer_of(error.instance_path), "invalid_schema", cut(error.message))
        for _, error in zip(range(MAX_ERRORS), _META.iter_errors(schema), strict=False)
    ]
    if errors:
        raise ValidationFailed(errors=dict.fromkeys(errors))
    places = find_places(schema)
    if errors := [*_errors_of_places(schema, places)][:MAX_ERRORS]:
        raise ValidationFailed(errors[0].message, errors=errors)
    work = measure_work(places)
    measure_values(places)
    return compile_schema(schema), work


def weigh_bytes(schema: dict[str, Any]) -> tuple[int, int]:
    """Return how many steps a schema that is taken may make for a byte of a text or number.

    The second is so many if all errors are looked for: then no pattern is spared for maxLength.
    """
    places = find_places(schema)
    weight = measure_values(places)
    return weight, max(weight, sum(weigh_values(each, once=False) for each in places.values()))


def cut(message: str) -> str:
    """Return a message that is short enough for an answer."""
    is_long = len(message) > MESSAGE_CHARACTERS
    return message[:MESSAGE_CHARACTERS] + "…" if is_long else message


def _refuse(code: str, message: str, path: Any = ()) -> NoReturn:
    raise ValidationFailed(message, errors=[FieldError(ROOT + pointer_of(path), code, message)])


def _check_size(schema: Any) -> None:
    if not isinstance(schema, dict):
        _refuse("not_an_object", "A schema is a JSON object.")
    level, depth = [schema], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            _refuse("too_deep", f"A schema nests at most {MAX_DEPTH} levels deep.")
        inner = (
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, dict | list)
        )  # fmt: skip
        level = [value for values in inner for value in values]
    if len(orjson.dumps(schema)) > MAX_BYTES:
        _refuse("too_large", f"A schema has at most {MAX_BYTES:,} bytes.")


def _errors_of_places(schema: dict[str, Any], places: dict[Place, Any]) -> Iterator[FieldError]:
    if len(places) > MAX_SUBSCHEMAS:
        message = f"A schema has at most {MAX_SUBSCHEMAS:,} schemas inside."
        yield FieldError(ROOT, "too_many_schemas", message)
    patterns = sum(len(patterns_of(each)) for each in places.values() if isinstance(each, dict))
    if patterns > MAX_PATTERNS:
        message = f"A schema has at most {MAX_PATTERNS} patterns."
        yield FieldError(ROOT, "too_many_patterns", message)
    for place, each in places.items():
        if isinstance(each, dict):
            yield from _errors_of_names(place, each)
            yield from _errors_of_patterns(place, each)


def _errors_of_names(place: Place, each: dict[str, Any]) -> Iterator[FieldError]:
    """Yield what is wrong with how a schema names itself, and others."""
    if each.get("$schema", DIALECT).removesuffix("#") != DIALECT:
        yield _error(place, "$schema", "unknown_dialect", f"The only dialect is {DIALECT}.")
    if place and "$id" in each:
        message = "Only the whole schema may have an $id. Refer by #/$defs/... or an $anchor."
        yield _error(place, "$id", "inner_id", message)
    for keyword in ("$ref", "$dynamicRef"):
        if not each.get(keyword, "#").startswith("#"):
            message = "Only what is in this schema can be referred to: #, #/... or an #anchor."
            yield _error(place, keyword, "remote_reference", message)


def _errors_of_patterns(place: Place, each: dict[str, Any]) -> Iterator[FieldError]:
    for pattern in patterns_of(each):
        if len(pattern) > MAX_CHARACTERS or size_of(pattern) > MAX_SIZE:
            message = (
                f"A pattern has at most {MAX_CHARACTERS:,} characters, and {MAX_SIZE:,} with its "
                "counted repetitions written out."
            )
            is_own = pattern == each.get("pattern")
            keyword = "pattern" if is_own else "patternProperties"
            yield _error(place, keyword, "pattern_too_large", message)


def _error(place: Place, keyword: str, code: str, message: str) -> FieldError:
    return FieldError(ROOT + pointer_of((*place, keyword)), code, message)


def _reason(error: jsonschema_rs.ValidationError) -> str:
    if error.kind.name == "format":
        return (
            "The pattern is not valid, or too large, or has what cannot be matched in linear time: "
            "look-around and back-references."
        )
    return error.message
