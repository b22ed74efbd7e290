"""What costs every test time and is the same for all: done once in a test process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.core.management.commands import flush
from whitenoise.middleware import WhiteNoiseMiddleware

# What Django writes after migrations and no test changes.
KEPT = ('"auth_permission"', '"django_content_type"')


@contextmanager
def shortcuts() -> Iterator[None]:
    """Look for static files once, and keep Django's own rows when the catalog is emptied."""
    files: dict[str, Any] = {}
    look, statements = WhiteNoiseMiddleware.add_files_from_finders, flush.sql_flush

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        if not files:
            look(middleware)
            files.update(middleware.files)
        middleware.files.update(files)

    def flush_the_rest(*arguments: Any, **options: Any) -> list[str]:
        every = statements(*arguments, **options)
        return [each for each in every if not any(f"FROM {name}" in each for name in KEPT)]

    with (
        mock.patch.object(WhiteNoiseMiddleware, "add_files_from_finders", look_once),
        mock.patch.object(flush, "sql_flush", flush_the_rest),
        mock.patch.object(flush, "emit_post_migrate_signal"),
    ):
        yield
