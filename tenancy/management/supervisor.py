"""`serve`: start what the service consists of, watch it, stop all of it."""

import math
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError, connections

from tenancy import catalog
from tenancy.management.catalog_migration import migrate_catalog
from tenancy.management.service_size import size_of_service
from tenancy.management.web_server import PortUnusable, WebServer, check_port
from tenancy.management.worker import Worker
from tenancy.models import OperationStatus
from tenancy.mongo.clients import close_clients
from tenancy.mongo.embedded import EmbeddedServer, EmbeddedServerError

WATCH_SECONDS = 0.2
READY_POLL_SECONDS = 0.03
# A service that is not ready by then says what it waits for, and goes on waiting.
READY_PATIENCE_SECONDS = 10.0
WORKER_STOP_SECONDS = 10.0
# Who stops a whole group of processes sends one wish more than once: `make` passes it on, too.
ONE_WISH_SECONDS = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
DEFAULT_PORT = 8000


class Supervisor:
    """The parent of mongod and granian, and the home of the background worker.

    `say` prints a line, `check` runs Django's system checks and raises CommandError.
    """

    def __init__(self, *, say: Callable[[str], None], check: Callable[[], None]) -> None:
        self._say = say
        self._check = check
        self._stopping = Event()
        self._hurry = Event()
        self._asked_at = 0.0
        self._probing = False
        self._worker = Worker()
        self._mongod: EmbeddedServer | None = None
        self._web = WebServer(
            host=settings.TENANTRY_HOST,
            port=settings.PORT,
            size=(
                settings.TENANTRY_PROCESSES,
                settings.TENANTRY_THREADS,
                settings.TENANTRY_QUEUE,
            ),
            drain_seconds=settings.TENANTRY_DRAIN_SECONDS,
            stop_seconds=settings.TENANTRY_STOP_SECONDS,
            environment=_environment(),
            host_header=_host_header(),
        )

    def run(self) -> None:
        """Serve until a signal says to stop. Raises CommandError when something ended by itself.

        Call from the main thread: it takes over the signals.
        """
        with self._signals_taken():
            try:
                self._start()
                self._wait_until_ready()
                self._watch()
            except InterruptedError:
                pass  # by a signal: it says to stop
            except (EmbeddedServerError, PortUnusable) as error:
                raise CommandError(f"{error} {getattr(error, 'hint', '')}".strip()) from error
            finally:
                self._stop()

    def _start(self) -> None:
        check_port(self._web.host, self._web.port)
        _make_home(settings.TENANTRY_HOME)
        if not settings.MONGODB_URI:
            self._mongod = EmbeddedServer(catalog.embedded_uri_file().parent)
            self._mongod.launch()
        self._check()  # while mongod starts
        self._migrate()
        if self._mongod is not None and not self._mongod.wait_until_primary(self._stopping):
            return
        self._resume()
        if not self._stopping.is_set():
            self._web.start()

    def _migrate(self) -> None:
        try:
            migrate_catalog(settings.TENANTRY_HOME, self._stopping, self._say)
        except DatabaseError as error:
            raise CommandError(
                f"The catalog cannot be used: {str(error).strip()}. Check DATABASE_URL, or the "
                f"file catalog.sqlite3 in {settings.TENANTRY_HOME} when that is not set."
            ) from error
        finally:
            connections.close_all()

    def _resume(self) -> None:
        """Start the worker, and wait until it has been through what was interrupted."""
        self._worker.start()
        while not self._worker.first_done.wait(WATCH_SECONDS):
            if self._stopping.is_set():
                return
        ran = self._worker.first
        if ran:
            failed = sum(row.status == OperationStatus.FAILED for row in ran)
            self._say(
                f"Went on with {len(ran)} interrupted operation{'s' * (len(ran) > 1)}"
                + (f"; {failed} failed: see show_operations." if failed else ".")
            )

    def _wait_until_ready(self) -> None:
        patience_ends = time.monotonic() + READY_PATIENCE_SECONDS
        while not self._stopping.is_set() and (obstacle := self._probe()):
            self._check_children()
            self._stopping.wait(READY_POLL_SECONDS)
            if time.monotonic() > patience_ends:
                self._say(f"Not ready yet: {obstacle}. Still trying.")
                patience_ends = math.inf
        if not self._stopping.is_set():
            self._say(self._where_everything_is())

    def _probe(self) -> str | None:
        self._probing = True
        try:
            return self._web.find_obstacle()
        finally:
            self._probing = False

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            self._check_children()

    def _check_children(self) -> None:
        """Raise CommandError if a child has ended."""
        reason = self._mongod.why_ended() if self._mongod is not None else None
        if self._mongod is not None and reason is not None:
            raise CommandError(
                f"The embedded MongoDB has ended: {reason}. Its log is {self._mongod.log}. "
                f"Everything was stopped; start again."
            )
        if self._web.has_ended():
            raise CommandError("The web server has ended. Everything was stopped; start again.")

    def _stop(self) -> None:
        """Stop in the order in which the parts need each other."""
        if self._stopping.is_set():
            self._say("Stopping; Ctrl-C again hurries.")
        self._web.stop(self._hurry)
        # An operation needs its database to the end.
        self._worker.stop(0.0 if self._hurry.is_set() else WORKER_STOP_SECONDS)
        close_clients()
        if self._mongod is not None:
            self._mongod.stop(self._hurry)

    @contextmanager
    def _signals_taken(self) -> Iterator[None]:
        taken = list(STOP_SIGNALS)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup wants it ignored
            taken.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if not self._stopping.is_set():
            self._asked_at = now
            self._stopping.set()
        elif number in STOP_SIGNALS and now - self._asked_at >= ONE_WISH_SECONDS:
            self._hurry.set()  # SIGHUP is what a terminal sends that goes away
        if self._probing:
            raise InterruptedError  # a probe may take seconds; nothing is lost by leaving it

    def _where_everything_is(self) -> str:
        embedded = self._mongod is not None
        uri = catalog.default_uri()
        port = "" if self._web.port == DEFAULT_PORT else f"PORT={self._web.port} "
        return (
            f"Tenantry {settings.VERSION} is ready.\n"
            f"  API      {self._web.url}/api/v1\n"
            f"  Docs     {self._web.url}/api/docs\n"
            f"  Admin    {self._web.url}/admin/\n"
            f"  Data     {settings.TENANTRY_HOME}\n"
            f"  MongoDB  {uri if embedded else without_secrets(uri)}\n"
            f"{size_of_service()}\n"
            f"Something to try: `{port}make demo` in another terminal. Ctrl-C stops everything."
        )


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"The folder {home} cannot be made: {error.strerror}. Set TENANTRY_HOME to one that "
            f"this user may write to."
        ) from error


def without_secrets(uri: str) -> str:
    """Return a MongoDB URI without its user, password and options."""
    return re.sub(r"//[^/]*@", "//", uri.partition("?")[0])


def _environment() -> dict[str, str]:
    """Return the environment of the web server: it finds this code and this home."""
    root = str(settings.BASE_DIR)
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
        "TENANTRY_HOME": str(settings.TENANTRY_HOME),
        # The C library gives each of many threads memory of its own, and keeps what they free. One
        # of them runs at a time.
        "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2"),
    }


def _host_header() -> str:
    """Return a host that this service answers to."""
    if not settings.ALLOWED_HOSTS:
        return "127.0.0.1"
    first = settings.ALLOWED_HOSTS[0].removeprefix(".")
    return "127.0.0.1" if first == "*" else first
