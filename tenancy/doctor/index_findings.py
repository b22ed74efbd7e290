"""Indexes: those that the catalog declares, compared with those that MongoDB has.

Only of collections of an organization's own, where it lives now.
"""

from collections.abc import Iterator

from tenancy.doctor.catalog_facts import OrganizationFacts
from tenancy.doctor.contents import Trace
from tenancy.doctor.findings import Finding
from tenancy.doctor.survey import Survey
from tenancy.models import OrganizationStatus
from tenancy.mongo.indexes import IndexSpec


def wrong_indexes(survey: Survey) -> Iterator[Finding]:
    """Yield declared indexes that MongoDB does not have, or not as they are declared."""
    for trace, owner, wanted, there in _compared(survey):
        for name, spec in sorted(wanted.items()):
            if name not in there:
                what = "It is declared and not in MongoDB: its build was interrupted."
                can = owner.status == OrganizationStatus.ACTIVE
                yield _of(trace, owner, "missing_index", what, name, repairable=can)
            elif there[name] != spec:
                what = "It is not as the catalog declares it. Drop it, or remove the declaration."
                yield _of(trace, owner, "wrong_index", what, name, repairable=False)


def undeclared_indexes(survey: Survey) -> Iterator[Finding]:
    """Yield indexes that somebody made in MongoDB: they do no harm, and moves leave them behind."""
    for trace, owner, wanted, there in _compared(survey):
        for name in sorted(there.keys() - wanted.keys()):
            what = "The catalog does not know it: a move would leave it behind."
            yield _of(trace, owner, "undeclared_index", what, name, repairable=True)


Compared = tuple[Trace, OrganizationFacts, dict[str, IndexSpec], dict[str, IndexSpec]]


def _compared(survey: Survey) -> Iterator[Compared]:
    """Yield each collection with the indexes that are declared and those that there are."""
    for trace in survey.traces:
        owner = survey.homes.get(trace.room)
        if owner is None or trace.is_view or not owner.is_lasting or owner.id in survey.busy:
            continue
        logical = str(trace.logical)
        if trace.room.kind == "shared" or logical not in survey.declared.get(owner.id, {}):
            continue
        wanted = survey.indexes.get((owner.id, logical), [])
        there = survey.built.get((trace.room, logical), [])
        if wanted or there:
            yield trace, owner, _by_name(wanted), _by_name(there)


def _by_name(specs: list[IndexSpec]) -> dict[str, IndexSpec]:
    return {spec.name: spec for spec in specs}


def _of(
    trace: Trace, owner: OrganizationFacts, code: str, what: str, name: str, *, repairable: bool
) -> Finding:
    return Finding(
        code, owner.label, what, f"index {name} of {trace.where}", repairable=repairable,
        organization_id=owner.id, cluster=trace.address.cluster, kind=trace.room.kind,
        namespace=trace.room.namespace, collection=trace.logical, subject=name,
    )  # fmt: skip
