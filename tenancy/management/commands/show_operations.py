"""Show the journal, or the steps that operations have."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy.checks import fail_points
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_limit_argument,
    find_organization,
    represent_operation,
    table,
    written,
)
from tenancy.models import Operation

HEADERS = ("ID", "ORGANIZATION", "KIND", "STEP", "STATUS", "DUE (UTC)", "ENDED (UTC)", "ERROR")


class Command(ReportingCommand):
    """Print operations, the newest first, or the steps of every kind."""

    help = "Show operations, the newest first; with --steps, every step of every kind."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which operations to show."""
        parser.add_argument(
            "--steps", action="store_true",
            help="List every kind with its steps, as TENANTRY_FAILPOINT takes them.",
        )  # fmt: skip
        parser.add_argument("--open", action="store_true", help="Only those that have not ended.")
        parser.add_argument("--organization", metavar="SLUG", help="Its slug or id.")
        add_limit_argument(parser)

    def act(self, *, steps: bool, **options: Any) -> Report:
        """Return the steps, or at most `limit` operations and how many there are."""
        return _steps() if steps else _operations(**options)


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
    return [*(row[name] or "-" for name in names), written(due), written(row["ended_at"]),
            row["error"] or "-"]  # fmt: skip
