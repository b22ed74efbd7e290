"""What the doctor has to say, short enough for a page."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from tenancy.doctor.examination import check_tenants
from tenancy.doctor.findings import FindingGroup, group_findings

EXAMPLES = 5
GROUPS_MAX = 50


@dataclass(frozen=True)
class Summary:
    """How many things are wrong, and what, in at most 50 groups of at most five examples."""

    at: datetime
    organizations: int
    collections: int
    clusters: int
    wrong: int
    groups: list[FindingGroup]
    warnings: list[FindingGroup]


def summarize_tenants(*, by: str) -> Summary:
    """Examine everything, and repair nothing. Takes seconds where there are 10,000 tenants."""
    found = check_tenants(by=by)
    return Summary(
        at=timezone.now(),
        organizations=found.organizations,
        collections=found.collections,
        clusters=found.clusters,
        wrong=len(found.wrong),
        groups=group_findings(found.findings, EXAMPLES)[:GROUPS_MAX],
        warnings=group_findings(found.warnings, EXAMPLES)[:GROUPS_MAX],
    )
