"""Cancel an operation."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from tenancy import operations
from tenancy.exceptions import OperationNotFound
from tenancy.management.reporting import Report, ReportingCommand, represent_operation


class Command(ReportingCommand):
    """Ask for a move or a clone to be given up, before it has taken effect."""

    help = "Cancel a move or a clone that has not taken effect; everything is put back."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the operation's id."""
        parser.add_argument("operation", help="The operation's id; see show_operations.")

    def act(self, *, operation: str, **options: Any) -> Report:
        """Ask for it; whoever runs the operation puts everything back."""
        try:
            operation_id = UUID(operation)
        except ValueError:
            raise OperationNotFound(f"“{operation}” is not the id of an operation.") from None
        row = operations.request_cancel(operation_id)
        text = (
            f"The {row.kind} is being cancelled: whoever runs it puts everything back. If nobody "
            "does: manage.py resume_operations"
        )
        return Report(represent_operation(row), text)
