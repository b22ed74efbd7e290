"""Remove what is known of sessions that ended long ago."""

import argparse
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from accounts.pruning import KEEP_SESSIONS, prune_sessions
from tenancy.management.reporting import Report, ReportingCommand

DAYS_MAX = 3_650


class Command(ReportingCommand):
    """Prune sessions; the running service does so by itself every few minutes."""

    help = "Remove sessions that ended long ago, their refresh tokens with them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how long ended sessions are kept."""
        parser.add_argument(
            "--days", type=_days, default=KEEP_SESSIONS.days, metavar="N",
            help=f"Keep sessions that ended within N days (default {KEEP_SESSIONS.days}).",
        )  # fmt: skip

    def act(self, *, days: int, **options: Any) -> Report:
        """Prune, and say how much that was."""
        pruned = prune_sessions(keep=timedelta(days=days))
        return Report({"sessions": pruned}, f"{pruned:,} ended sessions removed.")


def _days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = -1
    if not 0 <= days <= DAYS_MAX:
        raise argparse.ArgumentTypeError(f"a whole number from 0 to {DAYS_MAX:,} is needed")
    return days
