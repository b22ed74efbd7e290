"""HTTP load at little cost: requests made beforehand, kept connections, one loop, own process.

    plan = HttpPlan(port, [request("GET", "/livez")], connections=8)
    with LoadProcess(plan) as load:
        turn = load.run(seconds=1.0)     # Turn: rate, latencies, statuses, cpu_seconds

One loop costs the client half of what threads cost, and a fifth of `http.client`. Every connection
sends, waits for the whole answer, sends the next: `connections` requests are on their way at any
moment. An answer that is broken, or of a status that is not accepted, fails the turn.
"""

import heapq
import itertools
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.http_answers import Answer, BrokenAnswer
from benchmarks.load_process import Make, Turn

HOST = "127.0.0.1"
# Nothing that is measured takes longer from one piece of an answer to the next.
SILENCE_SECONDS = 60.0
# Above 128 KiB the C library maps new pages for each piece, which costs five times the receiving.
RECEIVED_BYTES = 1 << 16
FINE = frozenset({200, 201, 202, 204})
LATER, RETRY_AFTER_SECONDS = frozenset({429, 503}), 1.0


def request(
    method: str, path: str, *, token: str = "", body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> bytes:  # fmt: skip
    """Return the bytes of a request. A body is JSON."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body or method in {"POST", "PUT", "PATCH"}:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class HttpPlan:
    """What to send to a port of this machine.

    `requests` are sent in turn, over all connections together, and go on where the last turn left
    off. In a `numbered` plan each may hold `%(connection)d` (from 0), `%(nth)d` (which one of its
    connection it is, from 1) and `%(number)d` (of all, from 0), and a percent sign is doubled.
    Mind Content-Length: numbers in a body need a width, `%(number)06d`.
    Statuses other than `accepted` fail the turn; after a 429 or 503 that is accepted the connection
    waits a second, as its Retry-After says.
    """

    port: int
    requests: Sequence[bytes]
    connections: int = 8
    accepted: frozenset[int] = field(default=FINE)
    numbered: bool = False

    def start(self) -> Make:
        """Return the function that makes the load."""
        return _Loop(self).run


class _Line:
    """A connection and the request that is on its way over it."""

    __slots__ = ("answer", "index", "sent", "socket", "started")

    def __init__(self, index: int, port: int) -> None:
        self.index, self.sent, self.started = index, 0, 0.0
        self.answer = Answer()
        self.connect(port)

    def connect(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Loop:
    """The one thread that serves all connections."""

    def __init__(self, plan: HttpPlan) -> None:
        self._plan = plan
        self._requests = self._numbered() if plan.numbered else itertools.cycle(plan.requests)
        self._sent = [0] * plan.connections
        self._index = 0
        self._waiting: list[tuple[float, int]] = []

    def _numbered(self) -> Iterator[bytes]:
        for number, template in enumerate(itertools.cycle(self._plan.requests)):
            self._sent[self._index] += 1
            yield template % {
                b"connection": self._index,
                b"nth": self._sent[self._index],
                b"number": number,
            }

    def run(self, seconds: float) -> Turn:
        """Make the load: every connection sends at least one request. Raises BrokenAnswer."""
        lines = [_Line(index, self._plan.port) for index in range(self._plan.connections)]
        try:
            with select.epoll() as poll:
                for line in lines:
                    poll.register(line.socket, select.EPOLLIN)
                return self._drive(poll, lines, seconds)
        finally:
            self._waiting.clear()
            for line in lines:
                line.socket.close()

    def _drive(self, poll: select.epoll, lines: list[_Line], seconds: float) -> Turn:
        turn = Turn()
        by_handle = {line.socket.fileno(): line for line in lines}
        cpu, began = time.process_time(), time.perf_counter()
        deadline = began + seconds
        for line in lines:
            self._send(line)
        busy = len(lines)
        while busy:
            for handle, _ in self._ready(poll, lines):
                line = by_handle[handle]
                if not line.answer.feed(line.socket.recv(RECEIVED_BYTES)):
                    continue
                now = time.perf_counter()
                self._note(turn, line, now)
                if line.answer.is_last:
                    self._connect_anew(poll, line, by_handle)
                pause = RETRY_AFTER_SECONDS if line.answer.status in LATER else 0.0
                if now + pause >= deadline:
                    busy -= 1
                elif pause:
                    heapq.heappush(self._waiting, (now + pause, line.index))
                else:
                    self._send(line)
        turn.seconds = time.perf_counter() - began
        turn.cpu_seconds = time.process_time() - cpu
        return turn

    def _connect_anew(self, poll: select.epoll, line: _Line, by_handle: dict[int, _Line]) -> None:
        del by_handle[line.socket.fileno()]
        line.socket.close()
        line.connect(self._plan.port)
        by_handle[line.socket.fileno()] = line
        poll.register(line.socket, select.EPOLLIN)

    def _ready(self, poll: select.epoll, lines: list[_Line]) -> list[tuple[int, int]]:
        """Return what can be read; send what has waited long enough."""
        if not self._waiting:
            events = poll.poll(SILENCE_SECONDS)
            if not events:
                raise BrokenAnswer(f"Nothing was answered for {SILENCE_SECONDS:.0f} s.")
            return events
        now = time.perf_counter()
        while self._waiting and self._waiting[0][0] <= now:
            self._send(lines[heapq.heappop(self._waiting)[1]])
        wait = self._waiting[0][0] - now if self._waiting else SILENCE_SECONDS
        return poll.poll(wait)

    def _send(self, line: _Line) -> None:
        self._index = line.index
        line.started = time.perf_counter()
        line.socket.sendall(next(self._requests))

    def _note(self, turn: Turn, line: _Line, now: float) -> None:
        status = line.answer.status
        if status not in self._plan.accepted:
            raise BrokenAnswer(f"Answered {status}.")
        turn.statuses[status] = turn.statuses.get(status, 0) + 1
        turn.latencies.append(now - line.started)
        turn.body_bytes += line.answer.body_bytes
