"""What is wrong in a survey: one function for each side of the comparison.

What a live runner is at, or what only waits for its time, is not wrong.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from tenancy.doctor.findings import Finding
from tenancy.doctor.indexes import missing_indexes
from tenancy.doctor.survey import OrganizationFacts, Survey, namespace_of, tenants_address
from tenancy.journal import KINDS
from tenancy.leases import is_dead
from tenancy.models import OPEN, Operation, OrganizationStatus
from tenancy.mongo import provisioning
from tenancy.mongo.fences import STRAY_SUFFIX
from tenancy.mongo.provisioning import PhysicalCollection
from tenancy.names import COLLECTION_NAME, MAIN, logical_collection, physical_collection

OVERDUE = timedelta(seconds=60)
# See `is_interrupted_declaration`.
DECLARATION_RECENT = timedelta(hours=1)


def diagnose(survey: Survey) -> list[Finding]:
    """Return everything wrong; first what, once mended, may explain the rest."""
    return [finding for check in CHECKS for finding in check(survey)]


def _stuck_operations(survey: Survey) -> Iterator[Finding]:
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
        )


def is_stuck(operation: Operation) -> bool:
    """Return whether an open operation's runner died, or nobody runs it long after it was due."""
    now = timezone.now()
    if operation.lease_until is not None and is_dead(operation.lease_owner):
        return True
    is_free = operation.lease_until is None or operation.lease_until <= now
    return is_free and operation.not_before < now - OVERDUE


def _statuses(survey: Survey) -> Iterator[Finding]:
    for facts in survey.organizations.values():
        if facts.id in survey.busy:
            continue
        if facts.status == OrganizationStatus.PROVISIONING:
            yield _stuck_provisioning(survey, facts)
        elif facts.status == OrganizationStatus.DELETING and facts.id not in survey.purging:
            yield _failed_purge(survey, facts)
        elif facts.is_lasting and facts.pause_from is not None:
            what = "A pause is announced, and no operation will end it: requests wait in vain."
            yield _of(facts, "stale_pause", what, f"organization {facts.label}", repairable=True)


def _stuck_provisioning(survey: Survey, facts: OrganizationFacts) -> Finding:
    names = [name for name in survey.real_names if namespace_of(name) == facts.namespace]
    is_free = facts.namespace is not None and not any(map(holds_documents, names))
    what = "It was never finished, and no operation will do so." + (
        "" if is_free else " Documents lie where its own would go: look whose they are."
    )
    where = f"organization {facts.label}"
    return _of(facts, "stuck_provisioning", what, where, repairable=is_free)


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
    )


def is_past(purge_after: datetime | None) -> bool:
    """Return whether the time in which an organization can be restored is over."""
    return purge_after is not None and purge_after <= timezone.now()


def _missing_collections(survey: Survey) -> Iterator[Finding]:
    for facts in survey.organizations.values():
        is_kept = facts.is_lasting or facts.id in survey.purging
        if facts.namespace is None or not is_kept or facts.id in survey.busy:
            continue
        for logical, declared_at in survey.declared.get(facts.id, {}).items():
            physical = physical_collection(facts.namespace, logical)
            if physical not in survey.real_names:
                yield _missing(facts, logical, physical, declared_at)


def is_interrupted_declaration(logical: str, declared_at: datetime) -> bool:
    """Return whether a collection that is missing may be one that was never made.

    A collection is declared in the catalog first and made in MongoDB at once after that; who is
    killed in between leaves it declared, and nothing records that it never was. So it is taken for
    that within an hour of its declaration, when little can have been lost. Later, it is taken for
    lost. `main` is made before an organization is active: it is never taken for that.
    """
    return logical != MAIN and timezone.now() - declared_at < DECLARATION_RECENT


def _missing(
    facts: OrganizationFacts, logical: str, physical: str, declared_at: datetime
) -> Finding:
    repairable = facts.is_lasting and is_interrupted_declaration(logical, declared_at)
    if repairable:
        what = "It was declared a short while ago and is not in MongoDB: it was not finished."
    else:
        what = (
            "It is declared and not in MongoDB: its data may have been removed outside of "
            "Tenantry. Restore it from a backup; or accept the loss by making it anew: "
            f'db.getSiblingDB("{tenants_address().database}").createCollection("{physical}")'
        )
    return _of(facts, "missing_collection", what, physical, repairable=repairable)


def _physical_collections(survey: Survey) -> Iterator[Finding]:
    for found in survey.physical:
        namespace = namespace_of(found.name)
        owner = survey.homes.get(namespace) or survey.former.get(namespace)
        if namespace in survey.guarded or (owner is not None and owner.id in survey.busy):
            continue
        if owner is None or owner.status == OrganizationStatus.PURGED:
            yield _unowned(found, owner)
        elif owner.is_lasting:  # a purge drops whatever an organization has or had
            yield from _owned(survey, found, owner)


def _unowned(found: PhysicalCollection, owner: OrganizationFacts | None) -> Finding:
    if found.is_view:
        return _fence(found, owner)
    is_empty = not holds_documents(found.name)
    whose = "It belongs to no organization" if owner is None else "Its organization is purged"
    return Finding(
        "orphan_collection" if owner is None else "data_of_purged",
        owner.label if owner else None,
        f"{whose}, and it is empty." if is_empty else f"{whose}, and it holds documents.",
        found.name,
        repairable=is_empty,
        organization_id=owner.id if owner else None,
    )


def _owned(
    survey: Survey, found: PhysicalCollection, owner: OrganizationFacts
) -> Iterator[Finding]:
    namespace = namespace_of(found.name)
    if found.is_view:
        yield _fence(found, owner)
    elif found.name.endswith(STRAY_SUFFIX):
        what = "Late writes were set aside here, and nobody carried them home."
        repairable = _logical_name(found.name.removesuffix(STRAY_SUFFIX)) is not None
        yield _of(owner, "leftover_aside", what, found.name, repairable=repairable)
    elif namespace != owner.namespace:
        what = "It lies where the organization's data was before: late writes re-created it."
        repairable = _logical_name(found.name) is not None
        yield _of(owner, "stray_collection", what, found.name, repairable=repairable)
    elif logical_collection(namespace, found.name) not in survey.declared.get(owner.id, {}):
        yield _undeclared(found, owner)


def _undeclared(found: PhysicalCollection, owner: OrganizationFacts) -> Finding:
    is_name = _logical_name(found.name) is not None
    what = "It lies among the organization's collections, and the catalog does not know it."
    if not is_name:
        what += " No collection of an organization can have this name."
    repairable = is_name and owner.status == OrganizationStatus.ACTIVE
    return _of(owner, "undeclared_collection", what, found.name, repairable=repairable)


def _fence(found: PhysicalCollection, owner: OrganizationFacts | None) -> Finding:
    made_here = is_fence(found)
    what = (
        "The view that guarded an old name is still there, and no rename will remove it."
        if made_here
        else "It is a view, and not one that Tenantry makes."
    )
    return Finding(
        "leftover_fence",
        owner.label if owner else None,
        what,
        found.name,
        repairable=made_here,
        organization_id=owner.id if owner else None,
    )


def is_fence(found: PhysicalCollection) -> bool:
    """Return whether a view has the shape of a fence: the same logical name, another namespace."""
    source = found.view_on or ""
    here, there = namespace_of(found.name), namespace_of(source)
    return here != there and logical_collection(here, found.name) == logical_collection(
        there, source
    )


def holds_documents(physical: str) -> bool:
    """Return whether there is any document under a physical name."""
    address = tenants_address().at(namespace_of(physical))
    return provisioning.has_documents(address, str(logical_collection(address.namespace, physical)))


def _logical_name(physical: str) -> str | None:
    logical = logical_collection(namespace_of(physical), physical)
    return logical if logical and COLLECTION_NAME.fullmatch(logical) else None


def _of(facts: OrganizationFacts, code: str, what: str, where: str, *, repairable: bool) -> Finding:
    return Finding(code, facts.label, what, where, repairable=repairable, organization_id=facts.id)


CHECKS: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    _stuck_operations,
    _statuses,
    _physical_collections,
    _missing_collections,
    missing_indexes,
)
