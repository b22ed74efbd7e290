"""What is wrong in a survey: one function for each side of the comparison.

What a live runner is at, or what only waits for its time, is not wrong. Of an organization whose
own cluster was not reached nothing is judged.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from django.utils import timezone

from tenancy.doctor import statuses
from tenancy.doctor.catalog_facts import OrganizationFacts
from tenancy.doctor.contents import Room
from tenancy.doctor.findings import Finding
from tenancy.doctor.index_findings import undeclared_indexes, wrong_indexes
from tenancy.doctor.survey import Survey
from tenancy.doctor.trace_findings import misplaced
from tenancy.exceptions import ClusterUnavailable
from tenancy.lifecycle.capacity import WARNING_SHARE, capacity_of, describe_capacity
from tenancy.models import Cluster
from tenancy.names import MAIN, SHARED_COLLECTION, physical_collection

# See `is_interrupted_declaration`.
DECLARATION_RECENT = timedelta(hours=1)


def diagnose(survey: Survey) -> list[Finding]:
    """Return everything wrong, and warnings; first what, once mended, may explain the rest."""
    return [finding for check in CHECKS for finding in check(survey)]


def _unreachable(survey: Survey) -> Iterator[Finding]:
    used = {facts.cluster for facts in survey.organizations.values()} | {Cluster.DEFAULT}
    for site in survey.sites.values():
        if site.problem:
            code = "cluster_unreachable" if site.alias in used else "idle_cluster_unreachable"
            yield _of_cluster(code, site.alias, site.problem)


def _full_clusters(survey: Survey) -> Iterator[Finding]:
    for row in Cluster.objects.filter(alias__in=list(survey.contents)):
        with suppress(ClusterUnavailable):
            capacity = capacity_of(row)
            if capacity.share >= WARNING_SHARE:
                what = f"It is nearly full: {describe_capacity(capacity)}."
                yield _of_cluster("cluster_nearly_full", row.alias, what)


def _of_cluster(code: str, alias: str, what: str) -> Finding:
    return Finding(code, None, what, f"cluster {alias}", repairable=False, cluster=alias)


def _missing_collections(survey: Survey) -> Iterator[Finding]:
    missing_shared = dict[str, Finding]()
    for facts in survey.organizations.values():
        is_kept = facts.is_lasting or facts.id in survey.purging
        room = survey.room_of(facts)
        if room is None or not is_kept or facts.id in survey.busy:
            continue
        if not survey.is_looked_at(room):
            continue
        if room.kind != "shared":
            yield from _missing_of(survey, facts, room)
        elif room.scope not in missing_shared and not _has_shared(survey, room.scope):
            what = (
                "The shared collection is not there: the data of every organization in it may "
                "have been removed outside of Tenantry. Restore it from a backup."
            )
            missing_shared[room.scope] = Finding(
                "missing_collection", None, what, SHARED_COLLECTION, repairable=False,
                cluster=str(facts.cluster),
            )  # fmt: skip
    yield from missing_shared.values()


def _has_shared(survey: Survey, scope: str) -> bool:
    found = survey.contents.items()
    return any(each.has_shared for alias, each in found if survey.sites[alias].scope == scope)


def _missing_of(survey: Survey, facts: OrganizationFacts, room: Room) -> Iterator[Finding]:
    declared = survey.declared.get(facts.id, {})
    missing = [logical for logical in declared if (room, logical) not in survey.real]
    if room.kind == "database" and len(missing) == len(declared) > 0:
        what = (
            "Its database is not in MongoDB: its data may have been removed outside of Tenantry. "
            "Restore it from a backup."
        )
        where = f"database {room.namespace}"
        yield _missing(facts, "missing_database", None, what, where, repairable=False)
        return
    for logical in missing:
        yield _missing_collection(survey, facts, logical, declared[logical])


def is_interrupted_declaration(logical: str, declared_at: datetime) -> bool:
    """Return whether a collection that is missing may be one that was never made.

    A collection is declared in the catalog first and made in MongoDB at once after that; who is
    killed in between leaves it declared, and nothing records that it never was. So it is taken for
    that within an hour of its declaration, when little can have been lost. Later, it is taken for
    lost. `main` is made before an organization is active: it is never taken for that.
    """
    return logical != MAIN and timezone.now() - declared_at < DECLARATION_RECENT


def _missing_collection(
    survey: Survey, facts: OrganizationFacts, logical: str, declared_at: datetime
) -> Finding:
    repairable = facts.is_lasting and is_interrupted_declaration(logical, declared_at)
    namespace, is_own = str(facts.namespace), facts.kind == "database"
    physical = logical if is_own else physical_collection(namespace, logical)
    database = namespace if is_own else survey.sites[str(facts.cluster)].database
    if repairable:
        what = "It was declared a short while ago and is not in MongoDB: it was not finished."
    else:
        what = (
            "It is declared and not in MongoDB: its data may have been removed outside of "
            "Tenantry. Restore it from a backup; or accept the loss by making it anew: "
            f'db.getSiblingDB("{database}").createCollection("{physical}")'
        )
    where = f"database {namespace}: {logical}" if is_own else physical
    return _missing(facts, "missing_collection", logical, what, where, repairable=repairable)


def _missing(
    facts: OrganizationFacts, code: str, logical: str | None, what: str, where: str,
    *, repairable: bool,
) -> Finding:  # fmt: skip
    return Finding(
        code, facts.label, what, where, repairable=repairable, organization_id=facts.id,
        cluster=str(facts.cluster), kind=facts.kind, namespace=facts.namespace, collection=logical,
    )  # fmt: skip


CHECKS: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    _unreachable,
    statuses.stuck_operations,
    statuses.statuses,
    statuses.wrong_places,
    misplaced,
    _missing_collections,
    wrong_indexes,
    undeclared_indexes,
    _full_clusters,
)
