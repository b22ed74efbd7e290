"""`_meta: {rev, created_at, updated_at, by}`: what the data plane keeps of every document.

A document without it, put there by somebody else, reads as revision 0.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import encode

from tenancy.mongo.extended_types import EPOCH, MILLISECOND

Document = dict[str, Any]

FIRST_REVISION = 1
REVISION_TYPES = ["int", "long"]  # what counts as a revision, whoever wrote it
_EMPTY_BSON_BYTES = 5


@dataclass(frozen=True)
class IfMatch:
    """Write only if the document is there, at one of `revisions`; None stands for any.

    With `is_negated` only if it is at none of them: the condition is `If-None-Match`.
    """

    revisions: frozenset[int] | None
    is_negated: bool = False


def meta_of(document: Document) -> Document:
    """Return `_meta`; {} where there is none."""
    meta = document.get("_meta")
    return meta if isinstance(meta, dict) else {}


def revision_of(document: Document) -> int:
    """Return the revision of a stored document; 0 for one that has none."""
    revision = meta_of(document).get("rev")
    return revision if isinstance(revision, int) and not isinstance(revision, bool) else 0


def now() -> datetime:
    """Return the time as documents are stamped with it: naive, in UTC, in whole milliseconds."""
    return EPOCH + time.time_ns() // 1_000_000 * MILLISECOND


def first_meta(by: str) -> Document:
    """Return the `_meta` of a document that is new."""
    at = now()
    return {"rev": FIRST_REVISION, "created_at": at, "updated_at": at, "by": by}


def next_meta(current: Document, by: str) -> Document:
    """Return the `_meta` of what replaces `current`."""
    at = now()
    created_at = meta_of(current).get("created_at", at)
    return {
        "rev": revision_of(current) + 1, "created_at": created_at, "updated_at": at, "by": by,
    }  # fmt: skip


def next_meta_in_server(at: datetime, by: str) -> Document:
    """Return the expression with which MongoDB computes the `_meta` of a replacement."""
    has_revision = {"$in": [{"$type": "$_meta.rev"}, REVISION_TYPES]}
    return {
        "rev": {"$add": [{"$cond": [has_revision, "$_meta.rev", 0]}, 1]},
        "created_at": {"$ifNull": ["$_meta.created_at", at]},
        "updated_at": at,
        "by": {"$literal": by},
    }


def condition_of(if_match: IfMatch | None) -> Document:
    """Return the filter that holds where `if_match` does."""
    if if_match is not None and if_match.is_negated:
        return {"$nor": [condition_of(IfMatch(if_match.revisions))]}
    if if_match is None or if_match.revisions is None:
        return {}
    matches: Document = {"_meta.rev": {"$in": list(if_match.revisions)}}
    if 0 in if_match.revisions:  # what has no revision is at revision 0
        matches = {"$or": [matches, {"_meta.rev": {"$not": {"$type": REVISION_TYPES}}}]}
    return matches


def holds(if_match: IfMatch | None, document: Document) -> bool:
    """Return whether the condition holds for a stored document."""
    if if_match is None:
        return True
    matches = if_match.revisions is None or revision_of(document) in if_match.revisions
    return matches is not if_match.is_negated


def shown(document: Document) -> Document:
    """Return the document as clients see it: `_meta` last, without who wrote it."""
    meta = document.pop("_meta", None)
    if type(meta) is dict and type(meta.get("rev")) is int:  # as we write it: nearly always
        meta.pop("by", None)
    else:
        meta = {**meta_of({"_meta": meta}), "rev": revision_of({"_meta": meta})}
        meta.pop("by", None)
    document["_meta"] = meta
    return document


def bytes_of_meta(document: Document) -> int:
    """Return how many bytes of a stored document are its `_meta`."""
    if "_meta" not in document:
        return 0
    return len(encode({"_meta": document["_meta"]})) - _EMPTY_BSON_BYTES
