"""Write an organization's documents into a directory."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from tenancy import catalog
from tenancy.exceptions import CollectionNotFound
from tenancy.management.archives import new_directory, write_archive
from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_organization_argument,
    counted,
    find_organization,
    table,
)
from tenancy.wording import nearest


class Command(ReportingCommand):
    """Export collections as NDJSON, with a manifest."""

    help = (
        "Write an organization's documents into a new directory: NDJSON for each collection, and "
        "manifest.json with counts, digests, indexes and schemas."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization, where to write, and which collections."""
        add_organization_argument(parser)
        parser.add_argument("--output", type=Path, required=True, metavar="DIR")
        parser.add_argument(
            "--collection", action="append", metavar="NAME", help="Repeat it; by default all."
        )
        parser.add_argument("--gzip", action="store_true", help="Pack the files.")
        parser.add_argument("--force", action="store_true", help="Replace an earlier export.")

    def act(self, *, organization: str, output: Path, **options: Any) -> Report:
        """Write it; the directory is there when everything is in it."""
        row = find_organization(organization)
        known = catalog.declared_collections(row.pk)
        wanted = list(dict.fromkeys(options["collection"] or known))
        for name in wanted:
            if name not in known:
                raise CollectionNotFound(f"There is no collection “{name}”.{nearest(name, known)}")
        with new_directory(output, force=options["force"]) as directory:
            manifest = write_archive(row, wanted, directory, packed=options["gzip"], by=self.actor)
        parts = manifest["collections"]
        rows = [[part["name"], f"{part['count']:,}", part["sha256"]] for part in parts]
        whole = f"{counted(len(parts), 'collection')} of “{row.name}”, in {output}."
        return Report(manifest, f"{table(['COLLECTION', 'DOCUMENTS', 'SHA-256'], rows)}\n{whole}")
