"""List the organizations."""

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Q

from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_limit_argument,
    represent_organization,
    table,
    written,
)
from tenancy.models import Organization, OrganizationStatus

HEADERS = ("NAME", "SLUG", "STATUS", "KIND", "NAMESPACE", "CREATED (UTC)")


class Command(ReportingCommand):
    """Print the organizations that match, the newest first."""

    help = "List organizations: the newest first, without the purged ones unless asked for."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to look for, and how many."""
        parser.add_argument("--status", choices=OrganizationStatus.values)
        parser.add_argument("--search", metavar="TEXT", help="Part of the name or the slug.")
        add_limit_argument(parser)

    def act(self, *, status: str | None, search: str | None, limit: int, **options: Any) -> Report:
        """Return at most `limit` organizations and how many there are."""
        found = Organization.objects.filter(status=status) if status else (
            Organization.objects.existing()
        )  # fmt: skip
        if search:
            found = found.filter(Q(name__icontains=search) | Q(slug__icontains=search))
        total = found.count()
        rows = list(found.select_related("placement")[:limit])
        data = [represent_organization(row) for row in rows]
        if not rows:
            return Report({"organizations": [], "total": 0}, _nothing(status or search))
        text = table(HEADERS, [_cells(row) for row in data])
        if total > len(rows):
            text += (
                f"\n{len(rows)} of {total} organizations. More with --limit, fewer with --search."
            )
        return Report({"organizations": data, "total": total}, text)


def _nothing(condition: str | None) -> str:
    if condition:
        return "No organization matches."
    return "There are no organizations yet. Create one: manage.py create_organization NAME"


def _cells(row: dict[str, Any]) -> list[str]:
    names = ("name", "slug", "status", "kind", "namespace")
    return [*(row[name] or "-" for name in names), written(row["created_at"])]
