"""The inserts of a bulk, from raw JSON: the most there is to do at once, and nearly always alike.

They are read, encoded and given their `_id`s together, column by column. Whatever may be against
the rules is left to `bulk_input`, each document for itself.
"""

from collections.abc import Sequence
from itertools import repeat
from operator import is_
from typing import Any, cast

from tenancy.mongo.bulk_input import make_change
from tenancy.mongo.bulk_plan import Change, Inserts
from tenancy.mongo.clients import Document
from tenancy.mongo.document_rules import MAX_DEPTH, MAX_ID_BYTES, METADATA, RESERVED, is_id
from tenancy.mongo.new_ids import new_ids
from tenancy.mongo.quick_documents import Doubtful, are_plain, encode_together, quick_document

OWN_NAMES = frozenset({"_id", METADATA})
# What an `_id` adds to a document at most. One that comes so near to the limit is looked at alone.
ID_MARGIN_BYTES = MAX_ID_BYTES + 32


def make_inserts(
    contents: Sequence[Document], apart: Sequence[Any] | None, max_bytes: int
) -> Sequence[Change]:
    """Return inserts of documents, as `make_change` does; some may have their ids `apart`.

    What follows the rules is read and encoded together; only the rest is looked at one by one.
    """
    bare = _without_own(contents)
    fields = _read_together(bare)
    encoded = _encode_fitting(fields, max_bytes - ID_MARGIN_BYTES)
    ids = _ids_of(contents, apart, are_new=bare is contents)
    is_json = list(map(is_, fields, bare))
    if apart is None and None not in encoded and None not in ids:
        return Inserts(ids, cast(Any, fields), cast(Any, encoded), is_json)
    apart = apart or [None] * len(contents)
    rows = zip(contents, apart, ids, fields, encoded, is_json, strict=True)
    return [
        make_change("insert", given, content, if_rev=None, max_bytes=max_bytes)
        if document_id is None or encoded is None
        else Change("insert", document_id, each, None, None, given is not None, encoded, json)
        for content, given, document_id, each, encoded, json in rows
    ]


def _without_own(contents: Sequence[Document]) -> Sequence[Document | None]:
    """Return documents without `_id` and `_meta`; None for one with another reserved name."""
    reserved = {name for name in set[str]().union(*contents) if name[:1] in RESERVED}
    if not reserved:
        return contents
    refused = reserved - OWN_NAMES
    return [
        None
        if not refused.isdisjoint(content)
        else content
        if OWN_NAMES.isdisjoint(content)
        else {name: value for name, value in content.items() if name not in OWN_NAMES}
        for content in contents
    ]


def _read_together(bare: Sequence[Document | None]) -> Sequence[Document | None]:
    """Return the BSON values; JSON's own as it is, and None for what may be against the rules."""
    known = [each for each in bare if each is not None]
    if len(known) == len(bare) and are_plain(known, MAX_DEPTH):
        return bare
    return [None if each is None else _read_quickly(each) for each in bare]


def _read_quickly(raw: Document) -> Document | None:
    try:
        return quick_document(raw, MAX_DEPTH)
    except Doubtful:
        return None


def _encode_fitting(fields: Sequence[Document | None], max_bytes: int) -> Sequence[bytes | None]:
    """Return the BSON elements of fields that have at most so many bytes of them, else None."""
    known = [each for each in fields if each is not None]
    try:
        encoded = encode_together(known)
    except Doubtful:
        return [None] * len(fields)
    if len(known) == len(fields) and max(map(len, encoded), default=0) <= max_bytes:
        return encoded
    parts = iter(encoded)
    found = [None if each is None else next(parts) for each in fields]
    return [None if each is None or len(each) > max_bytes else each for each in found]


def _ids_of(
    contents: Sequence[Document], apart: Sequence[Any] | None, *, are_new: bool
) -> Sequence[Any]:
    """Return the `_id`s of new documents; None where two are given, or what cannot be one."""
    made = new_ids(len(contents))
    if apart is None and are_new:
        return made
    return list(map(_id_of, contents, apart or repeat(None), made))


def _id_of(content: Document, given: Any, made: Any) -> Any:
    if "_id" not in content:
        return made if given is None else given
    own = content["_id"]
    try:
        if type(own) is not str:
            own = quick_document({"_id": own}, MAX_DEPTH)["_id"]
    except Doubtful:
        return None
    return own if given is None and is_id(own) else None
