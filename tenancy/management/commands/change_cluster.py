"""Change what a cluster is for, or how it is reached."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy.lifecycle.clusters import ClusterTraits, change_cluster, get_cluster, traits_of
from tenancy.management.clusters import (
    add_trait_arguments,
    add_uri_arguments,
    find_uri,
    traits_given,
)
from tenancy.management.reporting import Report, ReportingCommand


class Command(ReportingCommand):
    """Change a cluster; what is not given stays."""

    help = "Change a cluster: what it is for, or its URI. What is not given stays."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the alias and what is to change."""
        parser.add_argument("alias")
        add_uri_arguments(parser)
        add_trait_arguments(parser)
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--open", action="store_true", help="Let organizations be placed there.")
        group.add_argument("--closed", action="store_true", help="Place nobody new there.")
        parser.add_argument(
            "--dedicated-to-nobody", action="store_true", help="It is nobody's own any more."
        )

    def act(self, *, alias: str, uri_file: str | None, force: bool, **options: Any) -> Report:
        """Change it, and return what changed."""
        row = get_cluster(alias)
        given = traits_given(options)
        if options["open"] or options["closed"]:
            given["accepts_new"] = options["open"]
        if options["dedicated_to_nobody"]:
            given["dedicated_to"] = None
        traits = ClusterTraits(**(traits_of(row) | given))
        changed = change_cluster(row, traits, find_uri(uri_file), by=self.actor, force=force)
        names = ["uri" if name == "uri_encrypted" else name for name in changed]
        text = f"Changed: {', '.join(names)}." if names else "Nothing changed."
        return Report({"alias": alias, "changed": names}, text)
