"""A cursor leads on only in the list it was made for, and only unchanged."""

from base64 import urlsafe_b64encode
from uuid import UUID

import pytest
from bson import encode
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from django.core import signing

from tenancy.exceptions import CursorInvalid
from tenancy.mongo.cursors import CURSOR_MAX_CHARACTERS, make_cursor, read_cursor
from tenancy.mongo.document_rules import MAX_ID_BYTES

SCOPE = "3b241101/main/documents"
POSITIONS = [
    *["x", "a/b%", "ä\n", "€" * (MAX_ID_BYTES // 3), 7, Int64(2**60), -1, 3.5, None, True],
    *[ObjectId("59a47286cfa9a3a73e51e72c"), DatetimeMS(2**52), Decimal128("1.10")],
    *[Binary.from_uuid(UUID("3b241101-e2bb-4255-8caf-4136c566a962")), {"b": 1, "a": 2}],
]


@pytest.mark.parametrize("position", POSITIONS, ids=lambda value: repr(value)[:20])
def test_a_cursor_holds_any_id_with_its_type(position):
    found = read_cursor(SCOPE, make_cursor(SCOPE, position))

    assert found == position
    assert type(found) is type(position)


def test_a_cursor_fits_into_a_url_as_it_is():
    for position in POSITIONS:
        cursor = make_cursor(SCOPE, position)
        assert len(cursor) < CURSOR_MAX_CHARACTERS
        assert set(cursor) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=:"
        )


@pytest.mark.parametrize(
    "other", ["", SCOPE + "x", "3b241101/orders/documents", "3b241102/main/documents"]
)
def test_a_cursor_of_another_list_is_refused(other):
    with pytest.raises(CursorInvalid):
        read_cursor(other, make_cursor(SCOPE, 7))


def test_a_cursor_with_any_character_changed_is_refused():
    cursor = make_cursor(SCOPE, "abc")

    for place, character in enumerate(cursor):
        changed = cursor[:place] + ("B" if character != "B" else "C") + cursor[place + 1 :]
        with pytest.raises(CursorInvalid):
            read_cursor(SCOPE, changed)


@pytest.mark.parametrize(
    "garbage",
    ["", ":", "x", "null", "a:b:c", "ü€", "\0", "=" * 50, "A" * (CURSOR_MAX_CHARACTERS + 1)],
)
def test_garbage_is_refused(garbage):
    with pytest.raises(CursorInvalid):
        read_cursor(SCOPE, garbage)


def test_a_cursor_may_not_be_cut_or_extended():
    cursor = make_cursor(SCOPE, 7)

    for changed in (cursor[:-1], cursor + "A", " " + cursor, cursor + "\n"):
        with pytest.raises(CursorInvalid):
            read_cursor(SCOPE, changed)


def test_a_cursor_signed_for_something_else_is_refused():
    payload = urlsafe_b64encode(encode({"s": "x", "p": 7})).decode()

    with pytest.raises(CursorInvalid):
        read_cursor(SCOPE, signing.Signer(salt="another").sign(payload))


def test_a_cursor_of_another_installation_is_refused(settings):
    cursor = make_cursor(SCOPE, 7)
    settings.SECRET_KEY = "another secret"

    with pytest.raises(CursorInvalid):
        read_cursor(SCOPE, cursor)


def test_a_refused_cursor_says_nothing_of_why():
    with pytest.raises(CursorInvalid) as caught:
        read_cursor("other", make_cursor(SCOPE, "secret"))

    assert caught.value.detail == CursorInvalid.default_detail
