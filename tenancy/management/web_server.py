"""granian as a child of `serve`: start it, ask it whether it is ready, stop it."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event

from tenancy.processes import kill_group, start_child, stop_child

APPLICATION = "config.wsgi:application"
# Beyond what requests may take to end: granian kills its workers then, and ends.
STOP_EXTRA_SECONDS = 5.0
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
    """One granian with its workers: `size` is processes, threads and places in line of each.

    It goes on for `drain_seconds` when asked to stop, and requests have `stop_seconds` to end.
    """

    host: str
    port: int
    size: tuple[int, int, int]
    drain_seconds: float
    stop_seconds: float
    environment: Mapping[str, str]
    host_header: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL by which this machine reaches it."""
        return local_url(self.host, self.port)

    def start(self) -> None:
        """Start it and return at once. Call from the main thread."""
        command = [sys.executable, "-m", "tenancy.management.web_processes", APPLICATION]
        command.append(self.host)
        numbers = (self.port, *self.size, self.drain_seconds, self.stop_seconds)
        command += [str(number) for number in numbers]
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
            grace = self.drain_seconds + self.stop_seconds + STOP_EXTRA_SECONDS
            stop_child(self.process, grace_seconds=grace, hurry=hurry)


def _obstacle(answer: http.client.HTTPResponse) -> str:
    try:
        checks = json.loads(answer.read())["checks"]
        return ", ".join(f"{name} {state}" for name, state in checks.items() if state != "ok")
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"/readyz answers {answer.status}"
