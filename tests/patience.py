"""Races on SQLite, on a busy machine: who waits for the file is not served in turn.

In service a request that waited for five seconds is refused; a race is about who wins, however long
it takes.
"""

from django.db import connections

LOCK_SECONDS = 100.0


def wait_long_for_locks() -> None:
    """Have connections of threads that are still to come wait for the catalog for so long."""
    catalog = connections.settings["default"]
    if catalog["ENGINE"] == "django.db.backends.sqlite3":
        catalog["OPTIONS"]["timeout"] = LOCK_SECONDS
