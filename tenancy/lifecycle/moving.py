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
    TenancyError,
    Unavailable,
    ValidationFailed,
)
from tenancy.lifecycle.clusters import get_cluster
from tenancy.lifecycle.copies import CopyRun, begin_changes
from tenancy.lifecycle.creation import PLACING_ATTEMPTS
from tenancy.lifecycle.move_plans import (
    Place,
    choose_target,
    measure_place,
    place_of,
    read_organization,
)
from tenancy.lifecycle.placing import PlaceTaken, check_residency, take_place
from tenancy.lifecycle.states import lock_organization
from tenancy.lifecycle.switching import copy_of, end_own_pause, source_of, switch, target_of
from tenancy.models import Cluster, Operation, Organization, OrganizationStatus
from tenancy.mongo import fences, provisioning
from tenancy.mongo.changes import SENTINELS, HistoryLost
from tenancy.names import Kind
from tenancy.operations import Kind as OperationKind
from tenancy.operations import (
    Run,
    Step,
    begin_operation,
    claim_operation,
    fail_point_reserved,
    get_operation,
    register_kind,
    run_inline,
    run_steps,
)

logger = logging.getLogger("tenantry.moving")

MOVABLE = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)
# A cluster that fails over, or restarts, is waited for; tenants go on at the source meanwhile.
PATIENT_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)
# What trying again does not mend: the changes are gone, or the cluster is no longer one.
FINAL = (HistoryLost, NotFound)
RENAME_WAIT_SECONDS = 15.0
RENAME_POLL_SECONDS = 0.2


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
    if organization.placement.epoch != planned:
        raise OperationRunning
    check_residency(organization, get_cluster(target.cluster))
    return _reserve(organization, target, by=by, leased=leased)


def _reserve(organization: Organization, target: Place, *, by: str, leased: bool) -> Run:
    owned = Cluster.objects.filter(dedicated_to=organization)
    takes = target.kind == "cluster" and not owned.exists()
    if takes:
        cluster = Cluster.objects.get(alias=target.cluster)
        take_place(target.kind, cluster, organization)
    params = {
        "source": vars(place_of(organization)), "target": vars(target),
        "epoch": organization.placement.epoch, "takes_cluster": takes,
    }  # fmt: skip
    run = begin_operation(MOVE, organization, params, by=by, leased=leased)
    record_event(
        organization, "organization.move_begun", by=by, source=params["source"],
        target=params["target"],
    )  # fmt: skip
    return run


def _prepare(run: Run) -> None:
    """Make sure that the target is empty and nothing else is under way; begin to note changes."""
    _finish_renames(run)
    if not run.operation.state.get("prepared"):
        _check_target(run)
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


def _finish_renames(run: Run) -> None:
    """Let the fences of earlier renames go first: they are for the namespace that is left."""
    deadline = time.monotonic() + RENAME_WAIT_SECONDS
    others = Operation.objects.open().filter(organization_id=run.organization_id, kind="rename")
    while (row := others.exclude(pk=run.operation.pk).first()) is not None:
        if time.monotonic() > deadline:
            raise OperationRunning("A rename of the organization has not cleaned up yet.")
        claimed = claim_operation(row.pk)
        if claimed is not None:
            with suppress(TenancyError):
                run_steps(claimed)
        time.sleep(RENAME_POLL_SECONDS)
        run.assert_lease()


def _check_target(run: Run) -> None:
    """Refuse a target that holds documents, unless an earlier move that failed left them there."""
    place = target_of(run)
    address = place.address
    leftover = leftover_copies(run.organization_id).filter(params__target=vars(place))
    for logical, physical in provisioning.list_namespace(address).items():
        if physical.is_view:
            with run.guarded():
                fences.drop_fence(address, physical.name)
        elif leftover.exists() or not provisioning.has_documents(address, logical):
            provisioning.drop_collection(address, logical, run.guarded)
        else:
            raise Conflict(
                f"There are documents already where the organization would go: {place}. "
                "check_tenants tells what they are, and --repair carries late writes home."
            )
    leftover.update(state={})


def leftover_copies(organization_id: UUID | None = None) -> Any:
    """Return the moves that were undone and could not remove what they had copied."""
    rows = Operation.objects.filter(kind=MOVE.name, state__leftover=True).exclude(
        pk__in=Operation.objects.open()
    )
    return rows if organization_id is None else rows.filter(organization_id=organization_id)


def _copy(run: Run) -> None:
    copy_of(run).copy_all()


def _index(run: Run) -> None:
    copy_of(run).build_indexes()


def _verify(run: Run) -> None:
    copy_of(run).verify()


def _late(run: Run) -> None:
    """Bring over what processes that slept through the switch still write to the source."""
    if _is_source_gone(run):
        return
    copy = copy_of(run)
    switched_at_ms = run.operation.state["switched_at_ms"]
    until = time.monotonic() + settings.TENANCY_OPERATION_TIMEOUT
    try:
        while time.monotonic() < until:
            copy.copy.catch_late(switched_at_ms)
            copy.beat()
        sentinel = copy.copy.write_sentinel(f"late {time.time_ns()}")
        while not copy.copy.catch_late(switched_at_ms, until=sentinel)[1]:
            copy.beat()
    except PlacementDisturbed as error:
        # The changes can no longer be followed: what was written since is found by its time.
        logger.warning("%s: %s Late writes are looked for by their time.", run.operation, error)
        names = catalog.declared_collections(run.organization_id)
        copy.copy.carry_newer(names, switched_at_ms)


def _is_source_gone(run: Run) -> bool:
    """Return whether the cluster was removed once nobody lived there any more."""
    return not Cluster.objects.filter(alias=source_of(run).cluster).exists()


def _drop(run: Run) -> None:
    """Drop the source; nothing there is the organization's any more."""
    source = source_of(run)
    if place_of(run.organization) == source or _is_source_gone(run):
        return
    copy_of(run).close()
    provisioning.drop_namespace(source.address, run.guarded)


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
            leftover = False
        with suppress(Unavailable):
            provisioning.drop_collection(source_of(run).address, SENTINELS, run.guarded)
    with transaction.atomic():
        run.renew()
        if run.params["takes_cluster"]:
            Cluster.objects.filter(dedicated_to=organization).update(dedicated_to=None)
        run.update(state=run.operation.state | {"leftover": leftover})
        record_event(
            organization, "organization.move_undone", by=run.operation.by,
            target=run.params["target"], reason=run.operation.error, leftover=leftover,
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
