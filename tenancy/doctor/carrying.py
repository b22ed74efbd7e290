"""Carry strays home, and remove copies that nobody was ever sent to.

Both are done in small parts. For each one the organization's row is held, with nothing under way,
and everything that matters is looked at again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from tenancy import catalog
from tenancy.doctor.catalog_facts import id_at
from tenancy.doctor.findings import Finding, room_kind
from tenancy.doctor.holds import at_rest
from tenancy.doctor.sites import address_at
from tenancy.doctor.trace_findings import set_aside_from
from tenancy.exceptions import Conflict, OrganizationNotFound
from tenancy.lifecycle.move_plans import leftover_copies
from tenancy.lifecycle.slugs import namespaces_of
from tenancy.models import Operation, Organization
from tenancy.mongo import inventory, provisioning
from tenancy.mongo.changes import TRACES
from tenancy.mongo.raw_collections import RawCollection
from tenancy.mongo.raw_documents import id_of
from tenancy.mongo.strays import END, FIRST, StrayCollection, holds_only_marks, remove_if_empty
from tenancy.names import COLLECTION_NAME, PlacementAddress
from tenancy.operations import fail_point, get_operation

# Late writes are at most as old as a call may take, and clocks differ little.
LATE_MAX = timedelta(minutes=1)
PASSES = 3
# The row is held for little more than this: others wait for it, and the rest is done next.
PART_SECONDS = 0.2


def place_of_finding(finding: Finding) -> PlacementAddress:
    """Return the address of what a finding is about. Raises ClusterUnavailable."""
    if finding.kind is None or finding.namespace is None:
        raise Conflict("It says nothing of a place.")
    return address_at(finding.cluster, finding.kind, finding.namespace)


def organization_of(finding: Finding) -> UUID:
    """Return whose it is, or raise OrganizationNotFound."""
    if finding.organization_id is None:
        raise OrganizationNotFound
    return finding.organization_id


def operation_of(finding: Finding) -> UUID:
    """Return the operation that it is about. Raises Conflict if there is none."""
    if finding.operation_id is None:
        raise Conflict("There is no operation to go on with.")
    return finding.operation_id


def _logical_of(finding: Finding) -> tuple[str, str]:
    """Return the name of the stray in its namespace, and that of the collection it belongs to."""
    stray = finding.collection or ""
    if finding.code != "leftover_aside":
        return stray, stray
    namespace = str(finding.namespace)
    return stray, set_aside_from(str(finding.kind), namespace, str(finding.physical))


def carry_home(finding: Finding) -> None:
    """Carry late writes home, then remove the collection that they made.

    Raises Conflict if some of the documents are no late writes: those stay where they are.
    """
    stray, logical = _logical_of(finding)
    if not COLLECTION_NAME.fullmatch(logical):
        raise Conflict("No collection of an organization has this name.")
    place = place_of_finding(finding), stray
    left_ms = _left_at_ms(finding)
    kept = 0
    for _ in range(PASSES):
        kept, changed = _carry_all(finding, place, logical, left_ms)
        if not changed:
            break
    if kept:
        raise Conflict(
            f"{kept} of its documents were there when the organization left, and are not at home: "
            "they were deleted since then, or somebody restored a backup."
        )
    fail_point("repair.emptied")
    with _strays_held(finding, place, logical):
        if finding.kind != "shared" and not remove_if_empty(place[0], str(finding.physical)):
            raise Conflict("Writes keep arriving there.")


def _carry_all(
    finding: Finding, place: tuple[PlacementAddress, str], logical: str, left_ms: int
) -> tuple[int, int]:
    """Return how many documents are no late writes, and how many changed while they were carried.

    Part by part they are read, carried and deleted while the row is held.
    """
    kept = changed = 0
    start: Any = FIRST
    while start is not END:
        with _strays_held(finding, place, logical) as home:
            strays = StrayCollection(place, (home, logical))
            start, part_kept, part_changed = _carry_part(strays, start, left_ms)
        kept, changed = kept + part_kept, changed + part_changed
    return kept, changed


def _carry_part(strays: StrayCollection, start: Any, left_ms: int) -> tuple[Any, int, int]:
    """Carry documents from `start` on for a moment. Return where to go on, and both numbers."""
    enough = time.monotonic() + PART_SECONDS
    kept = changed = 0
    documents, following = strays.read_some(start)
    for done, document in enumerate(documents):
        if done and time.monotonic() > enough:
            return id_of(document), kept, changed
        if strays.is_lost(document, left_ms):
            kept += 1
        else:
            changed += not _carry(strays, document)
    return following, kept, changed


def _carry(strays: StrayCollection, document: bytes) -> bool:
    """Carry a document and delete it. Return False if it has changed in between."""
    strays.carry(document)
    fail_point("repair.carried")
    is_removed = strays.remove(document)
    fail_point("repair.removed")
    return is_removed


@contextmanager
def _strays_held(
    finding: Finding, place: tuple[PlacementAddress, str], logical: str
) -> Iterator[PlacementAddress]:
    """Hold everything, and make sure that the strays are not where the organization lives."""
    source, stray = place
    owner = organization_of(finding)
    with at_rest(owner, namespace=source.namespace) as organization:
        assert_owned(organization, source)
        home = catalog.address_of(organization.placement)
        if _is_same(source, stray, home, logical):
            raise Conflict("The organization lives there.")
        yield home


def _is_same(source: PlacementAddress, stray: str, home: PlacementAddress, logical: str) -> bool:
    """Return whether two places are one, by whatever aliases: MongoDB knows its collections."""
    if (source.kind == "shared") != (home.kind == "shared"):
        return False
    if source.kind == "shared" and (source.namespace, stray) != (home.namespace, logical):
        return False
    here = inventory.find_uuid(source, stray)
    return here is not None and here == inventory.find_uuid(home, logical)


def assert_owned(organization: Organization, place: PlacementAddress) -> None:
    """Raise Conflict unless a namespace is, or was, this organization's and nobody else's."""
    if id_at(place.namespace) == organization.pk:
        return
    if place.kind != "collection" or place.namespace not in namespaces_of(organization):
        raise Conflict("The name is no longer the organization's.")


def _left_at_ms(finding: Finding) -> int:
    """Return the time up to which documents are no late writes; 0 if it never moved away."""
    moves = Operation.objects.filter(
        organization_id=organization_of(finding), kind="move", state__has_key="switched_at_ms"
    )
    times = [
        int(row.state["switched_at_ms"]) for row in moves if _is_at(row.params["source"], finding)
    ]
    return max(times) - round(LATE_MAX.total_seconds() * 1_000) if times else 0


def _is_at(place: dict[str, Any], finding: Finding) -> bool:
    return (room_kind(place["kind"]), place["cluster"], place["namespace"]) == (
        finding.kind, finding.cluster, finding.namespace,
    )  # fmt: skip


def drop_leftover(finding: Finding) -> None:
    """Drop what an undone move has copied. Raises Conflict if it may be anything else."""
    place = place_of_finding(finding)

    @contextmanager
    def guarded() -> Iterator[None]:
        with at_rest(organization_of(finding), namespace=place.namespace) as organization:
            assert_owned(organization, place)
            _assert_leftover(finding, organization, place)
            yield

    with guarded():
        _assert_older(finding, place)
    provisioning.drop_namespace(place, guarded)
    fail_point("repair.dropped")
    leftover_copies(organization_of(finding)).filter(pk__in=[finding.operation_id]).update(state={})


def _assert_leftover(finding: Finding, organization: Organization, place: PlacementAddress) -> None:
    rows = leftover_copies(organization.pk).filter(pk__in=[finding.operation_id])
    if not any(_is_at(row.params["target"], finding) for row in rows):
        raise Conflict("It is no longer what an undone move has left.")
    home = catalog.address_of(organization.placement)
    if any(_is_same(place, name, home, name) for name in _declared(organization)):
        raise Conflict("The organization lives there.")


def _declared(organization: Organization) -> list[str]:
    return catalog.declared_collections(organization.pk)


def _assert_older(finding: Finding, place: PlacementAddress) -> None:
    """Raise Conflict if anything there was written after the move had ended."""
    operation = get_operation(operation_of(finding))
    ended = operation.ended_at or operation.updated_at
    for logical, physical in provisioning.list_namespace(place).items():
        if physical.is_view:
            continue
        newer = RawCollection(place, logical).read_newer(round(ended.timestamp() * 1_000))
        if next(newer, None) is not None:
            raise Conflict("Documents there were written after the move had ended.")


def drop_sentinels(finding: Finding) -> None:
    """Drop what copies have written to be looked out for, if there is nothing else among it."""
    place = place_of_finding(finding)
    with at_rest(organization_of(finding), namespace=place.namespace) as organization:
        assert_owned(organization, place)
        if not all(holds_only_marks(place, trace) for trace in TRACES):
            raise Conflict("There is more than marks.")
        for trace in TRACES:
            provisioning.drop_collection(place, trace)
