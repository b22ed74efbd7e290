"""What is wrong by the catalog alone: operations, states, and places where one may not live."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from tenancy.doctor.catalog_facts import OrganizationFacts
from tenancy.doctor.findings import Finding
from tenancy.doctor.survey import Survey
from tenancy.journal import KINDS
from tenancy.leases import is_dead
from tenancy.models import OPEN, Operation, OrganizationStatus
from tenancy.mongo import inventory

OVERDUE = timedelta(seconds=60)


def stuck_operations(survey: Survey) -> Iterator[Finding]:
    """Yield open operations that nobody runs."""
    for row in survey.operations:
        if row.status not in OPEN or not is_stuck(row):
            continue
        facts = survey.organizations.get(row.organization_id) if row.organization_id else None
        yield Finding(
            "stuck_operation",
            facts.label if facts else None,
            f"The operation {row.kind} stopped after the step {row.step}, and nobody runs it.",
            f"operation {row.pk}",
            repairable=row.kind in KINDS,
            organization_id=row.organization_id,
            operation_id=row.pk,
            cluster=_cluster_of(facts),
        )


def _cluster_of(facts: OrganizationFacts | None) -> str:
    return facts.cluster if facts and facts.cluster else Finding.cluster


def is_stuck(operation: Operation) -> bool:
    """Return whether an open operation's runner died, or nobody runs it long after it was due."""
    now = timezone.now()
    if operation.lease_until is not None and is_dead(operation.lease_owner):
        return True
    is_free = operation.lease_until is None or operation.lease_until <= now
    return is_free and operation.not_before < now - OVERDUE


def statuses(survey: Survey) -> Iterator[Finding]:
    """Yield organizations in a state that should not last, and that nothing will end."""
    for facts in survey.organizations.values():
        if facts.id in survey.busy:
            continue
        if facts.status == OrganizationStatus.PROVISIONING:
            yield from _stuck_provisioning(survey, facts)
        elif facts.status == OrganizationStatus.DELETING and facts.id not in survey.purging:
            yield _failed_purge(survey, facts)
        elif facts.is_lasting and facts.pause_from is not None:
            what = "A pause is announced, and no operation will end it: requests wait in vain."
            yield of_organization(facts, "stale_pause", what, repairable=True)


def _stuck_provisioning(survey: Survey, facts: OrganizationFacts) -> Iterator[Finding]:
    room = survey.room_of(facts)
    if room is None or not survey.is_looked_at(room):
        return
    found = [each for each in survey.traces if each.room == room and not each.is_view]
    is_free = not any(
        each.room.kind == "shared" or inventory.has_documents(each.address, each.physical)
        for each in found
    )
    what = "It was never finished, and no operation will do so." + (
        "" if is_free else " Documents lie where its own would go: look whose they are."
    )
    yield of_organization(facts, "stuck_provisioning", what, repairable=is_free)


def _failed_purge(survey: Survey, facts: OrganizationFacts) -> Finding:
    failed = survey.failed_purges.get(facts.id)
    return Finding(
        "failed_purge",
        facts.label,
        "It is deleted, and no operation will purge it.",
        f"organization {facts.label}",
        repairable=failed is not None and is_past(facts.purge_after),
        organization_id=facts.id,
        operation_id=failed,
        cluster=_cluster_of(facts),
    )


def is_past(purge_after: datetime | None) -> bool:
    """Return whether the time in which an organization can be restored is over."""
    return purge_after is not None and purge_after <= timezone.now()


def wrong_places(survey: Survey) -> Iterator[Finding]:
    """Yield organizations outside of their region, and beside one that a cluster is kept for."""
    for facts in survey.organizations.values():
        site = survey.sites.get(facts.cluster or "")
        if site is None or not facts.is_lasting or facts.id in survey.busy:
            continue
        if facts.region and facts.region != site.region:
            what = (
                f"It is bound to region “{facts.region}” and lives in "
                f"{f'region “{site.region}”' if site.region else 'no region'}. Move it: "
                "manage.py move_organization."
            )
            yield of_organization(facts, "wrong_region", what)
        own = survey.organizations.get(site.dedicated_to) if site.dedicated_to else None
        if own is not None and own.id != facts.id:
            what = f"The cluster is kept for “{own.label}” alone. Move one of them away."
            yield of_organization(facts, "wrong_dedication", what)
        elif facts.placed_as == "cluster" and own is None:
            what = "It should have a cluster to itself, and this one is not kept for it."
            yield of_organization(facts, "wrong_dedication", what)


def of_organization(
    facts: OrganizationFacts, code: str, what: str, *, repairable: bool = False
) -> Finding:
    """Return a finding about an organization as a whole."""
    return Finding(
        code, facts.label, what, f"organization {facts.label}", repairable=repairable,
        organization_id=facts.id, cluster=_cluster_of(facts),
    )  # fmt: skip
