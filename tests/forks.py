"""Processes of the product that start at once: forked from one that has imported everything.

There is one such process beside each test process, see `tests/fork_server.py`.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 300.0
LOOK_SECONDS = (0.003, 0.03)  # between two looks whether a process has ended: at first, at most


class ForkServer:
    """The process that forks; any thread may ask it."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server"], cwd=ROOT, env=_environment(home),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def ask(self, act: str, argument: Any) -> Any:
        """Send one line and return the answer."""
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None
        assert answers is not None
        with self._lock:
            orders.write(json.dumps([act, argument]).encode() + b"\n")
            orders.flush()
            return json.loads(answers.readline())

    def close(self) -> None:
        """End it and whatever it has started; the end of the test process does the same."""
        self._process.communicate()


def _environment(home: Path) -> dict[str, str]:
    kept = ("PATH", "HOME", "PYTHONDONTWRITEBYTECODE")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "TENANTRY_HOME": str(home),
    }


@cache
def fork_server() -> ForkServer:
    """Return the one of this test process, started when it is first needed."""
    server = ForkServer(settings.TENANTRY_HOME / "forks")
    atexit.register(server.close)
    return server


class Fork:
    """A process of the product; `answer(value)` in its lines says what came of it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._server = fork_server()
        self._folder = Path(tempfile.mkdtemp(dir=self._server.home))
        self.pid: int = self._server.ask("start", {**order, "folder": str(self._folder)})
        self._code: int | None = None

    def wait(self) -> tuple[int, str]:
        """Return its exit code, and its error if it ended with one."""
        return self._end(), self._said()["error"]

    def result(self) -> Any:
        """Return what it has answered; it must have ended well."""
        code, error = self.wait()
        assert code == 0, error or self._text("stderr")
        return self._said()["answer"]

    def completed(self) -> subprocess.CompletedProcess[str]:
        """Return how it has ended, as `subprocess.run` does."""
        return subprocess.CompletedProcess(
            self.pid, self._end(), self._text("stdout"), self._text("stderr")
        )

    def wait_until_stopped(self) -> None:
        """Wait until it has stopped itself by SIGSTOP."""
        deadline = time.monotonic() + SECONDS
        while (state := self._state()) != "T":
            assert state != "Z", self.wait()
            assert time.monotonic() < deadline, "it did not stop"
            time.sleep(0.01)

    def go_on(self) -> None:
        """Let it go on after SIGSTOP."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As kill -9, if it still runs; nothing of it is left."""
        if self._look() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._end()

    def ended(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._look()

    @property
    def log(self) -> Path:
        """What it has written for people who look for errors."""
        return self._folder / "stderr"

    def stop(self, seconds: float) -> None:
        """Ask it to end; kill it if it has not done so in time."""
        if self._look() is None:
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self._look() is None and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS[1])
        self.kill()

    def _end(self) -> int:
        deadline, pause = time.monotonic() + SECONDS, LOOK_SECONDS[0]
        while (code := self._look()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise subprocess.TimeoutExpired(str(self._folder), SECONDS)
            time.sleep(pause)
            pause = min(pause * 1.3, LOOK_SECONDS[1])
        return code

    def _look(self) -> int | None:
        if self._code is None:
            self._code = self._server.ask("look", self.pid)
        return self._code

    def _state(self) -> str:
        """Return the letter of proc(5): T if it is stopped, Z if it has ended."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def _text(self, name: str) -> str:
        path = self._folder / name
        return path.read_text() if path.exists() else ""

    def _said(self) -> dict[str, Any]:
        path = self._folder / "said.json"
        return json.loads(path.read_text()) if path.exists() else {"answer": None, "error": ""}


SETUP = "import django; django.setup()\n"


@dataclass
class Forks:
    """Starts processes that share an environment."""

    environment: dict[str, str]
    started: list[Fork] = field(default_factory=list)

    def start(self, code: str, failpoint: str = "", **names: Any) -> Fork:
        """Run some lines beside the test; they know the names."""
        environment = self.environment | {"TENANTRY_FAILPOINT": failpoint}
        self.started.append(
            Fork({"environment": environment, "code": SETUP + code, "names": names})
        )
        return self.started[-1]

    def run(self, code: str, **names: Any) -> Any:
        """Run some lines; return what they answer."""
        return self.start(code, **names).result()


@contextmanager
def running_forks(environment: dict[str, str]) -> Iterator[Forks]:
    """Start processes in the block; none of them outlives it."""
    forks = Forks(environment)
    try:
        yield forks
    finally:
        for fork in forks.started:
            fork.kill()
