"""Measure what organizations use."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from tenancy.exceptions import TenancyError
from tenancy.management.reporting import Report, ReportingCommand, counted, find_organization, table
from tenancy.measurement import measure_usage
from tenancy.models import Organization, OrganizationStatus
from tenancy.mongo.measuring import Measure

HEADERS = ("ORGANIZATION", "DOCUMENTS", "BYTES")


class Command(ReportingCommand):
    """Set right what was counted along with writes."""

    help = "Measure documents and bytes of one organization, or of all that are active."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the organization."""
        parser.add_argument("organization", nargs="?", help="Its slug or id; without: all.")

    def act(self, *, organization: str | None, **options: Any) -> Report:
        """Measure, one organization after the other; one that fails does not stop the others."""
        if organization is not None:
            row = find_organization(organization)
            wanted = [(row.pk, str(row.slug))]
        else:
            active = Organization.objects.filter(status=OrganizationStatus.ACTIVE)
            wanted = [(row.pk, str(row.slug)) for row in active.order_by("slug").only("slug")]
        results = [(slug, _measure(pk)) for pk, slug in wanted]
        if organization is not None and isinstance(results[0][1], TenancyError):
            raise results[0][1]
        return _report(results)


def _measure(organization_id: UUID) -> Measure | TenancyError:
    try:
        return measure_usage(organization_id)
    except TenancyError as error:
        return error


def _report(results: list[tuple[str, Measure | TenancyError]]) -> Report:
    measured = [(slug, found) for slug, found in results if isinstance(found, Measure)]
    rows = [
        {"organization": slug, "documents": found.documents, "bytes": found.bytes}
        for slug, found in measured
    ]
    failed = [
        {"organization": slug, "error": found.detail}
        for slug, found in results
        if isinstance(found, TenancyError)
    ]
    cells = [(slug, found.documents, found.bytes) for slug, found in measured]
    text = table(HEADERS, cells) if cells else "Nothing was measured."
    lines = [text, *(f"{row['organization']}: {row['error']}" for row in failed)]
    failure = f"{counted(len(failed), 'organization')} could not be measured." if failed else ""
    return Report({"usage": rows, "failed": failed}, "\n".join(lines), failure)
