"""Forget a cluster."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy.lifecycle.clusters import get_cluster, remove_cluster
from tenancy.management.reporting import Report, ReportingCommand


class Command(ReportingCommand):
    """Forget a cluster that nobody lives on."""

    help = "Forget a cluster that no organization lives on. What lies on it stays there."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the alias."""
        parser.add_argument("alias")

    def act(self, *, alias: str, **options: Any) -> Report:
        """Forget it."""
        remove_cluster(get_cluster(alias), by=self.actor)
        return Report({"alias": alias}, f"The cluster “{alias}” is forgotten.")
