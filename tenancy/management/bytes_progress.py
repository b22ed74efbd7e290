"""A bar on standard error while bytes or documents go by; nothing where that is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[[int], None]


@contextmanager
def shown_progress(what: str, total: int | None, *, in_bytes: bool) -> Iterator[Advance]:
    """Give a function that is told how many more went by."""
    if not sys.stderr.isatty():
        yield lambda number: None
        return
    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (
        TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda number: progress.advance(task, number)
