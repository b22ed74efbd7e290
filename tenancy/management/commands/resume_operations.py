"""Run what is due in the journal."""

import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser
from django.db.models import Min
from django.utils import timezone

import tenancy.lifecycle  # noqa: F401 -- registers the kinds
from tenancy import journal, operations
from tenancy.exceptions import OperationRunning
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    represent_operation,
    table,
    written,
)
from tenancy.models import Operation, OperationStatus

HEADERS = ("ID", "ORGANIZATION", "KIND", "STEP", "STATUS", "DUE (UTC)", "ERROR")
RETRY_MAX_OPERATIONS = 1_000
WAIT_POLL_SECONDS = 0.1


class Command(ReportingCommand):
    """Run every operation that is due and has no live runner."""

    help = "Finish or undo what an interrupted process left, and run whatever else is due."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to retry failed operations, and how long to wait for what is due later."""
        parser.add_argument(
            "--failed", action="store_true",
            help="First make failed operations due again, where nothing was undone.",
        )  # fmt: skip
        parser.add_argument(
            "--wait", type=float, default=0.0, metavar="SECONDS",
            help="Go on until nothing is due within this time.",
        )  # fmt: skip

    def act(self, *, failed: bool, wait: float, **options: Any) -> Report:
        """Run what is due; say what ran and how it ended."""
        if failed:
            _retry_failed()
        ran = _run_until(timezone.now() + timedelta(seconds=wait))
        rows = [represent_operation(row) for row in ran.values()]
        data = {"operations": rows, "open": Operation.objects.open().count()}
        return Report(data, _text(rows), _failure(ran))


def _retry_failed() -> None:
    """Make failed operations due again, unless their kind was undone: those are over."""
    kinds = [kind.name for kind in journal.KINDS.values() if kind.undo is None]
    failed = Operation.objects.filter(status=OperationStatus.FAILED, kind__in=kinds)
    for operation_id in failed.values_list("pk", flat=True)[:RETRY_MAX_OPERATIONS]:
        try:
            journal.retry_operation(operation_id)
        except OperationRunning:
            continue  # another operation blocks the organization; this one stays failed


def _run_until(deadline: datetime) -> dict[UUID, Operation]:
    """Run what is due now, and until the deadline what becomes due before it."""
    ran: dict[UUID, Operation] = {}
    while True:
        ran |= {row.pk: row for row in operations.resume_operations()}
        due = Operation.objects.open().filter(not_before__lte=deadline)
        earliest = due.aggregate(at=Min("not_before"))["at"]
        now = timezone.now()
        if earliest is None or now >= deadline:
            return ran
        pause = max((earliest - now).total_seconds(), WAIT_POLL_SECONDS)
        time.sleep(min(pause, (deadline - now).total_seconds()))


def _text(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "Nothing was due."
    names = ("id", "organization", "kind", "step", "status")
    return table(
        HEADERS,
        [
            [
                *(row[name] or "-" for name in names),
                written(None if row["ended_at"] else row["not_before"]),
                row["error"] or "-",
            ]
            for row in rows
        ],
    )


def _failure(ran: dict[UUID, Operation]) -> str:
    failed = sum(row.status == OperationStatus.FAILED for row in ran.values())
    if not failed:
        return ""
    return f"{failed} of {len(ran)} operations failed: manage.py show_operations tells more."
