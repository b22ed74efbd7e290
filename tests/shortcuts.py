"""What costs every test time and is the same for all: done once in a test process."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

from django.core.management.color import no_style
from django.core.management.sql import sql_flush
from django.db import connection
from django.test import TransactionTestCase
from whitenoise.middleware import WhiteNoiseMiddleware

# What Django writes after migrations and no test changes.
KEPT = ('"auth_permission"', '"django_content_type"')


@contextmanager
def shortcuts() -> Iterator[None]:
    """Look for static files once; empty the catalog by its deletes alone, on one connection."""
    files: dict[str, Any] = {}
    look = WhiteNoiseMiddleware.add_files_from_finders

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        if not files:
            look(middleware)
            files.update(middleware.files)
        middleware.files.update(files)

    with (
        mock.patch.object(WhiteNoiseMiddleware, "add_files_from_finders", look_once),
        mock.patch.object(TransactionTestCase, "_fixture_teardown", empty_catalog),
        mock.patch.object(TransactionTestCase, "_should_reload_connections", is_unsound),
    ):
        yield


def empty_catalog(_: TransactionTestCase) -> None:
    """Do what `flush` does, but look the tables up once, and keep Django's own rows."""
    connection.ops.execute_sql_flush(_deletes())


@cache
def _deletes() -> list[str]:
    """Return what empties the catalog: the same for as long as the test process lives."""
    every = sql_flush(no_style(), connection, reset_sequences=False, allow_cascade=False)
    return [each for each in every if not any(f"FROM {name}" in each for name in KEPT)]


def is_unsound(_: TransactionTestCase) -> bool:
    """Whether the next test needs another connection: SQLite's holds no state but transactions."""
    return not connection.is_usable() or connection.in_atomic_block or connection.needs_rollback
