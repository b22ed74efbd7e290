"""Restore a deleted organization."""

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
    """Bring a deleted organization back as it was."""

    help = "Bring a deleted organization back as it was, as long as it is not purged."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization."""
        add_organization_argument(parser)

    def act(self, *, organization: str, **options: Any) -> Report:
        """Restore it."""
        found = find_organization(organization)
        row = lifecycle.restore_organization(found.pk, by=self.actor)
        return Report(represent_organization(row), f"“{row.name}” is back and {row.status}.")
