"""Show what purges have removed."""

from typing import Any

from django.core.management.base import CommandParser

from tenancy.management.reporting import (
    Report,
    ReportingCommand,
    add_limit_argument,
    table,
    written,
)
from tenancy.models import ErasureRecord

HEADERS = (
    "AT (UTC)",
    "ORGANIZATION",
    "COLLECTIONS",
    "DOCUMENTS",
    "BYTES",
    "MEMBERS",
    "PLACES",
    "BY",
)


class Command(ReportingCommand):
    """Print the erasure records, the newest first."""

    help = (
        "Show the erasure records: what was removed when an organization was purged, and by whom."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how many to show."""
        add_limit_argument(parser)

    def act(self, *, limit: int, **options: Any) -> Report:
        """Return at most `limit` records, and how many there are."""
        total = ErasureRecord.objects.count()
        rows = list(ErasureRecord.objects.all()[:limit])
        data = [_represent(row) for row in rows]
        text = table(HEADERS, map(_cells, rows)) if rows else "Nothing was purged yet."
        if total > len(rows):
            text += f"\n{len(rows)} of {total} records. More with --limit."
        return Report({"erasures": data, "total": total}, text)


def _represent(row: ErasureRecord) -> dict[str, Any]:
    return {
        "organization": str(row.organization_id),
        "at": row.at,
        "by": row.by,
        "collections": row.collections,
        "documents": row.documents,
        "bytes": row.bytes,
        "members": row.members,
        "audit_addresses": row.audit_addresses,
        "places": row.places,
    }


def _cells(row: ErasureRecord) -> list[object]:
    places = (f"{each['kind']} {each['cluster']}/{each['namespace']}" for each in row.places)
    figures = [row.collections, row.documents, row.bytes, row.members]
    return [written(row.at), row.organization_id, *figures, ", ".join(places) or "-", row.by]
