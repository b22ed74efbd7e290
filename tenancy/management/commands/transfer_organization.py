"""Transfer an organization to another plan."""

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
)
from tenancy.models import Organization


class Command(ReportingCommand):
    """Give an organization another plan; move it if the plan wants another place."""

    help = "Transfer an organization to another plan, and move it where that plan places it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization, the plan, and whether it may move."""
        add_organization_argument(parser)
        parser.add_argument("--plan", required=True, metavar="CODE", help="The new plan.")
        parser.add_argument("--no-move", action="store_true", help="Leave the data where it is.")

    def act(self, *, organization: str, plan: str, no_move: bool, **options: Any) -> Report:
        """Transfer it; a move is finished when this returns."""
        row = find_organization(organization)
        done = lifecycle.transfer_organization(
            row.pk, lifecycle.get_plan(plan), by=self.actor, move=not no_move, leased=True
        )
        text = f"{row.slug}: plan {done.before} -> {done.after}."
        region = Organization.objects.get(pk=row.pk).region
        if region != row.region:
            text += f" It is bound to region “{region}” from now on."
        if done.move is None:
            return Report({"before": done.before, "after": done.after, "move": None}, text)
        operation = run_with_progress(done.move)
        data = {"before": done.before, "after": done.after, "move": represent_operation(operation)}
        target = done.move.params["target"]
        return Report(data, f"{text} Moved to {target['kind']} on cluster “{target['cluster']}”.")
