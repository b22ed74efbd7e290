"""Move an organization to another placement while it is in use.

reserve -> prepare (the target is empty; note the time) -> copy -> index -> verify (compare it all
while it changes) -> switch (a pause: the last changes, proof, the catalog row) -> late (changes
that still reach the source) -> drop the source. Up to the switch everything can be put back.
"""

import logging
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from tenancy import catalog
from tenancy.audit import record_event
from tenancy.exceptions import (
    Conflict,
    NotFound,
    OperationRunning,
    PlacementDisturbed,
    PlacementUnsupported,
    Unavailable,
    ValidationFailed,
)
from tenancy.lifecycle.clusters import get_cluster
from tenancy.lifecycle.copied_indexes import build_copied_indexes
from tenancy.lifecycle.copies import BEAT_SECONDS, CopyRun, begin_changes, is_copied
from tenancy.lifecycle.creation import PLACING_ATTEMPTS
from tenancy.lifecycle.move_checks import check_source, check_target, finish_renames
from tenancy.lifecycle.move_plans import (
    MOVABLE,
    Place,
    check_indexes,
    choose_target,
    measure_place,
    namespace_at,
    place_of,
    read_organization,
    told,
)
from tenancy.lifecycle.placing import PlaceTaken, check_residency, take_place
from tenancy.lifecycle.states import lock_organization
from tenancy.lifecycle.switching import copy_of, end_own_pause, source_of, switch, target_of
from tenancy.models import Cluster, Operation, Organization
from tenancy.mongo import carried_records, late_writes, provisioning
from tenancy.mongo.changes import TRACES, HistoryLost
from tenancy.names import Kind, PlacementAddress
from tenancy.operations import Kind as OperationKind
from tenancy.operations import (
    Run,
    Step,
    begin_operation,
    fail_point_reserved,
    get_operation,
    register_kind,
    run_inline,
)

logger = logging.getLogger("tenantry.moving")

# A cluster that fails over, or restarts, is waited for; tenants go on at the source meanwhile.
PATIENT_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)
# What trying again does not mend: the changes are gone, or the cluster is no longer one.
FINAL = (HistoryLost, NotFound, PlacementUnsupported)


def move_organization(
    organization_id: UUID, kind: Kind, *, by: str, cluster: str | None = None, wait: bool = True
) -> Operation:
    """Move an organization; unless `wait`, a worker does it and this returns at once.

    Raises what `choose_target` raises, OperationRunning, and with `wait` what made the move give
    up: then the organization is where it was.
    """
    run = begin_move(organization_id, kind, by=by, cluster=cluster, leased=wait)
    if wait:
        run_inline(run)
    return get_operation(run.operation.pk)


def begin_move(
    organization_id: UUID, kind: Kind, *, by: str, cluster: str | None = None, leased: bool = True
) -> Run:
    """Write the operation of a move; with `leased`, the caller goes on with `run_inline`."""
    # Outside of the transaction: clusters are asked how full they are.
    for attempt in range(PLACING_ATTEMPTS):
        organization = read_organization(organization_id)
        target = choose_target(organization, kind, cluster)
        try:
            with transaction.atomic():
                run = reserve_move(organization, target, by=by, leased=leased)
            break
        except (PlaceTaken, ValidationFailed):  # what was chosen is another's by now
            if cluster is not None or attempt == PLACING_ATTEMPTS - 1:
                raise
    fail_point_reserved(MOVE)
    return run


def reserve_move(organization: Organization, target: Place, *, by: str, leased: bool) -> Run:
    """Write the operation, in the caller's transaction, if nothing changed since it was planned.

    Raises OperationRunning, ValidationFailed.
    """
    planned = organization.placement.epoch
    organization = lock_organization(organization.pk, *MOVABLE)
    moved_on = organization.placement.epoch != planned
    if moved_on or namespace_at(organization, target.kind) != target.namespace:
        raise OperationRunning
    check_residency(organization, get_cluster(target.cluster))
    check_indexes(organization, target.kind)
    return _reserve(organization, target, by=by, leased=leased)


def _reserve(organization: Organization, target: Place, *, by: str, leased: bool) -> Run:
    owned = Cluster.objects.filter(dedicated_to=organization)
    takes = target.kind == "cluster" and not owned.exists()
    if takes:
        cluster = Cluster.objects.get(alias=target.cluster)
        take_place(target.kind, cluster, organization)
    params: dict[str, Any] = {
        "source": vars(place_of(organization)), "target": vars(target),
        "epoch": organization.placement.epoch, "takes_cluster": takes,
    }  # fmt: skip
    run = begin_operation(MOVE, organization, params, by=by, leased=leased)
    record_event(
        organization, "organization.move_begun", by=by, source=told(params["source"]),
        target=told(params["target"]),
    )  # fmt: skip
    return run


def _prepare(run: Run) -> None:
    """Make sure that the target is empty and nothing else is under way; begin to note changes."""
    finish_renames(run)
    if not run.operation.state.get("prepared"):
        check_source(run)
        check_target(run)
        run.update(state=run.operation.state | {"prepared": True})
    source, names = source_of(run), catalog.declared_collections(run.organization_id)
    begin_changes(run, source.address)
    target = target_of(run).address
    for logical in names:
        with run.guarded():
            provisioning.create_collection(target, logical)
    size = measure_place(source, names)
    run.update(progress_done=0, progress_total=size.documents)
    copy = copy_of(run)
    copy.see_all(max_seconds=None)  # makes the collection for sentinels, and proves the stream


def _copy(run: Run) -> None:
    copy = copy_of(run)
    copy.copy_all()
    copy.records.bring()


def _index(run: Run) -> None:
    build_copied_indexes(copy_of(run))


def _verify(run: Run) -> None:
    copy_of(run).verify()


def _late(run: Run) -> None:
    """Bring over what processes that slept through the switch still write to the source."""
    if _is_source_gone(run):
        return
    copy = copy_of(run)
    build_copied_indexes(copy, expiring=True)
    timeout = settings.TENANCY_OPERATION_TIMEOUT
    until = time.monotonic() + timeout
    try:
        copy.answer_late_writers()  # another runner may have seen that they ask, and died
        while time.monotonic() < until:
            copy.catch_late()
        sentinel = copy.copy.write_sentinel(f"late {time.time_ns()}")
        while not copy.catch_late(until=sentinel):
            pass
    except PlacementDisturbed as error:
        # The changes can no longer be followed: what was written since is found by its time, when
        # nothing comes any more. What was sent right before the switch may have arrived after it.
        logger.warning("%s: %s Late writes are looked for by their time.", run.operation, error)
        while time.monotonic() < until:
            copy.beat()
            time.sleep(BEAT_SECONDS)
        names = catalog.declared_collections(run.organization_id)
        since_ms = run.operation.state["switched_at_ms"] - round(timeout * 1000)
        copy.copy.carry_newer(names, since_ms)
    copy.records.bring()
    with run.guarded():
        late_writes.close(copy.source)


def _is_source_gone(run: Run) -> bool:
    """Return whether somebody removed the cluster's row from the catalog: nobody can reach it."""
    return not Cluster.objects.filter(alias=source_of(run).cluster).exists()


def _drop(run: Run) -> None:
    """Drop the source; nothing there is the organization's any more.

    What somebody has put there meanwhile and was not copied stays; the doctor tells of it.
    """
    if place_of(run.organization).is_in_place_of(source_of(run)) or _is_source_gone(run):
        return
    copy_of(run).close()
    address = source_of(run).address
    found = provisioning.list_namespace(address)
    kept = [logical for logical, physical in found.items() if not is_copied(logical, physical)]
    if kept:
        for logical in found.keys() - set(kept):
            provisioning.drop_collection(address, logical, run.guarded)
    else:
        provisioning.drop_namespace(address, run.guarded)
    _forget_records(run, address)


def _forget_records(run: Run, address: PlacementAddress) -> None:
    """Remove the organization's records from a place, unless those of its other place are there."""
    places = source_of(run).address, target_of(run).address
    if len({(each.cluster, each.database) for each in places}) > 1:
        carried_records.forget(address, run.organization_id, run.guarded)


def _undo(run: Run) -> None:
    """Let the organization go on where it is; remove what was copied."""
    organization = run.organization
    if organization.placement.epoch != run.params["epoch"]:
        return  # it has taken effect, though that could not be recorded
    end_own_pause(run)
    if isinstance(run.session, CopyRun):
        run.session.close()
    leftover = bool(run.operation.state.get("prepared"))
    if leftover:
        with suppress(Unavailable, NotFound):  # NotFound: the cluster was removed meanwhile
            provisioning.drop_namespace(target_of(run).address, run.guarded)
            _forget_records(run, target_of(run).address)
            leftover = False
        with suppress(Unavailable):
            for trace in TRACES:
                provisioning.drop_collection(source_of(run).address, trace, run.guarded)
    with transaction.atomic():
        run.renew()
        if run.params["takes_cluster"]:
            Cluster.objects.filter(dedicated_to=organization).update(dedicated_to=None)
        run.update(state=run.operation.state | {"leftover": leftover})
        record_event(
            organization, "organization.move_undone", by=run.operation.by,
            target=told(run.params["target"]), reason=run.operation.error, leftover=leftover,
        )  # fmt: skip


MOVE = register_kind(
    OperationKind(
        "move",
        (
            Step("reserve", lambda run: None),
            Step("prepare", _prepare, final=(Conflict, *FINAL)),
            Step("copy", _copy, final=FINAL, retry_delays=PATIENT_DELAYS_SECONDS),
            Step("index", _index, final=FINAL, retry_delays=PATIENT_DELAYS_SECONDS),
            Step("verify", _verify, final=FINAL, retry_delays=PATIENT_DELAYS_SECONDS),
            Step("switch", switch, final=FINAL),
            Step("late", _late, trailing=True, blocking=True),
            Step("drop", _drop, trailing=True, blocking=True),
        ),
        undo=_undo,
        cancellable_until="switch",
        long=True,
    )
)
