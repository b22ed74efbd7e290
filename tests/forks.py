"""Processes of the product that start at once: forked from one that has imported everything.

`Forks` is the test's side. The other side reads, line by line, what to do in a fork of itself.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60.0


class Fork:
    """A process that runs some lines; `answer(value)` in them says what came of it."""

    def __init__(self, forks: "Forks", pid: int) -> None:
        self._forks = forks
        self.pid = pid

    def wait(self) -> tuple[int, str]:
        """Return its exit code, and its error if it ended with one."""
        done = self._forks.ask("wait", self.pid)
        return done["code"], done["error"]

    def result(self) -> Any:
        """Return what it has answered; it must have ended well."""
        done = self._forks.ask("wait", self.pid)
        assert done["code"] == 0, done["error"]
        return done["answer"]

    def wait_until_stopped(self) -> None:
        """Wait until it has stopped itself by SIGSTOP."""
        deadline = time.monotonic() + SECONDS
        while (state := self._state()) != "T":
            assert state != "Z", self.wait()
            assert time.monotonic() < deadline, "it did not stop"
            time.sleep(0.01)

    def _state(self) -> str:
        """Return the letter of proc(5): T if it is stopped, Z if it has ended."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def go_on(self) -> None:
        """Let it go on after SIGSTOP."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As kill -9."""
        os.kill(self.pid, signal.SIGKILL)


class Forks:
    """Starts processes that share an environment."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def start(self, code: str, failpoint: str = "", **names: Any) -> Fork:
        """Run some lines beside the test; they know the names."""
        started = self.ask("start", {"code": code, "failpoint": failpoint, "names": names})
        return Fork(self, started["pid"])

    def run(self, code: str, **names: Any) -> Any:
        """Run some lines; return what they answer."""
        return self.start(code, **names).result()

    def ask(self, act: str, argument: Any) -> dict[str, Any]:
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None
        assert answers is not None
        orders.write(json.dumps([act, argument]).encode() + b"\n")
        orders.flush()
        return dict(json.loads(answers.readline()))


@contextmanager
def running_forks(environment: dict[str, str]) -> Iterator[Forks]:
    """Start the process that forks; end it and whatever it has started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forks"], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            yield Forks(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _report_of(pid: int) -> Path:
    return Path(os.environ["TENANTRY_HOME"]) / f"fork-{pid}.json"


def _start(order: dict[str, Any]) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        os._exit(_run(order))
    return {"pid": pid}


def _run(order: dict[str, Any]) -> int:
    """Be the child."""
    from django.conf import settings

    said: dict[str, Any] = {"answer": None, "error": ""}
    settings.TENANTRY_FAILPOINT = order["failpoint"]
    names = {**order["names"], "answer": lambda value: said.update(answer=value)}
    try:
        exec(order["code"], names)
    except BaseException:  # noqa: BLE001 -- whatever it was, the test is told
        said["error"] = traceback.format_exc()
    _report_of(os.getpid()).write_text(json.dumps(said, default=str))
    return 1 if said["error"] else 0


def _wait(pid: int) -> dict[str, Any]:
    _, status = os.waitpid(pid, 0)
    report = _report_of(pid)
    said = json.loads(report.read_text()) if report.exists() else {"answer": None, "error": ""}
    return {**said, "code": os.waitstatus_to_exitcode(status)}


def main() -> None:
    """Do what the test asks for, until it has nothing more to ask."""
    import django

    django.setup()
    import tenancy.doctor
    import tenancy.lifecycle
    import tenancy.operations  # noqa: F401 -- what a fork has at once

    for line in sys.stdin.buffer:
        act, argument = json.loads(line)
        said = _start(argument) if act == "start" else _wait(argument)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
