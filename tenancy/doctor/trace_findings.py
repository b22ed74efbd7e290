"""What lies in MongoDB where the catalog does not put it."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from tenancy.doctor.catalog_facts import OrganizationFacts, id_at
from tenancy.doctor.contents import Room, Trace, namespace_of
from tenancy.doctor.findings import Finding
from tenancy.doctor.survey import Survey
from tenancy.models import OrganizationStatus
from tenancy.mongo import inventory
from tenancy.mongo.changes import TRACES
from tenancy.mongo.fences import STRAY_SUFFIX
from tenancy.names import COLLECTION_NAME, SHARED_COLLECTION, logical_collection

_STRAYS = {
    "shared": "stray_documents",
    "collection": "stray_collection",
    "database": "stray_database",
}
_ORPHANS = {"shared": "orphan_documents", "collection": "orphan_collection"}


def misplaced(survey: Survey) -> Iterator[Finding]:
    """Yield what belongs to nobody, and what is not where its organization lives."""
    copies, databases = dict[Room, Trace](), dict[Room, list[Trace]]()
    for trace in survey.traces:
        owner = survey.owner_of(trace.room)
        if _is_left_alone(survey, trace, owner):
            continue
        if owner is not None and _is_copy(survey, trace, owner):
            copies.setdefault(trace.room, trace)
        elif owner is not None and owner.is_lasting:
            yield from _owned(survey, trace, owner)
        elif trace.room.kind == "database":
            databases.setdefault(trace.room, []).append(trace)
        else:
            yield _unowned(trace, owner)
    for room, traces in databases.items():
        yield _unowned_database(traces, survey.owner_of(room))
    yield from map(partial(_leftover_copy, survey), copies.values())
    yield from _nobodys(survey)


def _is_copy(survey: Survey, trace: Trace, owner: OrganizationFacts) -> bool:
    """Return whether an undone move has left it, and nobody was sent there since."""
    is_target = (owner.id, trace.room) in survey.copied_to
    return is_target and owner.is_lasting and survey.room_of(owner) != trace.room


def _is_left_alone(survey: Survey, trace: Trace, owner: OrganizationFacts | None) -> bool:
    room = trace.room
    if room.kind == "collection" and room.namespace in survey.guarded:
        return True
    if owner is None:
        return id_at(room.namespace) in survey.busy
    if owner.id in survey.busy or (owner.id, trace.logical) in survey.swept:
        return True
    if owner.status == OrganizationStatus.PURGED:
        return False
    # A purge drops whatever an organization has or had; of one that is away nothing is known.
    return not owner.is_lasting or survey.room_of(owner) is None


def _unowned(trace: Trace, owner: OrganizationFacts | None) -> Finding:
    if trace.is_view:
        return _fence(trace, owner)
    is_empty = trace.room.kind != "shared" and not holds_documents(trace)
    code = _ORPHANS[trace.room.kind] if owner is None else "data_of_purged"
    return of_trace(trace, owner, code, _whose(owner, is_empty=is_empty), repairable=is_empty)


def _whose(owner: OrganizationFacts | None, *, is_empty: bool) -> str:
    whose = "It belongs to no organization" if owner is None else "Its organization is purged"
    return f"{whose}, and it is empty." if is_empty else f"{whose}, and it holds documents."


def _unowned_database(traces: list[Trace], owner: OrganizationFacts | None) -> Finding:
    """Return a finding about a database; of one that is unknown nothing proves that it is ours."""
    code, is_empty = "orphan_database", False
    what = "No organization of this catalog has it. Is it of another one that uses the cluster?"
    if owner is not None:
        code = "data_of_purged"
        is_empty = not any(trace.is_view or holds_documents(trace) for trace in traces)
        what = _whose(owner, is_empty=is_empty)
    found = of_trace(traces[0], owner, code, what, repairable=is_empty)
    return replace(found, where=f"database {traces[0].room.namespace}", collection=None)


def _leftover_copy(survey: Survey, trace: Trace) -> Finding:
    room, owner = trace.room, survey.owner_of(trace.room)
    operation = survey.copied_to[owner.id if owner else None, room]
    what = "A move was undone and could not remove what it had copied. Nobody was ever sent there."
    where = {
        "shared": f"{SHARED_COLLECTION}: {room.namespace}",
        "collection": room.namespace,
        "database": f"database {room.namespace}",
    }[room.kind]
    found = of_trace(trace, owner, "leftover_copy", what, repairable=True)
    return replace(found, where=where, operation_id=operation.pk)


def _owned(survey: Survey, trace: Trace, owner: OrganizationFacts) -> Iterator[Finding]:
    logical = trace.logical
    if trace.is_view:
        yield _fence(trace, owner)
    elif logical in TRACES:
        what = "What a copy has written to be looked out for is still there. Nobody looks any more."
        yield of_trace(trace, owner, "leftover_sentinel", what, repairable=True)
    elif trace.room.kind != "shared" and trace.physical.endswith(STRAY_SUFFIX):
        what = "Late writes were set aside here, and nobody carried them home."
        can = bool(COLLECTION_NAME.fullmatch(original_name(trace)))
        yield of_trace(trace, owner, "leftover_aside", what, repairable=can)
    elif trace.room != survey.room_of(owner):
        what = "It lies where the organization's data was before: late writes re-created it."
        code, can = _STRAYS[trace.room.kind], is_name(logical)
        yield of_trace(trace, owner, code, what, repairable=can)
    elif logical not in survey.declared.get(owner.id, {}):
        yield _undeclared(trace, owner)


def original_name(trace: Trace) -> str:
    """Return the logical collection from which a trace was set aside; '' if there is none."""
    return set_aside_from(trace.room.kind, trace.room.namespace, trace.physical)


def set_aside_from(kind: str, namespace: str, physical: str) -> str:
    """Return the logical collection whose late writes were set aside under a physical name."""
    while physical.endswith(STRAY_SUFFIX):
        physical = physical.removesuffix(STRAY_SUFFIX)
    return physical if kind == "database" else logical_collection(namespace, physical) or ""


def is_name(logical: str | None) -> bool:
    """Return whether a collection of an organization can have the name."""
    return logical is not None and bool(COLLECTION_NAME.fullmatch(logical))


def _undeclared(trace: Trace, owner: OrganizationFacts) -> Finding:
    what = "It lies among the organization's collections, and the catalog does not know it."
    if not is_name(trace.logical):
        what += " No collection of an organization can have this name."
    can = is_name(trace.logical) and owner.status == OrganizationStatus.ACTIVE
    return of_trace(trace, owner, "undeclared_collection", what, repairable=can)


def _fence(trace: Trace, owner: OrganizationFacts | None) -> Finding:
    made_here = is_fence(trace)
    what = (
        "The view that guarded an old name is still there, and no rename will remove it."
        if made_here
        else "It is a view, and not one that Tenantry makes."
    )
    return of_trace(trace, owner, "leftover_fence", what, repairable=made_here)


def is_fence(trace: Trace) -> bool:
    """Return whether a view has the shape of a fence: the same logical name, another namespace."""
    if trace.room.kind != "collection":
        return False
    source = trace.view_on or ""
    there = namespace_of(source)
    return trace.room.namespace != there and trace.logical == logical_collection(there, source)


def holds_documents(trace: Trace) -> bool:
    """Return whether there is any document in a trace that is no view."""
    if trace.room.kind == "shared":
        return True  # else there would be no trace of it
    return inventory.has_documents(trace.address, trace.physical)


def _nobodys(survey: Survey) -> Iterator[Finding]:
    for alias, found in survey.contents.items():
        if found.nobodys:
            what = "It holds documents with an _id that is none of Tenantry's."
            yield Finding(
                "orphan_documents", None, what, SHARED_COLLECTION, repairable=False, cluster=alias
            )


def of_trace(
    trace: Trace, owner: OrganizationFacts | None, code: str, what: str,
    *, repairable: bool,
) -> Finding:  # fmt: skip
    """Return a finding about what lies in MongoDB."""
    return Finding(
        code, owner.label if owner else None, what, trace.where, repairable=repairable,
        organization_id=owner.id if owner else None,
        cluster=trace.address.cluster, kind=trace.room.kind, namespace=trace.room.namespace,
        collection=trace.logical, physical=trace.physical,
    )  # fmt: skip
