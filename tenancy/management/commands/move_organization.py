"""Move an organization to another placement."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy import lifecycle
from tenancy.lifecycle import MovePlan
from tenancy.management.progress import run_with_progress
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_organization_argument,
    counted,
    find_organization,
    represent_operation,
)
from tenancy.models import Operation
from tenancy.names import KINDS


class Command(ReportingCommand):
    """Copy an organization's data elsewhere while it is used, prove it equal, and switch."""

    help = "Move an organization to another kind of placement or cluster while it is being used."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization, where it shall live, and whether only to plan."""
        add_organization_argument(parser)
        parser.add_argument("--to", required=True, choices=KINDS, help="The kind of placement.")
        parser.add_argument("--cluster", metavar="ALIAS", help="The cluster; see list_clusters.")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--dry-run", action="store_true", help="Say what would be done, and do nothing."
        )
        how.add_argument(
            "--background", action="store_true", help="Let a running service do it; do not wait."
        )

    def act(self, **options: Any) -> Report:
        """Plan, or move; the move is finished when this returns, unless in the background."""
        row = find_organization(options["organization"])
        kind, cluster = options["to"], options["cluster"]
        plan = lifecycle.plan_move(row.pk, kind, cluster=cluster)
        if options["dry_run"]:
            return Report(plan.as_dict(), f"{told_plan(plan)}\nNothing was changed.")
        leased = not options["background"]
        run = lifecycle.begin_move(
            row.pk, kind, cluster=plan.target.cluster, by=self.actor, leased=leased
        )
        if not leased:
            return Report(represent_operation(run.operation), told_background(run.operation))
        operation = run_with_progress(run)
        data = represent_operation(operation) | {"plan": plan.as_dict()}
        return Report(data | {"proof": operation.state.get("proof")}, told_move(plan, operation))


def told_plan(plan: MovePlan) -> str:
    """Return a plan as lines for people."""
    size = f"{plan.documents:,} documents, {plan.bytes / 1_048_576:,.1f} MiB"
    parts = f"{counted(plan.collections, 'collection')}, {plan.indexes} declared indexes"
    return "\n".join(
        [
            f"{plan.organization}: from {plan.source}",
            f"{' ' * len(plan.organization)}    to {plan.target}",
            f"{size} in {parts}.",
            f"About {plan.seconds:,.0f} s in all.",
            f"A pause of about {plan.pause_seconds:.2f} s, in which requests wait and none fails.",
            *plan.notes,
        ]
    )


def told_background(operation: Operation) -> str:
    """Return how to follow what a worker does."""
    return (
        f"Begun: operation {operation.pk}. A running service does it; see manage.py "
        f"show_operations, and to give it up manage.py cancel_operation {operation.pk}"
    )


def told_move(plan: MovePlan, operation: Operation) -> str:
    """Return what a move did, for people."""
    proof = operation.state.get("proof", {})
    return (
        f"Moved {plan.organization} to {plan.target}: {proof.get('documents', 0):,} documents, "
        f"compared and equal; paused for {proof.get('pause_ms', 0):,} ms."
    )
