"""Bring the catalog's tables to what the code expects, one process of a home at a time."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

LOCK_POLL_SECONDS = 0.05


def migrate_catalog(home: Path, cancelled: Event, say: Callable[[str], None]) -> None:
    """Run the migrations that are missing, unless `cancelled` is set while another runs them."""
    if not count_missing():
        return
    with _locked(home / "migrate.lock", cancelled) as is_ours:
        missing = count_missing() if is_ours else 0
        if missing:
            say(f"Preparing the catalog: {missing} migrations.")
            call_command("migrate", interactive=False, verbosity=0)


def count_missing() -> int:
    """Return how many migrations the catalog has not seen."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@contextmanager
def _locked(path: Path, cancelled: Event) -> Iterator[bool]:
    """Hold a file's lock in the block; yield False if `cancelled` was set before it was free."""
    with path.open("a") as file:
        while not cancelled.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                cancelled.wait(LOCK_POLL_SECONDS)
                continue
            yield True
            return
        yield False
