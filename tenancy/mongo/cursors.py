"""Page cursors: signed, and bound to the list they were made for."""

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from bson import decode, encode
from bson.errors import BSONError
from django.core import signing

from tenancy.exceptions import CursorInvalid, QueryTooComplex
from tenancy.mongo.extended_json import CODEC_OPTIONS
from tenancy.mongo.sort_keys import Position

CURSOR_MAX_CHARACTERS = 4_096
SIGNER_SALT = "tenancy.mongo.cursors"


def _digest(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:16]


def make_cursor(scope: str, position: Any) -> str:
    """Return a cursor for `position`, the `_id` of the last document given: any BSON value.

    `scope` is everything the list depends on: organization, collection, filter, sort.
    """
    payload = encode({"s": _digest(scope), "p": position}, codec_options=CODEC_OPTIONS)
    return signing.Signer(salt=SIGNER_SALT).sign(urlsafe_b64encode(payload).decode())


def read_cursor(scope: str, cursor: str) -> Any:
    """Return the position in a cursor. Raises CursorInvalid if changed, or made for other lists."""
    if len(cursor) > CURSOR_MAX_CHARACTERS:
        raise CursorInvalid
    try:
        signed = signing.Signer(salt=SIGNER_SALT).unsign(cursor)
        payload = decode(urlsafe_b64decode(signed), codec_options=CODEC_OPTIONS)
    except (signing.BadSignature, binascii.Error, BSONError) as error:
        raise CursorInvalid from error
    if payload["s"] != _digest(scope):
        raise CursorInvalid
    return payload["p"]


def make_position_cursor(scope: str, position: Position) -> str:
    """Return a cursor for where a page of documents ended.

    It holds the values that the documents are sorted by. Raises QueryTooComplex if those of the
    last document are so long that no cursor holds them.
    """
    cursor = make_cursor(scope, [*position.values, position.tie])
    if len(cursor) > CURSOR_MAX_CHARACTERS:
        raise QueryTooComplex(
            "The values that the documents are sorted by are too long to go on from: a cursor has"
            f" at most {CURSOR_MAX_CHARACTERS:,} characters.",
            hint="Sort by a shorter field, or ask for another limit.",
        )
    return cursor


def read_position_cursor(scope: str, cursor: str) -> Position:
    """Return the position in a cursor. Raises CursorInvalid."""
    *values, tie = read_cursor(scope, cursor)
    return Position(tuple(values), tie)
