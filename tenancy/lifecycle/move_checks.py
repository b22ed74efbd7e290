"""What has to hold before a move begins to copy: nothing else under way, nothing in the way."""

import time
from contextlib import suppress

from tenancy.exceptions import Conflict, OperationRunning, TenancyError
from tenancy.lifecycle.copies import is_copied
from tenancy.lifecycle.move_plans import leftover_copies
from tenancy.lifecycle.switching import source_of, target_of
from tenancy.models import Operation
from tenancy.mongo import fences, provisioning
from tenancy.mongo.inventory import find_uuid
from tenancy.operations import Run, claim_operation, run_steps

RENAME_WAIT_SECONDS = 15.0
RENAME_POLL_SECONDS = 0.2


def finish_renames(run: Run) -> None:
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


def check_source(run: Run) -> None:
    """Refuse a source that holds what would not be copied, or that is the target itself."""
    source, target = source_of(run).address, target_of(run).address
    found = provisioning.list_namespace(source)
    left = [each.name for logical, each in found.items() if not is_copied(logical, each)]
    if left:
        raise Conflict(
            f"What lies among its collections cannot be copied: {', '.join(left[:5])}. "
            "check_tenants tells what it is; remove it, or rename it to a collection's name."
        )
    if "shared" in {source.kind, target.kind}:
        return
    for logical in found:
        here = find_uuid(source, logical)
        if here is not None and here == find_uuid(target, logical):
            raise Conflict("The organization is there already: both clusters are one deployment.")


def check_target(run: Run) -> None:
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
