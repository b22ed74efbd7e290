"""When a key was last used and a session last seen: noted in memory, written now and then.

A process writes what it has noted every `FLUSH_SECONDS`, so a row at most once in that time. It is
a note for people and nothing depends on it: what a process that is killed had not written is lost.
"""

import logging
import os
import threading
from datetime import datetime
from multiprocessing.util import Finalize
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from accounts.models import ApiKey, Session

logger = logging.getLogger("tenantry.last_used")

FLUSH_SECONDS = 30.0
# More than that in one period are not noted: the next one has them.
NOTES_MAX = 20_000
BATCH_MAX_ROWS = 200

_FIELDS: dict[type[Model], str] = {ApiKey: "last_used_at", Session: "last_seen_at"}
_Notes = dict[tuple[type[Model], UUID], datetime]


class Notebook:
    """What one process has noted and not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: _Notes = {}
        self._thread: threading.Thread | None = None

    def note(self, model: type[Model], row_id: UUID) -> None:
        """Remember that a row was used now; it is written about `FLUSH_SECONDS` later."""
        now = timezone.now()
        with self._lock:
            if (model, row_id) in self._notes or len(self._notes) < NOTES_MAX:
                self._notes[model, row_id] = now
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="last-used", daemon=True)
        self._thread.start()
        # Also where `atexit` is not run: in a worker process that multiprocessing forked.
        Finalize(None, self._flush_logged, exitpriority=0)

    def flush(self) -> None:
        """Write everything. What cannot be written is dropped: the next use is noted again."""
        with self._lock:
            notes, self._notes = self._notes, {}
        for model in _FIELDS:
            mine = sorted(row_id for noted, row_id in notes if noted is model)
            for start in range(0, len(mine), BATCH_MAX_ROWS):
                batch = mine[start : start + BATCH_MAX_ROWS]
                _write(model, {row_id: notes[model, row_id] for row_id in batch})

    def forget(self) -> None:
        """Note from nothing."""
        with self._lock:
            self._notes = {}

    def _run(self) -> None:
        waiting = threading.Event()
        while True:
            waiting.wait(FLUSH_SECONDS)
            self._flush_logged()
            connection.close()

    def _flush_logged(self) -> None:
        try:
            self.flush()
        except Exception:
            logger.exception("When keys and sessions were used was not written.")


def _write(model: type[Model], moments: dict[UUID, datetime]) -> None:
    """Write what is later than what the catalog has.

    Rows that somebody else has locked are left out: so this waits for nobody while others wait
    for it.
    """
    name = _FIELDS[model]
    rows = model._default_manager.select_for_update(skip_locked=True)  # noqa: SLF001
    with transaction.atomic():
        older = [
            row
            for row in rows.filter(pk__in=moments).only("pk", name)
            if _is_older(getattr(row, name), moments[row.pk])
        ]
        for row in older:
            setattr(row, name, moments[row.pk])
        model._default_manager.bulk_update(older, [name])  # noqa: SLF001


def _is_older(written: datetime | None, moment: datetime) -> bool:
    return written is None or written < moment


_notebook = Notebook()


def _start_anew() -> None:
    """Leave to the parent process what it has noted."""
    global _notebook  # noqa: PLW0603 -- one notebook for a process
    _notebook = Notebook()


os.register_at_fork(after_in_child=_start_anew)


def record_key(key_id: UUID) -> None:
    """Note that an API key was used."""
    _notebook.note(ApiKey, key_id)


def record_session(session_id: UUID) -> None:
    """Note that a session was seen."""
    _notebook.note(Session, session_id)


def flush() -> None:
    """Write what this process has noted now."""
    _notebook.flush()


def forget_uses() -> None:
    """Note from nothing, as a new process would."""
    _notebook.forget()
