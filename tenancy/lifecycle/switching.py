"""The switch of a move: a pause, the last changes, the proof, and the catalog row."""

import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tenancy import catalog
from tenancy.audit import record_event
from tenancy.clock import PAUSE_GRACE_SECONDS
from tenancy.exceptions import LeaseLost, PlacementDisturbed
from tenancy.lifecycle.copies import CopyRun
from tenancy.lifecycle.move_plans import Place, told
from tenancy.lifecycle.pause import announce_pause, end_pause
from tenancy.lifecycle.placing import check_residency, take_place
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Cluster, Organization, OrganizationStatus, Placement
from tenancy.mongo import late_writes, provisioning
from tenancy.mongo.copying import deadline
from tenancy.operations import Run, fail_point

PAUSE_MAX_SECONDS = 2.0
# When the runner dies, requests go on at the source after this time; the switch is not made in
# the last part of it, so that it is committed before.
PAUSE_LAPSES_SECONDS = 3.0
COMMIT_SECONDS = 0.5
# Above this the documents are not counted once more in the pause: it would take too long, and
# every one of them has been compared.
COUNT_MAX_DOCUMENTS = 1_000_000
SWITCHABLE = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)


def source_of(run: Run) -> Place:
    """Return where the organization moves from."""
    return Place(**run.params["source"])


def target_of(run: Run) -> Place:
    """Return where the organization moves to."""
    return Place(**run.params["target"])


def copy_of(run: Run) -> CopyRun:
    """Return this runner's part in the copy."""
    return CopyRun.of(run, source_of(run).address, target_of(run).address)


def end_own_pause(run: Run) -> None:
    """End a pause that this operation, or a runner before this one, has announced."""
    with transaction.atomic():
        run.renew()
        end_pause(run.organization)


def switch(run: Run) -> None:
    """Pause, bring the last changes over, prove that both sides are equal, and switch."""
    copy = copy_of(run)
    if run.organization.placement.epoch != run.params["epoch"]:
        return  # it has taken effect, and only that could not be recorded
    if not copy.verified:
        end_own_pause(run)  # another runner's, who died in it
        copy.verify()
    copy.records.bring()  # so that few are left for the pause
    copy.settle()  # whoever does not answer, it is better to know before the pause
    with run.guarded():
        late_writes.leave_mark(copy.source)
    run.assert_wanted()
    try:
        announce_pause(run, max_seconds=PAUSE_LAPSES_SECONDS)
        _switch_in_pause(run, copy, run.organization.pause_from or timezone.now())
    except BaseException:
        with suppress(LeaseLost):
            end_own_pause(run)
        raise
    catalog.forget_tenant(run.organization_id)


def _switch_in_pause(run: Run, copy: CopyRun, begins: datetime) -> None:
    lead = (begins - timezone.now()).total_seconds()
    with deadline(max(lead, 0.0) + PAUSE_MAX_SECONDS):  # whatever stands still, the pause ends
        counted = _bring_over_and_prove(run, copy, begins)
    fail_point(f"{run.operation.kind}.paused")
    _switch_rows(run, copy, counted, pause_seconds=(timezone.now() - begins).total_seconds())


def _bring_over_and_prove(run: Run, copy: CopyRun, begins: datetime) -> int:
    """Bring the last changes over; return how many documents are the same on both sides."""
    while timezone.now() < begins + timedelta(seconds=PAUSE_GRACE_SECONDS):
        copy.catch_up()
        copy.copy.prove()
    began = time.monotonic()
    question = late_writes.open_question(copy.source)
    copy.see_all(max_seconds=PAUSE_MAX_SECONDS)
    copy.records.bring()
    if copy.copy.prove():
        copy.copy.mend()
    if differing := copy.copy.prove():
        raise PlacementDisturbed(f"{differing} documents differ from the source's.")
    if question is not None:
        with run.guarded():
            late_writes.answer(copy.source, question)
    counted = _count(run, copy)
    for logical in catalog.declared_collections(run.organization_id):
        provisioning.create_collection(copy.target, logical)
    if time.monotonic() - began > PAUSE_MAX_SECONDS:
        raise PlacementDisturbed("It took too long to prove that nothing is missing.")
    return counted


def _count(run: Run, copy: CopyRun) -> int:
    """Return how many documents there are. Raises PlacementDisturbed if the sides disagree."""
    proof: dict[str, Any] = run.operation.state.get("compared", {})
    if proof.get("documents", 0) > COUNT_MAX_DOCUMENTS:
        return int(proof["documents"])
    total = 0
    for logical in catalog.declared_collections(run.organization_id):
        here, there = copy.copy.counts(logical)
        if here != there:
            copy.verified = False  # compare it all again before the next attempt
            raise PlacementDisturbed(f"{here} documents in “{logical}”, and {there} copied.")
        total += here
    return total


def _switch_rows(run: Run, copy: CopyRun, counted: int, *, pause_seconds: float) -> None:
    """Change the placement in one transaction, and what the next runner must know with it."""
    proof = {
        "documents": counted, "sha256": run.operation.state.get("compared", {}).get("sha256", ""),
        "pause_ms": round(pause_seconds * 1000),
    }  # fmt: skip
    before = run.operation.state, run.operation.step
    try:
        with transaction.atomic():
            run.renew()
            run.assert_wanted()  # who cancels from here on is told that it is too late
            state = {"token": copy.copy.changes.token, "proof": proof}
            _change_rows(run, state)
    except BaseException:
        run.operation.state, run.operation.step = before  # rolled back with the rows
        raise


def _check_pause(organization: Organization) -> None:
    """Raise PlacementDisturbed if the pause lapses too soon: people would write to the source."""
    lapses = organization.pause_until
    if lapses is None or timezone.now() + timedelta(seconds=COMMIT_SECONDS) > lapses:
        raise PlacementDisturbed("The pause was over before the move could take effect.")


def _change_rows(run: Run, state: dict[str, Any]) -> None:
    """Change them if the rules of placing hold now as they did when the move began."""
    target = target_of(run)
    cluster = Cluster.objects.select_for_update().get(alias=target.cluster)
    organization = lock_organization(run.organization_id, *SWITCHABLE)
    _check_pause(organization)
    check_residency(organization, cluster)
    if target.kind == "cluster":
        take_place(target.kind, cluster, organization)
    rows = Placement.objects.filter(organization=organization, epoch=run.params["epoch"])
    rows.update(kind=target.kind, cluster=cluster, namespace=target.namespace, epoch=F("epoch") + 1)
    Organization.objects.filter(pk=organization.pk).update(
        pause_from=None, pause_until=None, updated_at=timezone.now()
    )
    if target.kind != "cluster":
        owned = Cluster.objects.filter(dedicated_to=organization)
        owned.update(dedicated_to=None, accepts_new=False)
    switched = {"switched_at_ms": round(timezone.now().timestamp() * 1000)}
    run.update(step="switch", state=run.operation.state | state | switched)
    record_event(
        organization, "organization.moved", by=run.operation.by,
        source=told(run.params["source"]), target=told(run.params["target"]), **state["proof"],
    )  # fmt: skip
