"""List the organizations."""

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Q

from tenancy.lifecycle import get_plan
from tenancy.lifecycle.clusters import get_cluster
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_limit_argument,
    represent_organization,
    table,
    written,
)
from tenancy.models import Organization, OrganizationQuerySet, OrganizationStatus
from tenancy.names import KINDS

HEADERS = ("NAME", "SLUG", "STATUS", "KIND", "CLUSTER", "NAMESPACE", "PLAN", "CREATED (UTC)")

# An option, and the field that it is about.
FILTERS = {
    "status": "status",
    "kind": "placement__kind",
    "cluster": "placement__cluster__alias",
    "plan": "plan__code",
}


class Command(ReportingCommand):
    """Print the organizations that match, the newest first."""

    help = "List organizations: the newest first, without the purged ones unless asked for."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to look for, and how many."""
        parser.add_argument("--status", choices=OrganizationStatus.values)
        parser.add_argument("--kind", choices=KINDS, help="The kind of placement.")
        parser.add_argument("--cluster", metavar="ALIAS", help="Where they live.")
        parser.add_argument("--plan", metavar="CODE")
        parser.add_argument("--search", metavar="TEXT", help="Part of the name or the slug.")
        add_limit_argument(parser)

    def act(self, *, limit: int, **options: Any) -> Report:
        """Return at most `limit` organizations and how many there are."""
        asked = {name: options[name] for name in (*FILTERS, "search") if options[name]}
        found = _matching(**asked)
        total = found.count()
        rows = list(found.select_related("plan", "placement__cluster")[:limit])
        data = [represent_organization(row) for row in rows]
        if not rows:
            return Report({"organizations": [], "total": 0}, _nothing(asked))
        text = table(HEADERS, [_cells(row) for row in data])
        if total > len(rows):
            text += (
                f"\n{len(rows)} of {total} organizations. More with --limit, fewer with --search."
            )
        return Report({"organizations": data, "total": total}, text)


def _matching(search: str = "", **asked: str) -> OrganizationQuerySet:
    """Return the organizations that are asked for. Raises NotFound for what does not exist."""
    if "cluster" in asked:
        get_cluster(asked["cluster"])
    if "plan" in asked:
        get_plan(asked["plan"])
    rows = Organization.objects.all() if "status" in asked else Organization.objects.existing()
    found = rows.filter(**{FILTERS[name]: value for name, value in asked.items()})
    if search:
        found = found.filter(Q(name__icontains=search) | Q(slug__icontains=search))
    return found


def _nothing(asked: dict[str, str]) -> str:
    if asked:
        return "No organization matches."
    return "There are no organizations yet. Create one: manage.py create_organization NAME"


def _cells(row: dict[str, Any]) -> list[str]:
    names = ("name", "slug", "status", "kind", "cluster", "namespace", "plan")
    return [*(row[name] or "-" for name in names), written(row["created_at"])]
