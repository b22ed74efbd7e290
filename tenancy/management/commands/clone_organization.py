"""Clone an organization."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy import lifecycle
from tenancy.management.progress import run_with_progress
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_organization_argument,
    find_organization,
    represent_operation,
    represent_organization,
)
from tenancy.models import Organization
from tenancy.names import KINDS


class Command(ReportingCommand):
    """Make a copy of an organization, for staging: documents and indexes, no people."""

    help = "Clone an organization under a new name: documents and indexes, no members."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization, the name of the clone, and where it shall live."""
        add_organization_argument(parser)
        parser.add_argument("new_name", help="The name of the clone.")
        parser.add_argument("--kind", choices=KINDS, help="Default: as the organization itself.")
        parser.add_argument("--plan", metavar="CODE", help="Default: the organization's own.")
        parser.add_argument("--region", default="", help="Default: the organization's own.")

    def act(self, *, organization: str, new_name: str, **options: Any) -> Report:
        """Clone it; the clone is active when this returns."""
        row = find_organization(organization)
        run = lifecycle.begin_clone(
            row.pk, new_name, by=self.actor, kind=options["kind"], plan=options["plan"],
            region=options["region"],
        )  # fmt: skip
        operation = run_with_progress(run)
        clone = Organization.objects.select_related("placement").get(pk=run.organization_id)
        data = represent_organization(clone) | {"operation": represent_operation(operation)}
        text = (
            f"Cloned “{row.name}” as “{clone.name}” (slug {clone.slug}): "
            f"{operation.progress_done:,} documents. It has no members: add some in the admin."
        )
        return Report(data, text)
