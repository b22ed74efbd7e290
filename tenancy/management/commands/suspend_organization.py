"""Suspend an organization."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy import lifecycle
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_organization_argument,
    find_organization,
    represent_organization,
)


class Command(ReportingCommand):
    """Stop serving an organization; its data is kept."""

    help = "Suspend an organization: its people get an answer that says so; its data is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization and a reason."""
        add_organization_argument(parser)
        parser.add_argument("--reason", default="", help="Why; kept in the audit.")

    def act(self, *, organization: str, reason: str, **options: Any) -> Report:
        """Suspend it, unless it is suspended already."""
        row = find_organization(organization)
        changed = lifecycle.suspend_organization(row.pk, by=self.actor, reason=reason)
        row.refresh_from_db()
        state = "is suspended" if changed else "was suspended already"
        return Report(represent_organization(row) | {"changed": changed}, f"“{row.name}” {state}.")
