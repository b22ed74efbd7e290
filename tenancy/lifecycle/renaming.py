"""Rename an organization: at once where the namespace stays, else by the protocol below.

reserve the slug -> announce a pause -> rename the collections -> fence the old names -> switch
-> after one operation timeout, remove the fences.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, cast
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tenancy import catalog, names
from tenancy.audit import record_event
from tenancy.exceptions import ClusterUnavailable, Conflict, NameTaken, OperationRunning
from tenancy.lifecycle.creation import OnReserve
from tenancy.lifecycle.move_plans import leftover_copies
from tenancy.lifecycle.pause import announce_pause, end_pause, pause_lead_seconds
from tenancy.lifecycle.slugs import release_slug, reserve_slug, retire_slug
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Operation, Organization, OrganizationStatus, Placement
from tenancy.mongo import fences, provisioning
from tenancy.names import (
    COLLECTION_NAME,
    Naming,
    PlacementAddress,
    clean_name,
    namespace_for,
    slug_of,
)
from tenancy.operations import (
    Kind,
    Run,
    Step,
    begin_operation,
    cancel_operations,
    end_operation,
    fail_point_reserved,
    register_kind,
    reopen_operations,
    run_inline,
)

RENAMABLE = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)
TAKE_OVER_SECONDS = 2.0
TAKE_OVER_POLL_SECONDS = 0.05


def rename_organization(
    organization_id: UUID,
    name: str,
    *,
    by: str,
    on_reserve: OnReserve | None = None,
    pointer: str = "/name",
) -> Organization:
    """Rename an organization; the rename is finished when this returns.

    `on_reserve` is called in the transaction that wins the name. Raises InvalidName, NameTaken,
    OperationRunning, what an organization that is not served gets, or ClusterUnavailable; then
    the old name still holds.
    """
    new = _NewName.judged(name, pointer)
    deadline = time.monotonic() + TAKE_OVER_SECONDS
    while True:
        with suppress(_FenceBusy):
            run = _begin(organization_id, new, by=by, on_reserve=on_reserve)
            break
        if time.monotonic() > deadline:
            raise OperationRunning
        time.sleep(TAKE_OVER_POLL_SECONDS)
    catalog.forget_tenant(organization_id)
    if run is not None:
        fail_point_reserved(RENAME)
        run_inline(run)  # nothing is left to do where the namespace stays
    return Organization.objects.select_related("placement").get(pk=organization_id)


@dataclass(frozen=True)
class _NewName:
    """A clean name, its slug, and where in the input it was."""

    name: str
    slug: str
    pointer: str

    @classmethod
    def judged(cls, raw: str, pointer: str) -> Self:
        name = clean_name(raw, pointer=pointer)
        return cls(name, slug_of(name, pointer=pointer), pointer)


class _FenceBusy(Exception):
    """A runner is just removing the fence of an earlier rename; that takes milliseconds."""


def _begin(
    organization_id: UUID, new: _NewName, *, by: str, on_reserve: OnReserve | None
) -> Run | None:
    """Reserve everything in one transaction. Return the run, or None if the name is the same."""
    with transaction.atomic():
        organization = lock_organization(organization_id, *RENAMABLE)
        if on_reserve is not None:
            on_reserve(organization)
        if organization.name == new.name:
            return None
        is_return = new.slug != organization.slug and reserve_slug(
            organization, new.slug, pointer=new.pointer
        )
        params = _plan(organization, new) | {"is_return": is_return}
        run = begin_operation(RENAME, organization, params, by=by)
        if params["old_namespace"] != params["new_namespace"]:
            _take_over_fences(organization, params["new_namespace"])
        else:
            _switch_rows(run)
            end_operation(run)
        return run


def _plan(organization: Organization, new: _NewName) -> dict[str, Any]:
    placement = organization.placement
    naming = cast(Naming, settings.TENANCY_NAMING)
    kind = cast(names.Kind, placement.kind)
    return {
        "old_name": organization.name,
        "new_name": new.name,
        "old_slug": organization.slug,
        "new_slug": new.slug,
        "old_namespace": placement.namespace,
        "new_namespace": namespace_for(organization.pk, new.slug, naming=naming, kind=kind),
        "epoch": placement.epoch,
    }


def _take_over_fences(organization: Organization, namespace: str) -> None:
    """End earlier renames that still guard a name the organization now goes back to."""
    guards = _guards_of(namespace)
    cancel_operations(organization, **guards)
    if Operation.objects.open().filter(organization=organization, **guards).exists():
        raise _FenceBusy


def _guards_of(namespace: str) -> dict[str, Any]:
    """Return what finds the renames away from a namespace that have only their fences left."""
    return {
        "kind": RENAME.name,
        "blocking": False,
        "step": "switch",
        "params__old_namespace": namespace,
    }


def _addresses(run: Run) -> tuple[PlacementAddress, PlacementAddress]:
    address = catalog.address_of(run.organization.placement)
    return address.at(run.params["old_namespace"]), address.at(run.params["new_namespace"])


def _real_collections(address: PlacementAddress) -> list[str]:
    """Return the logical names under a namespace that are collections, not fences or strays."""
    found = provisioning.list_namespace(address)
    return [
        logical
        for logical, physical in found.items()
        if not physical.is_view and COLLECTION_NAME.fullmatch(logical)
    ]


def _pause(run: Run) -> None:
    """Make sure that the new namespace is free and the old one complete; announce the pause."""
    old, new = _addresses(run)
    for logical, physical in provisioning.list_namespace(new).items():
        if not physical.is_view:
            with run.guarded():
                _clear_the_way(run, logical)
    for logical in catalog.declared_collections(run.organization_id):
        with run.guarded():
            provisioning.create_collection(old, logical)
    announce_pause(run)


def _clear_the_way(run: Run, logical: str) -> None:
    """Remove what lies at a new name if it is nobody's; raise NameTaken if it may be somebody's."""
    old, new = _addresses(run)
    leftover = leftover_copies(run.organization_id).filter(
        params__target__kind="collection", params__target__namespace=new.namespace,
        params__target__cluster=new.cluster,
    )  # fmt: skip
    if leftover.exists():  # an undone move could not remove what it had copied; never served
        provisioning.drop_physical(new, new.physical(logical))
    elif run.params["is_return"] and COLLECTION_NAME.fullmatch(logical):
        # A straggler's, from when this was the organization's name.
        fences.rescue_stragglers(old, new.physical(logical), old.physical(logical))
    elif provisioning.has_documents(new, logical):
        raise NameTaken("The name cannot be used: data of unknown origin lies in its place.")
    else:
        provisioning.drop_physical(new, new.physical(logical))


def _rename_collections(run: Run) -> None:
    old, new = _addresses(run)
    for logical in _real_collections(old):
        with run.guarded():
            fences.move_collection(old, old.physical(logical), new.physical(logical))


def _fence(run: Run) -> None:
    old, new = _addresses(run)
    for logical in _real_collections(new):
        with run.guarded():
            fences.fence_collection(old, old.physical(logical), new.physical(logical))


def _switch(run: Run) -> None:
    with transaction.atomic():
        run.renew()
        _switch_rows(run)
    catalog.forget_tenant(run.organization.pk)


def _switch_rows(run: Run) -> None:
    """Change name, slug and namespace in one transaction. A repeat finds the epoch gone by."""
    params, organization = run.params, run.organization
    current = Placement.objects.filter(organization=organization, epoch=params["epoch"])
    moved = int(params["old_namespace"] != params["new_namespace"])
    if not current.update(namespace=params["new_namespace"], epoch=F("epoch") + moved):
        return
    Organization.objects.filter(pk=organization.pk).update(
        name=params["new_name"], slug=params["new_slug"], pause_from=None, updated_at=timezone.now()
    )
    if is_new_slug := params["old_slug"] != params["new_slug"]:
        retire_slug(organization, params["old_slug"])
    record_event(organization, "organization.renamed", by=run.operation.by, slug=is_new_slug)


def _unfence(run: Run) -> None:
    """Remove the fences; carry over what a process that slept may have written meanwhile."""
    old, _ = _addresses(run)
    home = catalog.address_of(run.organization.placement)
    if old.namespace == home.namespace:
        return  # the organization has gone back to this name: nothing here is left over
    for logical, physical in provisioning.list_namespace(old).items():
        with run.guarded():
            if physical.is_view:
                fences.drop_fence(old, physical.name)
            elif COLLECTION_NAME.fullmatch(logical):
                fences.rescue_stragglers(home, physical.name, home.physical(logical))


def _undo(run: Run) -> None:
    """Bring everything back under the old name and free the new one."""
    params, organization = run.params, run.organization
    if organization.placement.epoch != params["epoch"]:
        return  # it has taken effect, though that could not be recorded
    if run.operation.step != "reserve":  # before that, no collection was touched
        old, new = _addresses(run)
        for logical in _real_collections(new):
            with run.guarded():
                fences.return_collection(old, old.physical(logical), new.physical(logical))
    with transaction.atomic():
        run.renew()
        end_pause(organization)
        reopen_operations(organization, _fence_seconds(), **_guards_of(params["new_namespace"]))
        if params["old_slug"] != params["new_slug"]:
            forget = retire_slug if params["is_return"] else release_slug
            forget(organization, params["new_slug"])
        record_event(
            organization, "organization.rename_failed", by=run.operation.by,
            reason=run.operation.error,
        )  # fmt: skip


def _fence_seconds() -> float:
    return float(settings.TENANCY_OPERATION_TIMEOUT)


RENAME = register_kind(
    Kind(
        "rename",
        (
            Step("reserve", lambda run: None),
            Step("pause", _pause, final=(ClusterUnavailable, Conflict)),
            Step("rename_collections", _rename_collections, delay=pause_lead_seconds),
            Step("fence", _fence),
            Step("switch", _switch),
            Step("unfence", _unfence, delay=_fence_seconds, trailing=True),
        ),
        undo=_undo,
    )
)
