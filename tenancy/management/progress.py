"""Show how an operation gets on while this process runs it."""

import sys
import threading
from uuid import UUID

from django.db import connection
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tenancy.exceptions import OperationCancelled, OperationFailed
from tenancy.journal import KINDS
from tenancy.management.reporting import Failed
from tenancy.models import Operation
from tenancy.operations import Run, get_operation, run_inline

POLL_SECONDS = 0.1


class _Runner(threading.Thread):
    """Runs the operation; a thread, so that the terminal can be looked after meanwhile."""

    def __init__(self, run: Run) -> None:
        super().__init__(name="operation", daemon=True)
        self._run_held = run
        self.error: Exception | None = None

    def run(self) -> None:
        """Run it to its end; whoever waits raises what went wrong."""
        try:
            run_inline(self._run_held)
        except Exception as error:  # noqa: BLE001 -- raised by whoever waits
            self.error = error
        finally:
            connection.close()


def run_with_progress(run: Run) -> Operation:
    """Run an operation and show a bar with documents, rate and time left on standard error.

    Where that is no terminal, a line for each step. Raises what the operation raises, and Failed
    if the user interrupts: then it goes on elsewhere.
    """
    runner = _Runner(run)
    runner.start()
    operation_id = run.operation.pk
    try:
        show = _show_bar if sys.stderr.isatty() else _show_lines
        show(runner, operation_id)
    except KeyboardInterrupt:
        raise Failed(
            "Not waited for: a running service goes on with it, or manage.py resume_operations. "
            f"To give it up: manage.py cancel_operation {operation_id}"
        ) from None
    if isinstance(runner.error, OperationCancelled):
        raise OperationCancelled(f"{runner.error.detail} Nothing has changed.")
    if isinstance(runner.error, OperationFailed):
        raise OperationFailed(_told(operation_id) or runner.error.detail)
    if runner.error is not None:
        raise runner.error
    return get_operation(operation_id)


def _told(operation_id: UUID) -> str:
    return Operation.objects.filter(pk=operation_id).values_list("error", flat=True).first() or ""


def _step_under_way(row: Operation) -> str:
    following = KINDS[row.kind].after(row.step)
    return following[0].name if following else "done"


def _show_bar(runner: _Runner, operation_id: UUID) -> None:
    columns = (
        TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("documents"), TextColumn("{task.fields[rate]}"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=False) as progress:
        task = progress.add_task("begin", total=None, rate="")
        shown = ""
        while runner.is_alive():
            row = Operation.objects.get(pk=operation_id)
            step = _step_under_way(row)
            if step != shown:
                progress.reset(task, description=step, total=row.progress_total or None)
                shown = step
            speed = progress.tasks[0].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            total = row.progress_total or None
            progress.update(task, completed=row.progress_done, total=total, rate=rate)
            runner.join(POLL_SECONDS)
        progress.update(task, description="ended")


def _show_lines(runner: _Runner, operation_id: UUID) -> None:
    shown = ""
    while runner.is_alive():
        row = Operation.objects.get(pk=operation_id)
        step = _step_under_way(row)
        if step != shown:
            print(f"{row.kind}: {step}", file=sys.stderr, flush=True)  # noqa: T201 -- a progress bar
            shown = step
        runner.join(POLL_SECONDS)
