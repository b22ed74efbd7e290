"""The names of fields in filters, sorts, projections and pipelines."""

from tenancy.mongo.raw_json import shown

MAX_SEGMENTS = 32  # documents are no deeper
MAX_CHARACTERS = 1_024
# What may be asked of `_meta`. Not `by`: it names who wrote, which clients do not see.
META_FIELDS = frozenset(("_meta.rev", "_meta.created_at", "_meta.updated_at"))


def flaw_of_path(path: str, *, is_nested: bool = False) -> str:
    """Return what is wrong with a dotted path, or ''.

    At the top of a document, names that begin with `_` are `_id`, what is in it, and META_FIELDS;
    `is_nested` is for paths inside of an array's element.
    """
    segments = path.split(".")
    if not path or not all(segments):
        return f"The field {shown(path)} is empty, or a part of it is."
    if "\0" in path:
        return f"The field {shown(path)} holds a NUL character."
    if any(segment.startswith("$") for segment in segments):
        return f"The field {shown(path)} has a part that begins with a dollar sign."
    if len(segments) > MAX_SEGMENTS or len(path) > MAX_CHARACTERS:
        return f"A field has at most {MAX_SEGMENTS} parts and {MAX_CHARACTERS:,} characters."
    return "" if is_nested else _flaw_of_reserved(path, segments[0])


def _flaw_of_reserved(path: str, first: str) -> str:
    if not first.startswith("_") or first == "_id" or path in META_FIELDS:
        return ""
    names = ", ".join(("_id", *sorted(META_FIELDS)))
    return f"The field {shown(path)} is reserved. Of names that begin with _ there are {names}."


def flaw_of_name(name: str) -> str:
    """Return what is wrong with the name of a field that a query makes, or ''."""
    if "." in name:
        return f"The name {shown(name)} holds a dot."
    if name == "_id":
        return "The name _id is taken."
    return flaw_of_path(name)


def colliding(paths: list[str]) -> tuple[str, str] | None:
    """Return two paths of which one is, or is a part of, the other; None if there are none."""
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            return path, path
        seen.add(path)
    for path in paths:
        parts = path.split(".")
        for length in range(1, len(parts)):
            if (shorter := ".".join(parts[:length])) in seen:
                return shorter, path
    return None
