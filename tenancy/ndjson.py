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
# Tools that pack in parts put some kilobytes into each.
PARTS_FREE, PART_MIN_BYTES = 1_000, 1_024
FIRST_BYTES = 1_024
# A line feed costs a client a thousandth of a byte; every other line may be blank, and so many.
BLANKS_FREE = 10_000
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


def whole(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
    """Yield the chunks. Raises MalformedJson if they are fewer than `length` bytes together."""
    for chunk in chunks:
        length -= len(chunk)
        yield chunk
    if length > 0:
        raise MalformedJson("The body ends before its Content-Length.")


def gunzipped(chunks: Iterator[bytes], *, one_part: bool = False) -> Iterator[bytes]:
    """Yield what gzip has packed, a bounded piece at a time.

    Raises MalformedJson if it is none or is cut off, and PayloadTooLarge for a bomb. Where several
    packed files follow one another, it cannot be told whether one more was to come: `one_part`
    refuses them.
    """
    unpacking = _Unpacking(most_parts=1 if one_part else None)
    for chunk in chunks:
        yield from unpacking.pieces_of(chunk)
    unpacking.end()


class _Unpacking:
    def __init__(self, *, most_parts: int | None) -> None:
        self._unpack = zlib.decompressobj(GZIP_WINDOW)
        self._most_parts = most_parts
        self._came_in = self._came_out = 0
        self._parts = 1
        self._step = FIRST_BYTES

    def pieces_of(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk has packed; small slices first, as their rest is copied each time."""
        self._came_in += len(chunk)
        at = 0
        while at < len(chunk):
            if self._unpack.eof:  # another file follows: as `cat a.gz b.gz` makes it
                self._begin_part()
            packed = chunk[at : at + self._step]
            piece, left = _unpack(self._unpack, packed)
            at += len(packed) - left
            self._step = min(self._step * 2, CHUNK_BYTES)
            self._came_out += len(piece)
            if self._came_out > max(RATIO_FREE_BYTES, RATIO_MAX * self._came_in):
                raise PayloadTooLarge(f"The body unpacks to more than {RATIO_MAX} times its size.")
            if piece:
                yield piece

    def end(self) -> None:
        """Raise MalformedJson if the last part is not whole."""
        if self._came_in and not self._unpack.eof:
            raise MalformedJson("The gzip body ends too early.")

    def _begin_part(self) -> None:
        self._unpack, self._step = zlib.decompressobj(GZIP_WINDOW), FIRST_BYTES
        self._parts += 1
        if self._most_parts is not None and self._parts > self._most_parts:
            raise MalformedJson("Several gzip files in one body need a Content-Length.")
        if self._parts > PARTS_FREE + self._came_in // PART_MIN_BYTES:
            raise PayloadTooLarge(
                f"The body has more than {PARTS_FREE:,} gzip files in it, and they are tiny."
            )


def _unpack(unpack: "zlib._Decompress", packed: bytes) -> tuple[bytes, int]:
    """Return a piece of what is packed, and how many bytes of it are left."""
    try:
        piece = unpack.decompress(packed, CHUNK_BYTES)
    except zlib.error as error:
        raise MalformedJson("The body is not valid gzip.") from error
    return piece, len(unpack.unconsumed_tail or unpack.unused_data)


def at_most(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the chunks. Raises PayloadTooLarge when they are more than `max_bytes` together."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise PayloadTooLarge(f"The documents are more than {max_bytes:,} bytes of text.")
        yield chunk


def lines_of(chunks: Iterator[bytes]) -> Iterator[Line]:
    """Yield every line, empty ones too, without line ends and without a byte order mark.

    Raises MalformedJson if far more are blank than not.
    """
    blanks = 0
    for line in _all_lines(chunks):
        if line.content is not None and not line.content.strip():
            blanks += 1
            if blanks > BLANKS_FREE + line.number // 2:
                raise MalformedJson("Most of the lines are blank.")
        yield line


def _all_lines(chunks: Iterator[bytes]) -> Iterator[Line]:
    number, parts, size = 0, list[bytes](), 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        for piece in others:  # each stands behind a line feed
            parts.append(first)
            number, size = number + 1, size + len(first)
            yield _line(number, parts, size, is_ended=True)
            parts, size, first = [], 0, piece
        size += len(first)
        if size > LINE_MAX_BYTES:
            parts = []
        else:
            parts.append(first)
    if size:
        yield _line(number + 1, parts, size, is_ended=False)


def _line(number: int, parts: list[bytes], size: int, *, is_ended: bool) -> Line:
    if size > LINE_MAX_BYTES:
        return Line(number, None, is_ended)
    content = b"".join(parts).removesuffix(b"\r")
    if number == 1:
        content = content.removeprefix(BYTE_ORDER_MARK)
    return Line(number, content, is_ended)
