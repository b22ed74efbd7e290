"""What an answer need not wait for, and must not take longer for: done by one thread, soon.

Tasks are done in order, by a thread of each process, a moment after they came that nobody can
foresee: a task that runs while its own request is still being answered would make the answer later,
and the time would tell what there was to do. They are few and short: when too many wait, the next
ones are dropped, and when the process ends the rest has `EXIT_SECONDS`. Whatever must not be lost
is an operation, not a task.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from multiprocessing.util import Finalize
from secrets import SystemRandom

from django.db import connections, transaction

from tenancy.context import current_origin, origin_context

logger = logging.getLogger("tenantry.background")

TASKS_MAX = 1_000
EXIT_SECONDS = 5.0
DELAY_SECONDS = (0.1, 0.5)
Task = Callable[[], None]


class Worker:
    """A thread and the tasks that wait for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._waiting: deque[Task] = deque()
        self._is_busy = False
        self._is_dropping = False
        self._thread: threading.Thread | None = None

    def add(self, task: Task) -> None:
        """Have a task done. Never waits; one too many is dropped, and the log says so."""
        with self._changed:
            is_full = len(self._waiting) >= TASKS_MAX
            if not is_full:
                self._waiting.append(task)
                self._changed.notify_all()
            if self._thread is None:
                self._start()
            is_first, self._is_dropping = is_full and not self._is_dropping, is_full
        if is_first:
            logger.error("More than %s tasks are waiting: new ones are dropped.", TASKS_MAX)

    def flush(self, seconds: float) -> bool:
        """Wait until everything is done, and no longer than that; return whether it is."""
        self._hurry.set()
        try:
            with self._changed:
                return self._changed.wait_for(self._is_idle, seconds)
        finally:
            self._hurry.clear()

    def _is_idle(self) -> bool:
        return not self._waiting and not self._is_busy

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()
        # Also where `atexit` is not run: in a worker process that multiprocessing forked.
        Finalize(None, self._finish, exitpriority=1)

    def _finish(self) -> None:
        if not self.flush(EXIT_SECONDS):
            logger.error("%s tasks were not done before the end.", len(self._waiting))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
            self._hurry.wait(SystemRandom().uniform(*DELAY_SECONDS))
            with self._changed:
                tasks, self._is_busy = list(self._waiting), True
                self._waiting.clear()
            for task in tasks:
                run(task)
            connections.close_all()
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()


def run(task: Task) -> None:
    """Do a task; one that fails disturbs nobody, and what it said stays out of the log."""
    try:
        task()
    except Exception as error:  # noqa: BLE001 -- its text may hold an address
        logger.error("A task failed: %s", type(error).__name__)  # noqa: TRY400


_worker = Worker()


def _start_anew() -> None:
    """Leave to the parent process what waits there."""
    global _worker  # noqa: PLW0603 -- one for a process
    _worker = Worker()


os.register_at_fork(after_in_child=_start_anew)


def do_later(task: Task) -> None:
    """Have a task done soon, as part of the same request; if a transaction commits, after that."""
    bound = partial(_do_as, task, current_origin())
    transaction.on_commit(lambda: _worker.add(bound))


def _do_as(task: Task, origin: object) -> None:
    with origin_context(origin):  # type: ignore[arg-type]
        task()


def flush(seconds: float = EXIT_SECONDS) -> bool:
    """Wait until this process has done its tasks; return whether it has."""
    return _worker.flush(seconds)
