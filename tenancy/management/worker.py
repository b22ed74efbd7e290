"""The background worker of `serve`: every half second it runs what is due in the journal.

Moves and the like, which may take hours, have a thread of their own: nothing waits for them.
"""

import logging
import threading
from contextlib import suppress

from django.db import close_old_connections, connection

from tenancy import catalog, journal, measurement, operations
from tenancy.clock import seconds
from tenancy.exceptions import TenancyError
from tenancy.idempotency import prune_records
from tenancy.lifecycle.signals import housekeeping
from tenancy.models import Operation
from tenancy.mongo.clients import ping

logger = logging.getLogger("tenantry.worker")

ROUND_SECONDS = 0.5
# Every so often what a few organizations use is measured; in a round of its own.
MEASURE_SECONDS = 30.0
MEASURE_ORGANIZATIONS = 3
HOUSEKEEPING_SECONDS = 300.0


class Worker:
    """Threads that go on with operations until they are told to stop."""

    def __init__(self) -> None:
        self.first: list[Operation] = []
        self.first_done = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._long_thread = threading.Thread(target=self._run_long, name="mover", daemon=True)
        self._reported: set[type[Exception]] = set()
        self._measured_at = self._tidied_at = seconds()

    def start(self) -> None:
        """Begin. `first_done` is set when what was due at the start has been run: `first`.

        What takes long goes on beside it.
        """
        self._thread.start()
        self._long_thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Let the operation that is running end, but wait no longer than the time-out.

        One that is cut off is resumed at the next start.
        """
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        self.first = self._round()
        self.first_done.set()
        while not self._stopping.wait(ROUND_SECONDS):
            self._round()
            if seconds() - self._measured_at > MEASURE_SECONDS:
                measure_some()
                self._measured_at = seconds()
            if seconds() - self._tidied_at > HOUSEKEEPING_SECONDS:
                keep_house()
                self._tidied_at = seconds()
        connection.close()

    def _run_long(self) -> None:
        while not self._stopping.wait(ROUND_SECONDS):
            self._round(long=True)
        connection.close()

    def _round(self, *, long: bool = False) -> list[Operation]:
        """Run what is due. Whatever goes wrong, it is logged once and tried again next time."""
        try:
            close_old_connections()
            ran = run_due(long=long)
        except Exception as error:
            if type(error) not in self._reported:
                logger.exception("Operations wait: the journal cannot be worked on.")
            self._reported.add(type(error))
            return []
        self._reported.clear()
        return ran


def measure_some() -> None:
    """Measure some of the organizations that were not measured for the longest time."""
    try:
        for organization_id in measurement.least_recently_measured(MEASURE_ORGANIZATIONS):
            with suppress(TenancyError):  # suspended meanwhile, or too large for the time
                measurement.measure_usage(
                    organization_id, timeout_seconds=measurement.WORKER_SECONDS
                )
    except Exception:
        logger.exception("What organizations use cannot be measured.")


def keep_house() -> None:
    """Remove what has lapsed, here and in every other part; one that fails stops no other."""
    try:
        prune_records()
    except Exception:
        logger.exception("Records of answered requests cannot be removed.")
    for receiver, outcome in housekeeping.send_robust(None):
        if isinstance(outcome, Exception):
            name = getattr(receiver, "__qualname__", receiver)
            logger.error("Housekeeping failed: %s", name, exc_info=outcome)


def run_due(*, long: bool) -> list[Operation]:
    """Run what is due, of kinds that take long or of the others, and return it.

    Raises ClusterUnavailable before an attempt is wasted.
    """
    if not journal.due_operations(long=long):
        return []
    ping(catalog.default_uri())
    return operations.resume_operations(long=long)
