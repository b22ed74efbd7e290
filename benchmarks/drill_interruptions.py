"""Send an import to a server of its own, and kill the server, or hang up, in the middle."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.local_processes import SERVE, free_port, start_server, stop_process

SECONDS = 60.0
IMPORT = "/api/v1/collections/main/import?mode=insert"
HEADERS = {"Content-Type": "application/x-ndjson"}
PIECE_BYTES = 64 * 1024
POLL_SECONDS = 0.01
ATTEMPTS = 60
COME_AGAIN = {httpx.codes.CONFLICT, httpx.codes.SERVICE_UNAVAILABLE}


class HungUp(Exception):
    """The client went away."""


def body_of(numbers: range) -> bytes:
    """Return a line for each number; every second one has no `_id`."""
    return b"".join(
        b'{"_id": "n%d", "n": %d}\n' % (n, n) if n % 2 else b'{"n": %d, "text": "no id"}\n' % n
        for n in numbers
    )


@contextmanager
def running_server(
    environment: Mapping[str, str], home: Path
) -> Iterator[tuple[httpx.Client, Callable[[], None]]]:
    """One server: its client, and what kills it at once."""
    port = free_port()
    settings = {**environment, "PORT": str(port)}
    process = start_server(SERVE, settings, home / f"server-{port}.log")

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)

    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client:
            yield client, kill
    finally:
        stop_process(process)


def send_import(
    client: httpx.Client, token: str, key: str, body: bytes, hang_up_after: int | None = None
) -> httpx.Response:
    """Send it piece by piece, in chunks without a length, and hang up behind so many bytes.

    The last line says that it was all.
    """

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), PIECE_BYTES):
            if hang_up_after is not None and start >= hang_up_after:
                raise HungUp
            yield body[start : start + PIECE_BYTES]
        yield b'{"_export": {"count": %d}}\n' % body.count(b"\n")

    headers = {**HEADERS, "Authorization": f"Bearer {token}", "Idempotency-Key": key}
    return client.post(IMPORT, content=pieces(), headers=headers)


def insist_on_import(client: httpx.Client, token: str, key: str, body: bytes) -> httpx.Response:
    """Send it, again for as long as the answer says that it may be sent again.

    An attempt before may still be served, and MongoDB keeps the transaction of a server that was
    killed for a while: what it holds is busy. Returns the last answer, whatever it is.
    """
    for _ in range(ATTEMPTS):
        answer = send_import(client, token, key, body)
        if answer.status_code not in COME_AGAIN:
            break
        time.sleep(float(answer.headers.get("Retry-After", 1)))
    return answer


def do_when(condition: Callable[[], bool], act: Callable[[], Any]) -> threading.Thread:
    """Do something in a thread as soon as a condition holds."""

    def run() -> None:
        deadline = time.monotonic() + SECONDS
        while not condition() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
