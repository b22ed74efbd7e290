"""JSON text: what is refused, and where it says the fault is."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenancy.exceptions import InvalidDocument, MalformedJson, TenancyError
from tenancy.mongo.raw_json import _load_carefully, loads

REFUSED = {
    "overflowing float": (b'{"a": [1, 1e400]}', "/a/1"),
    "negative overflow": (b'{"a": -1e999999999}', "/a"),
    "overflow at the top": (b"1e400", ""),
    "65-bit integer": (b'{"a": 18446744073709551616}', "/a"),
    "first above int64": (b'{"a": 9223372036854775808}', "/a"),
    "first below int64": (b'{"a": -9223372036854775809}', "/a"),
    "5,000 digits": (b'{"a": {"b": ' + b"1" * 5000 + b"}}", "/a/b"),
    "NaN": (b'{"a": NaN}', "/a"),
    "Infinity": (b"[Infinity]", "/0"),
    "-Infinity": (b"[-Infinity]", "/0"),
    "duplicate keys": (b'{"a": 1, "a": 1}', "/a"),
    "duplicate keys at depth": (b'{"a": [0, {"b": {"c": 1, "d": 2, "c": 3}}]}', "/a/1/b/c"),
    "keys equal once unescaped": (b'{"a": 1, "\\u0061": 2}', "/a"),
    "lone high surrogate": (b'{"a": "\\ud800"}', "/a"),
    "lone low surrogate": (b'{"a": "x\\uDFFFx"}', "/a"),
    "surrogates in the wrong order": (b'["\\udc00\\ud800"]', "/0"),
    "lone surrogate in a key": (b'{"a": {"\\ud800": 1}}', "/a/\\ud800"),
    "duplicate surrogate keys": (b'{"\\ud800": 1, "\\ud800": 2}', "/\\ud800"),
    "NUL in a key": (b'{"a": {"b\\u0000c": 1}}', "/a/b\\u0000c"),
    "pointer escapes": (b'{"a/b": {"c~d": NaN}}', "/a~1b/c~0d"),
    "arrays 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, ""),
    "objects 100,000 deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, ""),
    "unclosed 100,000 deep": (b"[" * 100_000, ""),
}

MALFORMED = {
    "empty": b"",
    "blank": b" \n ",
    "not JSON": b"hello",
    "trailing comma": b'{"a": 1,}',
    "two values": b"{} {}",
    "comment": b"{} // no",
    "single quotes": b"{'a': 1}",
    "leading zero": b"[01]",
    "raw control character": b'["\x00"]',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "surrogate bytes": b'["\xed\xa0\x80"]',
    "overlong NUL": b'["\xc0\x80"]',
    "cut short": b'{"a": ',
}


@pytest.mark.parametrize(("raw", "pointer"), REFUSED.values(), ids=REFUSED.keys())
def test_hostile_text_is_refused_with_its_place(raw, pointer):
    with pytest.raises(InvalidDocument) as caught:
        loads(raw)

    assert [error.pointer for error in caught.value.errors] == [pointer]


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_json_is_malformed(raw):
    with pytest.raises(MalformedJson):
        loads(raw)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b'{"a": 1,\n  "b" 2}', "line 2, column 7"),
        (b'{\n "\xc3\xa9": "\xff"}', "line 2, column 8"),
        (b"\xef\xbb\xbf{}", r"byte order mark \(line 1, column 1\)"),
    ],
)
def test_malformed_json_says_line_and_column(raw, place):
    with pytest.raises(MalformedJson, match=place):
        loads(raw)


def test_an_empty_body_is_called_empty():
    with pytest.raises(MalformedJson, match="The body is empty"):
        loads(b"")


def test_a_duplicate_key_is_named():
    with pytest.raises(InvalidDocument, match='"colour" occurs more than once'):
        loads(b'{"size": 1, "colour": 2, "colour": 3}')


def test_a_long_key_is_cut_in_the_message():
    key = b'"' + b"k" * 10_000 + b'": 1'

    with pytest.raises(InvalidDocument) as caught:
        loads(b"{" + key + b"," + key + b"}")

    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(("raw", "pointer"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_can_always_be_sent_as_utf8(raw, pointer):
    with pytest.raises(InvalidDocument) as caught:
        loads(raw)

    assert caught.value.detail.encode()
    assert caught.value.errors[0].pointer.encode() == pointer.encode()


def test_the_first_of_several_faults_is_reported():
    with pytest.raises(InvalidDocument) as caught:
        loads(b'{"a": [0, {"b": NaN}], "c": 1e400}')

    assert caught.value.errors[0].pointer == "/a/1/b"


def test_the_bounds_of_int64_are_read_exactly():
    assert loads(b"[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]


def test_the_largest_double_is_read():
    assert loads(b"1.7976931348623157e308") == 1.7976931348623157e308


def test_a_surrogate_pair_is_one_character():
    assert loads(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_an_escaped_backslash_before_ud800_is_text():
    assert loads(b'"\\\\ud800"') == "\\ud800"


def test_nul_in_a_value_survives():
    assert loads(b'{"a": "x\\u0000y"}') == {"a": "x\0y"}


@given(st.binary(max_size=200))
def test_bytes_never_raise_anything_else(raw):
    with suppress(TenancyError):
        loads(raw)


SYNTAX = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"-", b" ", b"\n", b"null"]
TROUBLE = [b'"a"', b'"\\ud800"', b'"\\u0000"', b"1e999", b"NaN", b"0", b"9" * 4301, b"\xff"]
JSON_PIECES = st.sampled_from([*SYNTAX, *TROUBLE])


@given(st.lists(JSON_PIECES, max_size=30).map(b"".join))
def test_near_json_never_raises_anything_else(raw):
    with suppress(TenancyError):
        loads(raw)


# --- the quick way and the careful one


def outcome(read, raw):
    try:
        return "value", repr(read(raw))
    except TenancyError as error:
        return type(error), error.detail, error.errors


TRAPS = [
    b'{"a" :1,"a":2}', b'{"a":1,"a":"\\u0022:"}', b'{"a":1,"a":"\\u003a"}',
    b'{"a":1,"a":"\\u003A"}',
    b'{"a":1,"a":":"}', b'{"a":{"b":1},"a":":"}', b'{"a":{"b":1},"a":{"b":1}}', b'{"a":"x\\":y"}',
    b'{"a":1,"\\u0061":":"}', b'{"a:":1,"a:":2}', b'{"a\\u003a":1,"a:":2}', b'{"" :"\\u0000"}',
    b"[18446744073709551615]", b"[-18446744073709551616]", b"[9223372036854775807]", b"[-0, -0.0]",
    b"[1E400]", b"[123456789012345678901234567890e-10]", b"[0.1e-400]", b"[1.0E+2]", b'"\\/"',
    b"[" * 254 + b"]" * 254, b"[" * 300 + b"]" * 300, b'{"a":' * 255 + b"1" + b"}" * 255,
    b' {"a"\t:\r\n[null , true,false ] } ', b'"\\ud83d\\ude00:"', b"\xc2\xa0{}", b'["\x7f"]',
]  # fmt: skip


def test_both_ways_of_reading_agree_on_what_is_hostile():
    texts = [*TRAPS, *MALFORMED.values(), *(raw for raw, _ in REFUSED.values())]

    for raw in texts:
        assert outcome(loads, raw) == outcome(_load_carefully, raw), raw[:80]


@given(st.lists(JSON_PIECES | st.sampled_from(TRAPS), max_size=12).map(b"".join))
def test_both_ways_of_reading_agree_on_near_json(raw):
    assert outcome(loads, raw) == outcome(_load_carefully, raw)


@st.composite
def texts_of_json(draw, depth=3):
    """JSON text with keys that come twice, escapes, blanks and numbers at the bounds."""
    blank = draw(st.sampled_from(["", "", " ", "\n"]))
    kind = draw(st.sampled_from(["leaf", "object", "array"] if depth else ["leaf"]))
    inner = texts_of_json(depth=depth - 1)
    if kind == "object":
        keys = st.sampled_from(['"a"', '"\\u0061"', '"b:"', '"b\\u003a"', '"\\":"', '"c\\u0000"'])
        members = [f"{draw(keys)}{blank}:{draw(inner)}" for _ in range(draw(st.integers(0, 3)))]
        return "{" + f",{blank}".join(members) + "}"
    if kind == "array":
        return "[" + ",".join(draw(inner) for _ in range(draw(st.integers(0, 3)))) + "]" + blank
    digits = draw(st.integers(-(2**65), 2**65))
    words = ["null", '":"', '"\\u0022:"', '"\\ud83d\\ude00"', '"\\udead"', "1e308", "1e309", "0.5"]
    return str(digits) if draw(st.booleans()) else draw(st.sampled_from(words))


@given(texts_of_json())
def test_both_ways_of_reading_agree_on_json(text):
    assert outcome(loads, text.encode()) == outcome(_load_carefully, text.encode())


def test_ordinary_text_is_read_the_quick_way(monkeypatch):
    monkeypatch.setattr("tenancy.mongo.raw_json._load_carefully", None)
    text = b' [{"a": 1.5, "b" : "12:30", "\xc3\xa9": [{}, -7, null], "id": {"$oid": "0e"}}] '

    assert loads(text) == json.loads(text)
