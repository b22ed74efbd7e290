"""A process that makes load, turn by turn, so that it shares its interpreter with nobody.

    with LoadProcess(plan) as load:
        turn = load.run(seconds=1.0)

`plan` is any object that can be pickled and has `start()`, which returns the function that makes
the load for so many seconds. See `http_client.HttpPlan` and `raw_client.RawPlan`.
"""

import subprocess
import sys
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Protocol

PROJECT = Path(__file__).resolve().parent.parent
# Beyond what a turn was asked to take: the interpreter, and the requests under way when it ends.
GRACE_SECONDS = 150.0
STOP_SECONDS = 5.0


class LoadFailed(Exception):
    """Something was answered that should not be, or not answered at all: there is no figure."""


@dataclass
class Turn:
    """What was done in one turn.

    `seconds` lasts to the last answer; `latencies` has the seconds of each request; `cpu_seconds`
    is what the making of the load itself took; `statuses` counts the answers of each HTTP status.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    statuses: dict[int, int] = field(default_factory=dict)
    body_bytes: int = 0

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU that a request took on the side that makes the load."""
        return 1e6 * self.cpu_seconds / max(self.count, 1)

    def milliseconds(self, share: float) -> float:
        """Return within what time this share of the requests was answered; 0.5 is the median."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)]


Make = Callable[[float], Turn]


class Plan(Protocol):
    """A load that can be sent to a process."""

    def start(self) -> Make:
        """Return the function that makes the load for so many seconds, and at least once."""


class LoadProcess:
    """The bench's end of such a process. A context manager; `run` blocks until the turn is over."""

    def __init__(self, plan: Plan) -> None:
        self._pipe, theirs = Pipe()
        handle = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve({handle})"],
            cwd=PROJECT, pass_fds=[handle], stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self._pipe.send(plan)

    def __enter__(self) -> "LoadProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def run(self, seconds: float) -> Turn:
        """Make the load for so many seconds. Raises LoadFailed."""
        self.begin(seconds)
        return self.finish(seconds)

    def begin(self, seconds: float) -> None:
        """Begin a turn, and return at once: for loads beside each other."""
        with suppress(BrokenPipeError):  # `finish` will say so
            self._pipe.send(seconds)

    def finish(self, seconds: float) -> Turn:
        """Wait for the turn that was begun. Raises LoadFailed."""
        try:
            if not self._pipe.poll(seconds + GRACE_SECONDS):
                raise LoadFailed(f"No end of a turn of {seconds} s.")
            result = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise LoadFailed("The process that makes the load has ended.") from error
        if isinstance(result, Turn):
            return result
        raise LoadFailed(result)


def serve(handle: int) -> None:
    """Take a plan, then make a turn for each number that comes, until the other end is closed."""
    pipe = Connection(handle)
    make = pipe.recv().start()
    while True:
        try:
            seconds = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(make(seconds))
        except Exception as error:  # noqa: BLE001 -- told to the bench, which fails the row
            pipe.send(f"{type(error).__name__}: {error}")
