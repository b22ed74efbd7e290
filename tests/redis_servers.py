"""A Redis of a test's own: a real process, that can be killed or frozen."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from benchmarks.local_processes import free_port

SECONDS = 15.0


def wait_until(condition: Callable[[], object]) -> None:
    """Return once the condition holds; fail if it does not in time."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@dataclass
class RedisServer:
    """One server on a port of its own; nothing is kept on disk."""

    home: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, and return once it answers."""
        command = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", str(self.home),
        ]  # fmt: skip
        log = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._answers)

    def freeze(self) -> None:
        """Stop it: connections are taken by the system, and nobody answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SECONDS)
            self._process = None

    def keys(self) -> list[str]:
        """Return every key, to look behind the product's back."""
        with Redis(port=self.port, decode_responses=True) as client:
            return sorted(client.keys())

    def configure(self, name: str, value: str) -> None:
        """Change a setting of the running server."""
        with Redis(port=self.port) as client:
            client.config_set(name, value)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with Redis(port=self.port, socket_timeout=0.5) as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def running_redis(home: Path) -> Iterator[RedisServer]:
    """Start a server and end it; skip the test where there is none to start."""
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server on the PATH")
    server = RedisServer(home)
    server.start()
    try:
        yield server
    finally:
        server.kill()
