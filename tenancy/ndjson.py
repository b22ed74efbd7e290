"""Lines from a stream of bytes, as they are or compressed with gzip, in bounded memory."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tenancy.exceptions import MalformedJson, PayloadTooLarge

CHUNK_BYTES = 256 * 1024
LINE_MAX_BYTES = 8 * 1_048_576
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Deflate packs at most 1,032 bytes into one; documents come nowhere near that.
RATIO_MAX = 200
# Until so much came out, any ratio is fine.
RATIO_FREE_BYTES = 16 * 1_048_576
GZIP_WINDOW = 31  # the largest window, in a gzip container: see zlib's inflateInit2

Read = Callable[[int], bytes]


@dataclass(frozen=True)
class Line:
    """One line without its end; `content` is None if it was longer than `LINE_MAX_BYTES`.

    `is_ended` says whether a line feed followed.
    """

    number: int
    content: bytes | None
    is_ended: bool = True


def chunks_of(read: Read) -> Iterator[bytes]:
    """Yield what `read(size)` gives until it gives nothing."""
    while chunk := read(CHUNK_BYTES):
        yield chunk


def gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what gzip has packed, a bounded piece at a time.

    Raises MalformedJson if it is none or is cut off, and PayloadTooLarge for a bomb.
    """
    unpack, came_in, came_out = zlib.decompressobj(GZIP_WINDOW), 0, 0
    for chunk in chunks:
        came_in += len(chunk)
        while chunk:
            if unpack.eof:  # another file follows: as `cat a.gz b.gz` makes it
                unpack = zlib.decompressobj(GZIP_WINDOW)
            piece, chunk = _unpack(unpack, chunk)  # noqa: PLW2901 -- what is left of it
            came_out += len(piece)
            if came_out > max(RATIO_FREE_BYTES, RATIO_MAX * came_in):
                raise PayloadTooLarge(f"The body unpacks to more than {RATIO_MAX} times its size.")
            yield piece
    if came_in and not unpack.eof:
        raise MalformedJson("The gzip body ends too early.")


def _unpack(unpack: "zlib._Decompress", chunk: bytes) -> tuple[bytes, bytes]:
    """Return a piece of what a chunk has packed, and what is left of the chunk."""
    try:
        piece = unpack.decompress(chunk, CHUNK_BYTES)
    except zlib.error as error:
        raise MalformedJson("The body is not valid gzip.") from error
    return piece, unpack.unconsumed_tail or unpack.unused_data


def at_most(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the chunks. Raises PayloadTooLarge when they are more than `max_bytes` together."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise PayloadTooLarge(f"The documents are more than {max_bytes:,} bytes of text.")
        yield chunk


def lines_of(chunks: Iterator[bytes]) -> Iterator[Line]:
    """Yield every line, empty ones too, without line ends and without a byte order mark."""
    number, parts, size = 0, list[bytes](), 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        for piece in others:  # each stands behind a line feed
            parts.append(first)
            number, size = number + 1, size + len(first)
            yield _line(number, parts, size, is_ended=True)
            parts, size, first = [], 0, piece
        size += len(first)
        parts = [*parts, first] if size <= LINE_MAX_BYTES else [b""]
    if size:
        yield _line(number + 1, parts, size, is_ended=False)


def _line(number: int, parts: list[bytes], size: int, *, is_ended: bool) -> Line:
    if size > LINE_MAX_BYTES:
        return Line(number, None, is_ended)
    content = b"".join(parts).removesuffix(b"\r")
    if number == 1:
        content = content.removeprefix(BYTE_ORDER_MARK)
    return Line(number, content, is_ended)
