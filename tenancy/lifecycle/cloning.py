"""Clone an organization: a new one with its documents, indexes and definitions, and no people.

The copy is the one that a move makes, without its pause: the clone holds the source as it was at
one moment after the copy began for each document, and all of it as of the end but for what was
being written right then.
"""

from contextlib import suppress
from typing import Unpack, cast
from uuid import UUID

from django.db import transaction

from tenancy import catalog
from tenancy.audit import record_event
from tenancy.exceptions import (
    Conflict,
    FieldError,
    NotFound,
    OrganizationNotFound,
    PlacementDisturbed,
    PlacementUnsupported,
    Unavailable,
    ValidationFailed,
)
from tenancy.lifecycle.copied_indexes import build_copied_indexes
from tenancy.lifecycle.copies import CopyRun, begin_changes
from tenancy.lifecycle.creation import (
    Wish,
    activate_organization,
    draft_organization,
    reserve_organization,
)
from tenancy.lifecycle.move_plans import (
    Place,
    check_indexes,
    measure_place,
    place_of,
    read_organization,
    room_of,
)
from tenancy.lifecycle.moving import PATIENT_DELAYS_SECONDS
from tenancy.lifecycle.signals import creation_undone
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Collection, Index, Organization, OrganizationStatus
from tenancy.mongo import fences, provisioning
from tenancy.mongo.changes import SENTINELS
from tenancy.names import Kind, clean_name, slug_of
from tenancy.operations import Kind as OperationKind
from tenancy.operations import (
    Run,
    Step,
    begin_operation,
    fail_point_reserved,
    register_kind,
    run_inline,
)

CLONABLE = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)


def clone_organization(
    source_id: UUID, name: str, *, by: str, **wish: Unpack[Wish]
) -> Organization:
    """Clone an organization; the clone is active when this returns.

    Its plan, region and kind of placement are the source's unless others are wished; it has no
    members. Raises what creating an organization raises, PlacementUnsupported, OperationRunning,
    or Conflict if the source was moved meanwhile: then nothing is left behind.
    """
    run = begin_clone(source_id, name, by=by, **wish)
    run_inline(run)
    return Organization.objects.select_related("placement").get(pk=run.organization_id)


def begin_clone(
    source_id: UUID, name: str, *, by: str, leased: bool = True, **wish: Unpack[Wish]
) -> Run:
    """Reserve the clone and write its operation.

    With `leased`, the caller goes on with `run_inline`; else a worker does it.
    """
    name = clean_name(name)
    planned = read_organization(source_id)
    wanted = _wish_of(planned, wish)
    room = room_of(planned, wanted["kind"] or cast(Kind, planned.placement.kind))
    draft, kind, cluster = draft_organization(name, slug_of(name), wanted, room=room)
    check_indexes(planned, kind)
    with transaction.atomic():
        source = lock_organization(source_id, *CLONABLE)
        reserve_organization(draft, kind, cluster, pointer="/name")
        _copy_definitions(source, draft)
        draft = Organization.objects.select_related("placement__cluster").get(pk=draft.pk)
        params = {
            "name": name, "slug": draft.slug, "source_organization": str(source.pk),
            "source": vars(place_of(source)), "target": vars(place_of(draft)),
            "epoch": source.placement.epoch,
        }  # fmt: skip
        run = begin_operation(CLONE, draft, params, by=by, leased=leased)
    fail_point_reserved(CLONE)
    return run


def _wish_of(source: Organization, wish: Wish) -> Wish:
    """Return what is wished, completed by what the source has.

    Raises ValidationFailed for a region that the source's data may not leave for.
    """
    region = wish.get("region") or source.region
    if source.region and region != source.region:
        message = f"The organization is bound to region “{source.region}”, and so are copies of it."
        raise ValidationFailed(message, errors=[FieldError("/region", "not_placeable", message)])
    kind = cast(Kind, source.placement.kind)
    return {
        "region": region,
        "plan": wish.get("plan") or source.plan.code,
        # A cluster of its own is more than a copy needs, unless somebody says so.
        "kind": wish.get("kind") or ("database" if kind == "cluster" else kind),
    }


def _copy_definitions(source: Organization, clone: Organization) -> None:
    for collection in source.collections.prefetch_related("indexes"):
        row, _ = Collection.objects.update_or_create(
            organization=clone, name=collection.name,
            defaults={
                "json_schema": collection.json_schema,
                "schema_digest": collection.schema_digest,
                "schema_mode": collection.schema_mode,
            },
        )  # fmt: skip
        for index in collection.indexes.all():
            index.pk, index.collection = None, row
            Index.objects.bulk_create([index])


def _copy_of(run: Run) -> CopyRun:
    # What is not declared is not the source's any more, or not yet.
    only = frozenset(catalog.declared_collections(run.organization_id))
    return CopyRun.of(run, _source_of(run).address, Place(**run.params["target"]).address, only)


def _source_of(run: Run) -> Place:
    return Place(**run.params["source"])


def _prepare(run: Run) -> None:
    source, target = _source_of(run), Place(**run.params["target"]).address
    if not run.operation.state.get("prepared"):
        for logical, physical in provisioning.list_namespace(target).items():
            if physical.is_view:
                fences.drop_fence(target, physical.name)
            elif provisioning.has_documents(target, logical):
                raise Conflict("Data of unknown origin lies where the clone's own would go.")
        run.update(state=run.operation.state | {"prepared": True})
    begin_changes(run, source.address)
    names = catalog.declared_collections(run.organization_id)
    for logical in names:
        with run.guarded():
            provisioning.create_collection(target, logical)
    run.update(progress_total=measure_place(source, names).documents)
    _copy_of(run).see_all(max_seconds=None)


def _index(run: Run) -> None:
    build_copied_indexes(_copy_of(run))
    build_copied_indexes(_copy_of(run), expiring=True)


def _settle(run: Run) -> None:
    """Bring the clone up to date, and make sure that the source is still where it was."""
    copy = _copy_of(run)
    copy.settle()
    source = Organization.objects.select_related("placement").filter(
        pk=run.params["source_organization"], status__in=CLONABLE,
        placement__epoch=run.params["epoch"],
    )  # fmt: skip
    if not source.exists():
        raise Conflict("The organization was moved, renamed or deleted meanwhile. Begin again.")
    copy.drop_sentinels()
    copy.close()


def _activate(run: Run) -> None:
    source = Organization.objects.get(pk=run.params["source_organization"])
    with transaction.atomic():
        if activate_organization(run, clone_of=str(source.pk)):
            clone = str(run.organization_id)
            record_event(source, "organization.cloned", by=run.operation.by, clone=clone)


def _undo(run: Run) -> None:
    """Drop what was copied and free the name. Nobody could use the clone yet."""
    if isinstance(run.session, CopyRun):
        run.session.close()
    try:
        organization = run.organization
    except OrganizationNotFound:
        return  # undone before a crash
    if organization.status != OrganizationStatus.PROVISIONING:
        return  # it has taken effect, though that could not be recorded
    if run.operation.state.get("prepared"):
        with suppress(NotFound):  # the cluster was removed meanwhile
            provisioning.drop_namespace(Place(**run.params["target"]).address, run.guarded)
        with suppress(Unavailable, NotFound):
            provisioning.drop_collection(_source_of(run).address, SENTINELS, run.guarded)
    with transaction.atomic():
        run.renew()
        creation_undone.send(Organization, organization=organization)
        organization.delete()


CLONE = register_kind(
    OperationKind(
        "clone",
        (
            Step("reserve", lambda run: None),
            Step("prepare", _prepare, final=(Conflict,)),
            Step("copy", lambda run: _copy_of(run).copy_all(), retry_delays=PATIENT_DELAYS_SECONDS),
            Step(
                "index", _index, final=(PlacementUnsupported,),
                retry_delays=PATIENT_DELAYS_SECONDS,
            ),
            Step("settle", _settle, final=(Conflict, PlacementDisturbed)),
            Step("activate", _activate),
        ),
        undo=_undo,
        cancellable_until="activate",
        long=True,
    )
)  # fmt: skip
