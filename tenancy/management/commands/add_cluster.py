"""Add a cluster."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy.lifecycle.clusters import ClusterTraits, add_cluster
from tenancy.lifecycle.inspection import inspect_clusters
from tenancy.management.clusters import (
    URI_VARIABLE,
    add_trait_arguments,
    add_uri_arguments,
    describe,
    get_uri,
    traits_given,
)
from tenancy.management.reporting import Report, ReportingCommand


class Command(ReportingCommand):
    """Examine a MongoDB deployment and make it a cluster of this service."""

    help = (
        f"Add a cluster. Its URI is in {URI_VARIABLE} or a file, never on the command line, which "
        "others can see; it is kept encrypted and not shown again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the alias, where the URI is, and what the cluster is for."""
        parser.add_argument("alias", help="What it is called: a-z, 0-9, _ and -.")
        add_uri_arguments(parser)
        add_trait_arguments(parser)
        parser.add_argument(
            "--closed", action="store_true",
            help="Place nobody there, but an organization that gets a cluster of its own.",
        )  # fmt: skip

    def act(self, *, alias: str, uri_file: str | None, force: bool, **options: Any) -> Report:
        """Add it, and return what it is."""
        traits = ClusterTraits(**traits_given(options), accepts_new=not options["closed"])
        row = add_cluster(alias, get_uri(uri_file), traits, by=self.actor, force=force)
        (report,) = inspect_clusters([row])
        return Report(report.represent(), f"Added.\n{describe(report)}")
