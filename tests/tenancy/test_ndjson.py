"""Lines out of a body: whole, and soon, whatever it is made of."""

import gzip
import time

import pytest

from tenancy.exceptions import MalformedJson, PayloadTooLarge
from tenancy.ndjson import gunzipped, lines_of, whole

BLANK_ENDS = (b"\n", b" \n", b"\r\n")


def chunks(body, size=256 * 1024):
    return (body[at : at + size] for at in range(0, len(body), size))


def read(body, size=256 * 1024):
    return [line.content for line in lines_of(gunzipped(chunks(body, size)))]


def test_gzip_files_behind_each_other_are_read_as_one_wherever_the_chunks_end():
    packed = b"".join(gzip.compress(b'{"n": %d}\n' % n, mtime=0) for n in range(300))
    large = gzip.compress(b"x" * 3_000_000 + b"\n" + bytes(range(32, 127)) * 9, mtime=0)

    for size in (1, 7, 1_000, 1_000_000):
        assert read(packed, size) == [b'{"n": %d}' % n for n in range(300)]
    assert read(packed + large) == [
        *(b'{"n": %d}' % n for n in range(300)), b"x" * 3_000_000, bytes(range(32, 127)) * 9,
    ]  # fmt: skip
    with pytest.raises(MalformedJson):
        read(packed[:-1])


def test_bodies_of_nothing_are_refused_soon():
    corpus = [
        (gzip.compress(b"", mtime=0) * 80_000, PayloadTooLarge),
        (gzip.compress(b" ", mtime=0) * 40_000, PayloadTooLarge),
        *((gzip.compress(end * 10_000_000), MalformedJson) for end in BLANK_ENDS),
    ]
    for body, error in corpus:
        begun = time.process_time()
        with pytest.raises(error):
            for _ in lines_of(gunzipped(chunks(body))):
                pass
        assert time.process_time() - begun < 1


def test_every_other_line_may_be_blank():
    body = b"{}\n\n" * 30_000

    assert len(list(lines_of(chunks(body)))) == 60_000


def test_a_body_shorter_than_it_was_said_to_be_is_not_whole():
    assert b"".join(whole(iter([b"{}", b"\n"]), 3)) == b"{}\n"
    with pytest.raises(MalformedJson):
        list(whole(iter([b"{}\n"]), 4))
