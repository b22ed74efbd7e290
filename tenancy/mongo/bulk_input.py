"""The operations of a bulk, from raw JSON."""

from typing import Any

from tenancy.exceptions import InvalidId, InvalidInput
from tenancy.mongo.bulk_plan import Change, Op
from tenancy.mongo.document_rules import (
    decode_document,
    decode_patch,
    decode_value,
    is_id,
    parse_id,
)
from tenancy.mongo.new_ids import new_id
from tenancy.mongo.writing import with_id


def read_id(spelled: Any) -> Any:
    """Return the `_id` that an operation names.

    A string is read as it is in a path; everything else is Extended JSON. Raises InvalidId.
    """
    if isinstance(spelled, str):
        return parse_id(spelled)
    try:
        value = decode_value(spelled, None)
    except InvalidInput as error:
        raise InvalidId(error.detail) from error
    if not is_id(value):
        raise InvalidId("An id is a string, an integer, {“$oid”: …} or {“$uuid”: …}.")
    return value


def make_change(
    op: Op, document_id: Any, content: Any, *, if_rev: int | None, max_bytes: int
) -> Change:
    """Return an operation on the document with an `_id`, or with that in its content, or a new one.

    What is wrong with the content is the operation's `error`.
    """
    is_apart = document_id is not None
    try:
        fields = _decode(op, content, max_bytes)
        if document_id is None:
            document_id = fields["_id"] if "_id" in fields else new_id()
        if op != "delete":
            fields = with_id(document_id, fields)
    except InvalidInput as error:
        return Change(op, document_id, {}, if_rev, error, is_apart)
    return Change(op, document_id, fields, if_rev, None, is_apart)


def _decode(op: Op, content: Any, max_bytes: int) -> dict[str, Any]:
    if op == "delete":
        return {}
    if op == "patch":
        return decode_patch(content)
    return decode_document(content, max_bytes=max_bytes)
