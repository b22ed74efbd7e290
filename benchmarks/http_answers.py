"""HTTP answers as they come from a socket: where one ends, what its status is, how long its body.

Cheaper than `http.client`, which takes a line at a time and makes an object of every header. Knows
what this service sends: HTTP/1.1 with `Content-Length` or chunks without trailers, on connections
that are kept unless an answer says that it is the last.
"""

MAX_HEAD_BYTES = 65_536
MAX_CHUNK_LINE_BYTES = 64
HEAD_END, LINE_END = b"\r\n\r\n", b"\r\n"
CLOSE = b"\r\nconnection: close"
WITHOUT_BODY = frozenset({204, 304})


class BrokenAnswer(Exception):
    """What came is not one whole HTTP answer."""


class Answer:
    """One answer as it arrives: `feed` it what came until it says that this was all.

    Then `status` is the answer's, `body_bytes` how long its body was, without what frames chunks,
    and `is_last` says that its connection ends with it. The body itself is counted and not kept; an
    instance serves one answer after another.
    """

    __slots__ = (
        "_is_chunked",
        "_is_last_chunk",
        "_left",
        "_rest",
        "body_bytes",
        "is_last",
        "status",
    )

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.status = self.body_bytes = 0
        self.is_last = False
        self._left = 0  # bytes of the body, or of this chunk and its line end, still to come
        self._rest = b""  # the beginning of a head or of a chunk's line
        self._is_chunked = self._is_last_chunk = False

    def feed(self, data: bytes) -> bool:
        """Take what came next. Return whether the answer is whole. Raises BrokenAnswer.

        Only one answer may be on its way: more than that is broken, too.
        """
        if not data:
            raise BrokenAnswer("The connection was closed before the answer was whole.")
        if not self._left and not self._is_chunked:
            found = self._take_head(self._rest + data)
            if found is None:
                return False
            data = found
        return self._take_chunks(data) if self._is_chunked else self._take_body(data)

    def _take_head(self, data: bytes) -> bytes | None:
        """Return what follows the head, or None while the head is not whole."""
        self._begin()
        end = data.find(HEAD_END)
        if end < 0:
            if len(data) > MAX_HEAD_BYTES:
                raise BrokenAnswer("A head without an end.")
            self._rest = data
            return None
        head = data[:end].lower()
        if not head.startswith(b"http/1.1 "):
            raise BrokenAnswer(f"Not the beginning of an answer: {head[:40]!r}")
        self.status = int(head[9:12])
        self.is_last = CLOSE in head
        self._left = self.body_bytes = self._length(head)
        return data[end + 4 :]

    def _length(self, head: bytes) -> int:
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            end = head.find(LINE_END, at + 17)
            return int(head[at + 17 : end if end >= 0 else len(head)])
        if b"\r\ntransfer-encoding: chunked" in head:
            self._is_chunked = True
        elif self.status not in WITHOUT_BODY:
            raise BrokenAnswer(f"{self.status}, and no telling how long the body is.")
        return 0

    def _take_body(self, data: bytes) -> bool:
        self._left -= len(data)
        if self._left < 0:
            raise BrokenAnswer(f"{-self._left} bytes more than Content-Length says.")
        return self._left == 0

    def _take_chunks(self, data: bytes) -> bool:
        data, at = self._rest + data, 0
        self._rest = b""
        while True:
            step = min(self._left, len(data) - at)
            self._left -= step
            at += step
            if self._left:
                return False
            if self._is_last_chunk:
                return self._end(data, at)
            end = data.find(LINE_END, at)
            if end < 0:
                self._keep_line(data[at:])
                return False
            self._begin_chunk(data[at:end])
            at = end + 2

    def _keep_line(self, line: bytes) -> None:
        if len(line) > MAX_CHUNK_LINE_BYTES:
            raise BrokenAnswer("A chunk that does not say how long it is.")
        self._rest = line

    def _begin_chunk(self, line: bytes) -> None:
        try:
            size = int(line, 16)
        except ValueError as error:
            raise BrokenAnswer(f"Not the length of a chunk: {line!r}") from error
        self.body_bytes += size
        self._left = size + 2  # with the line end behind it
        self._is_last_chunk = size == 0

    def _end(self, data: bytes, at: int) -> bool:
        if at != len(data):
            raise BrokenAnswer(f"{len(data) - at} bytes after the last chunk.")
        self._is_chunked = False
        return True
