"""Rename an organization."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy import lifecycle
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_organization_argument,
    find_organization,
    represent_organization,
    when_due,
)
from tenancy.models import OPEN


class Command(ReportingCommand):
    """Give an organization another name, and with it another slug."""

    help = "Rename an organization while it is being used."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization and its new name."""
        add_organization_argument(parser)
        parser.add_argument("new_name", help="The name that people will read.")

    def act(self, *, organization: str, new_name: str, **options: Any) -> Report:
        """Rename it; the rename is finished when this returns."""
        before = find_organization(organization)
        row = lifecycle.rename_organization(before.pk, new_name, by=self.actor)
        text = (
            f"Renamed “{before.name}” to “{row.name}”: slug {row.slug}, "
            f"namespace {row.placement.namespace}."
        )
        cleaning = row.operations.filter(status__in=OPEN).first()
        if cleaning is not None:
            text += f"\nThe old name is released {when_due(cleaning)}."
        return Report(represent_organization(row), text)
