"""What an index may be, for a client who asks for one; and its name, where none is given."""

import hashlib
import re
from dataclasses import replace

from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.mongo.indexes import IndexSpec

INDEX_MAX_FIELDS = 8
FIELD_MAX_CHARACTERS = 200
NAME_MAX_CHARACTERS = 128
# What MongoDB calls the index that it makes itself.
RESERVED_NAMES = frozenset(("_id_",))
# MongoDB keeps the time to live in 32 bits.
TTL_MAX_SECONDS = 2_147_483_647

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# Of the names that begin with `_`, these are in documents, and stay what they are in a move.
_OWN_FIELDS = re.compile(r"_id|_meta\.(rev|created_at|updated_at)")


def checked_spec(spec: IndexSpec) -> IndexSpec:
    """Return a wanted index with its name. Raises ValidationFailed with pointers."""
    errors = [*_errors_of_keys(spec), *_errors_of_ttl(spec)]
    if spec.name in RESERVED_NAMES:
        message = f"“{spec.name}” is the name of an index that MongoDB makes itself."
        errors.append(FieldError("/name", "invalid_name", message))
    if spec.name and (not _NAME.fullmatch(spec.name) or len(spec.name) > NAME_MAX_CHARACTERS):
        message = f"A name has 1 to {NAME_MAX_CHARACTERS} of A-Z, a-z, 0-9, _, . and -."
        errors.append(FieldError("/name", "invalid_name", message))
    if errors:
        raise ValidationFailed(errors[0].message, errors=errors)
    return spec if spec.name else replace(spec, name=_generated_name(spec))


def _errors_of_keys(spec: IndexSpec) -> list[FieldError]:
    errors = []
    if not 1 <= len(spec.keys) <= INDEX_MAX_FIELDS:
        message = f"An index has 1 to {INDEX_MAX_FIELDS} fields."
        errors.append(FieldError("/keys", "invalid_length", message))
    names = [name for name, _ in spec.keys]
    for position, (name, direction) in enumerate(spec.keys[:INDEX_MAX_FIELDS]):
        pointer = f"/keys/{position}"
        if refusal := _refusal_of_field(name):
            errors.append(FieldError(f"{pointer}/0", "invalid_field", refusal))
        elif name == "_id" and not 0 < position == len(names) - 1:
            message = "The _id has an index already; in others it can only be the last field."
            errors.append(FieldError(f"{pointer}/0", "invalid_field", message))
        elif name in names[:position]:
            errors.append(FieldError(f"{pointer}/0", "repeated_field", "The field is named twice."))
        if direction not in {1, -1}:
            message = "The direction is 1 or -1."
            errors.append(FieldError(f"{pointer}/1", "invalid_direction", message))
    return errors


def _refusal_of_field(name: str) -> str:
    """Return why a field cannot be indexed, or ''."""
    segments = name.split(".")
    if len(name) > FIELD_MAX_CHARACTERS:
        return f"A field has at most {FIELD_MAX_CHARACTERS} characters."
    if not all(segments) or "\0" in name:
        return "A field is a name, or names joined by dots."
    if any(segment.startswith("$") for segment in segments):
        return "No name in a field begins with $."
    if segments[0] == "_id" and len(segments) > 1:
        return "An _id is one value: there are no fields in it."
    if name.startswith("_") and not _OWN_FIELDS.fullmatch(name):
        return "Names that begin with _ are reserved."
    return ""


def _errors_of_ttl(spec: IndexSpec) -> list[FieldError]:
    if spec.ttl_seconds is None:
        return []
    message = ""
    if not 1 <= spec.ttl_seconds <= TTL_MAX_SECONDS:
        message = f"A time to live is 1 to {TTL_MAX_SECONDS} seconds."
    elif len(spec.keys) != 1:
        message = "A time to live needs an index on a single field."
    return [FieldError("/ttl_seconds", "invalid_ttl", message)] if message else []


def _generated_name(spec: IndexSpec) -> str:
    """Return `status_1_created_at_-1`; with a digest where that is too long for a name, or none."""
    name = "_".join(f"{field}_{direction}" for field, direction in spec.keys)
    if _NAME.fullmatch(name) and len(name) <= NAME_MAX_CHARACTERS:
        return name
    return f"index_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
