"""Resume a suspended organization."""

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
    """Serve a suspended organization again."""

    help = "Serve a suspended organization again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization."""
        add_organization_argument(parser)

    def act(self, *, organization: str, **options: Any) -> Report:
        """Resume it, unless it is active already."""
        row = find_organization(organization)
        changed = lifecycle.resume_organization(row.pk, by=self.actor)
        row.refresh_from_db()
        state = "is served again" if changed else "was active already"
        return Report(represent_organization(row) | {"changed": changed}, f"“{row.name}” {state}.")
