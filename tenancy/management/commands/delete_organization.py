"""Delete an organization."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy import lifecycle
from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_organization_argument,
    find_organization,
    represent_operation,
    represent_organization,
    when_due,
    written,
)
from tenancy.models import Operation, OperationStatus, Organization


class Command(ReportingCommand):
    """Delete an organization; without --purge it can be restored for a while."""

    help = "Delete an organization. It can be restored for TENANCY_DELETE_GRACE, unless purged."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization, its slug once more, and whether to purge at once."""
        add_organization_argument(parser)
        parser.add_argument("--confirm", required=True, metavar="SLUG", help="The slug again.")
        parser.add_argument("--purge", action="store_true", help="Remove the data for ever, now.")

    def act(self, *, organization: str, confirm: str, purge: bool, **options: Any) -> Report:
        """Delete it, if `confirm` is its slug."""
        row = find_organization(organization)
        if confirm != row.slug:
            message = f"Nothing was deleted: --confirm has to be the slug “{row.slug}”."
            raise ValidationFailed(message, errors=[FieldError("/confirm", "mismatch", message)])
        name, slug = row.name, row.slug
        operation = lifecycle.delete_organization(row.pk, by=self.actor, purge=purge)
        row.refresh_from_db()
        data = represent_organization(row) | {"operation": represent_operation(operation)}
        return Report(data, f"“{name}” is deleted. " + _outlook(slug, row, operation))


def _outlook(slug: str, row: Organization, operation: Operation) -> str:
    if operation.params["restorable"]:
        until = written(row.purge_after)
        return f"Until {until} UTC it can be restored: manage.py restore_organization {slug}"
    if operation.status == OperationStatus.SUCCEEDED:
        return "Its data is removed."
    return f"Its data is dropped; late writes are looked for {when_due(operation)}."
