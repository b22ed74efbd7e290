"""Examine a cluster."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy.lifecycle.clusters import get_cluster
from tenancy.lifecycle.inspection import inspect_clusters
from tenancy.management.clusters import describe, failure_of, load_clusters
from tenancy.management.reporting import Report, ReportingCommand


class Command(ReportingCommand):
    """Say what a cluster is, and what is wrong with it."""

    help = "Examine a cluster. Exit 1 when something is wrong with it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the alias."""
        parser.add_argument("alias")

    def act(self, *, alias: str, **options: Any) -> Report:
        """Examine it."""
        load_clusters()
        (report,) = inspect_clusters([get_cluster(alias)])
        return Report(report.represent(), describe(report), failure_of([report]))
