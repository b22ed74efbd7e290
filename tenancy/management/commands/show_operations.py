"""Show the journal, or the steps that operations have."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from tenancy.checks import fail_points
from tenancy.exceptions import OperationNotFound
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_limit_argument,
    find_organization,
    represent_operation,
    table,
    told_progress,
    written,
)
from tenancy.models import Operation
from tenancy.operations import get_operation

HEADERS = (
    "ID", "ORGANIZATION", "KIND", "STEP", "STATUS", "PROGRESS", "DUE (UTC)", "ENDED (UTC)", "ERROR",
)  # fmt: skip


class Command(ReportingCommand):
    """Print operations, the newest first, one in detail, or the steps of every kind."""

    help = "Show operations, the newest first, or one by its id; with --steps, every kind's steps."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which operations to show."""
        parser.add_argument("operation", nargs="?", help="The id of one, to show it in detail.")
        parser.add_argument(
            "--steps", action="store_true",
            help="List every kind with its steps, as TENANTRY_FAILPOINT takes them.",
        )  # fmt: skip
        parser.add_argument("--open", action="store_true", help="Only those that have not ended.")
        parser.add_argument("--organization", metavar="SLUG", help="Its slug or id.")
        add_limit_argument(parser)

    def act(self, *, steps: bool, operation: str | None = None, **options: Any) -> Report:
        """Return the steps, one operation, or at most `limit` operations and how many there are."""
        if operation is not None:
            return _one(operation)
        return _steps() if steps else _operations(**options)


def _one(text: str) -> Report:
    try:
        row = get_operation(UUID(text))
    except (ValueError, OperationNotFound):
        raise OperationNotFound(f"There is no operation “{text}”.") from None
    data = represent_operation(row) | {
        "params": row.params, "proof": row.state.get("proof"), "blocking": row.blocking,
        "lease_owner": row.lease_owner or None, "lease_until": row.lease_until,
    }  # fmt: skip
    return Report(data, "\n".join(f"{name:<18}{_told(name, data[name])}" for name in data))


def _told(name: str, value: Any) -> str:
    if name == "progress":
        return told_progress(value)
    if isinstance(value, datetime):
        return f"{written(value)} UTC"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in {None, ""} else str(value)


def _steps() -> Report:
    points = fail_points()
    names = [point.split(".") for point in points]
    data = [
        {"kind": kind, "step": step, "fail_point": point}
        for (kind, step), point in zip(names, points, strict=True)
    ]
    return Report({"steps": data}, "\n".join(points))


def _operations(*, open: bool, organization: str | None, limit: int, **_: Any) -> Report:  # noqa: A002 -- the option's name
    found = Operation.objects.select_related("organization")
    if open:
        found = found.open()
    if organization:
        found = found.filter(organization=find_organization(organization))
    total = found.count()
    data = [represent_operation(row) for row in found[:limit]]
    text = table(HEADERS, [_cells(row) for row in data]) if data else "There are no operations."
    if total > len(data):
        text += f"\n{len(data)} of {total} operations. More with --limit."
    return Report({"operations": data, "total": total}, text)


def _cells(row: dict[str, Any]) -> list[str]:
    names = ("id", "organization", "kind", "step", "status")
    due = None if row["ended_at"] else row["not_before"]
    return [
        *(row[name] or "-" for name in names),
        told_progress(row["progress"]),
        written(due),
        written(row["ended_at"]),
        row["error"] or "-",
    ]
