"""Indexes that are declared and not in MongoDB: somebody was killed while building one."""

from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

from tenancy import lifecycle
from tenancy.doctor.findings import Finding
from tenancy.doctor.survey import OrganizationFacts, Survey
from tenancy.exceptions import TenancyError
from tenancy.models import Index, OrganizationStatus


def missing_indexes(survey: Survey) -> Iterator[Finding]:
    """Find them: one command for each collection that has declared indexes."""
    rows = Index.objects.filter(collection__organization__status=OrganizationStatus.ACTIVE)
    owners = rows.order_by().values_list("collection__organization_id", flat=True).distinct()
    for organization_id in owners:
        facts = survey.organizations.get(organization_id)
        if facts is not None and organization_id not in survey.busy:
            yield from _missing(facts)


def _missing(facts: OrganizationFacts) -> Iterator[Finding]:
    missing = {}
    with suppress(TenancyError):  # suspended meanwhile; or what is wrong is more than an index
        missing = lifecycle.find_missing_indexes(facts.id)
    for collection, specs in missing.items():
        for spec in specs:
            yield Finding(
                "missing_index",
                facts.label,
                "It is declared and not in MongoDB: its build was interrupted, or is under way.",
                f"index {spec.name} of collection {collection}",
                repairable=True,
                organization_id=facts.id,
            )


def build_missing(organization_id: UUID) -> None:
    """Build them. Raises what is against one, such as documents with the same value."""
    lifecycle.build_missing_indexes(organization_id)
