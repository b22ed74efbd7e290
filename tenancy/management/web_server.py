"""granian as a child of `serve`: start it, ask it whether it is ready, stop it.

Run as a program this is granian's own command line, whose workers die with it.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event

from tenancy.management.stalled_connections import watch
from tenancy.processes import die_with_parent, kill_group, start_child, stop_child

APPLICATION = "config.wsgi:application"
# What the kernel queues, and what one worker accepts; its threads take requests from these.
MAX_CONNECTIONS = 1_024
# A request may take this long to end after the server was asked to stop.
WORKERS_KILL_SECONDS = 10
STOP_MAX_SECONDS = 15.0
# Longer than the driver looks for a cluster that is not there, twice.
PROBE_SECONDS = 8.0
MAX_PORT = 65_535
ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- read, not bound


class PortUnusable(Exception):
    """The port cannot be listened on; the text says why and what to do."""


def check_port(host: str, port: int) -> None:
    """Raise PortUnusable unless the port can be listened on now."""
    if not 1 <= port <= MAX_PORT:
        raise PortUnusable(f"PORT={port} is no port: choose one from 1024 to {MAX_PORT}.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except PermissionError as error:
        raise PortUnusable(
            f"This user may not listen on port {port}. Choose a port above 1023: PORT=8000 make run"
        ) from error
    except socket.gaierror as error:
        raise PortUnusable(f"TENANTRY_HOST={host} is no address of this machine.") from error
    except OSError as error:
        raise PortUnusable(
            f"Port {port} of {host} cannot be used: {error.strerror or error}. "
            f"Stop what listens there, or choose another: PORT={other_port(port)} make run"
        ) from error


def other_port(port: int) -> int:
    """Return a port to suggest in place of one that cannot be used."""
    return port + 1 if 1023 < port < MAX_PORT else 8001


def local_url(host: str, port: int) -> str:
    """Return the URL by which this machine reaches a server that listens on `host`."""
    host = ANY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass
class WebServer:
    """One granian with its workers."""

    host: str
    port: int
    processes: int
    threads: int
    environment: Mapping[str, str]
    host_header: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL by which this machine reaches it."""
        return local_url(self.host, self.port)

    def start(self) -> None:
        """Start it and return at once. Call from the main thread."""
        options = {
            "--interface": "wsgi",
            "--host": self.host,
            "--port": self.port,
            "--workers": self.processes,
            "--blocking-threads": self.threads,
            "--backlog": MAX_CONNECTIONS,
            "--backpressure": MAX_CONNECTIONS,
            "--workers-kill-timeout": WORKERS_KILL_SECONDS,
            "--log-level": "error",  # its warnings are advice on the numbers above
        }
        command = [sys.executable, "-m", "tenancy.management.web_server"]
        command += [str(word) for option in options.items() for word in option]
        command += ["--no-ws", "--respawn-failed-workers", APPLICATION]
        self.process = start_child(
            command, death_signal=signal.SIGKILL, environment=self.environment
        )

    def has_ended(self) -> bool:
        """Return whether the server has ended by itself; its workers are then gone too."""
        if self.process is None or self.process.poll() is None:
            return False
        kill_group(self.process)
        return True

    def find_obstacle(self) -> str | None:
        """Return what keeps the service from being ready, or None when it is."""
        address = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", "/readyz", headers={"Host": self.host_header})
            answer = connection.getresponse()
            return None if answer.status == http.HTTPStatus.OK else _obstacle(answer)
        except (OSError, http.client.HTTPException):
            return "the web server does not answer yet"
        finally:
            connection.close()

    def stop(self, hurry: Event) -> None:
        """Let the requests under way end, then stop; at once when `hurry` is set."""
        if self.process is not None:
            stop_child(self.process, grace_seconds=STOP_MAX_SECONDS, hurry=hurry)


def _obstacle(answer: http.client.HTTPResponse) -> str:
    try:
        checks = json.loads(answer.read())["checks"]
        return ", ".join(f"{name} {state}" for name, state in checks.items() if state != "ok")
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"/readyz answers {answer.status}"


def _bind_workers(port: int) -> None:
    """Have every process that granian forks die with the one that forked it, and watch its port."""
    parents: list[int] = []

    def begin() -> None:
        die_with_parent(signal.SIGKILL, parents[-1])
        watch(port)

    os.register_at_fork(before=lambda: parents.append(os.getpid()), after_in_child=begin)


if __name__ == "__main__":
    from granian.cli import entrypoint

    _bind_workers(int(sys.argv[sys.argv.index("--port") + 1]))
    entrypoint()  # type: ignore[no-untyped-call]
