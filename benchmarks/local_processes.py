"""Start and stop what a drill runs against: a mongod of its own and server processes."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event

from tenancy.mongo.embedded import EmbeddedServer, EmbeddedServerError

PROJECT = Path(__file__).resolve().parent.parent
SERVE = (sys.executable, "manage.py", "serve")
SERVER_START_SECONDS = 90.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.05
TAIL_LINES = 40

# Settings a developer's shell may carry that would change what the drill measures.
FOREIGN_PREFIXES = ("TENANTRY_", "TENANCY_")
FOREIGN_NAMES = ("PORT", "MONGODB_URI", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")


class ProcessFailed(Exception):
    """A process the drill needs did not start; the message ends with the tail of its log."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def own_environment() -> dict[str, str]:
    """Return the environment without what would change the service."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN_PREFIXES) and name not in FOREIGN_NAMES
    }


def start_mongod(folder: Path) -> EmbeddedServer:
    """Start a replica set of one in `folder` and return it, writable. Its `stop` ends it."""
    server = EmbeddedServer(folder)
    try:
        server.launch()
        server.wait_until_primary(Event())
    except EmbeddedServerError as error:
        server.stop(Event())
        raise ProcessFailed(f"{error.detail} {error.hint}\n{_tail(server.log)}") from error
    return server


def start_server(
    command: Sequence[str], settings: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start one server process on `settings["PORT"]` and return it when it is ready."""
    process = _spawn(command, settings, log)
    try:
        wait_until_ready(process.poll, int(settings["PORT"]), log)
    except BaseException:
        stop_process(process)
        raise
    return process


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end; kill its group if it has not done so in `STOP_SECONDS`."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own, see _spawn
        process.wait(STOP_SECONDS)


def _spawn(
    command: Sequence[str], settings: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**own_environment(), **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(ended: Callable[[], int | None], port: int, log: Path) -> None:
    """Return once a server is ready; `ended` gives its exit code, None while it runs."""
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline and ended() is None:
        if _answers_ready(port):
            return
        time.sleep(POLL_SECONDS)
    code = ended()
    state = "is not ready" if code is None else f"ended with {code}"
    raise ProcessFailed(f"the server on port {port} {state}\n{_tail(log)}")


def _answers_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([f"--- {log} ---", *lines[-TAIL_LINES:]])
