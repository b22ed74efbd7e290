"""Create an organization: reserve -> provision -> activate."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypedDict, Unpack, cast
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from tenancy import catalog
from tenancy.audit import record_event
from tenancy.exceptions import (
    ClusterUnavailable,
    Conflict,
    FieldError,
    NameTaken,
    OrganizationNotFound,
    TenantBusy,
    Unavailable,
    ValidationFailed,
)
from tenancy.lifecycle.placing import (
    MAIN_COLLECTIONS,
    MAIN_INDEXES,
    PlaceTaken,
    choose_place,
    region_of,
    take_place,
)
from tenancy.lifecycle.signals import creation_undone
from tenancy.lifecycle.slugs import name_taken, reserve_slug
from tenancy.models import (
    Cluster,
    Collection,
    Operation,
    Organization,
    OrganizationStatus,
    Placement,
    Plan,
)
from tenancy.mongo import fences, provisioning
from tenancy.names import MAIN, Naming, clean_name, namespace_for, slug_of
from tenancy.names import Kind as PlacementKind
from tenancy.operations import (
    Kind,
    Run,
    Step,
    begin_operation,
    claim_operation,
    fail_point_reserved,
    register_kind,
    run_inline,
)

OnReserve = Callable[[Organization], None]
# How often another place is chosen when the one that was chosen is gone.
PLACING_ATTEMPTS = 3
BEING_CREATED = "The organization is being created. Try again in a moment."


class Wish(TypedDict, total=False):
    """Where an organization shall live; what is not said is the plan's. `plan` is a plan's code."""

    region: str
    plan: str | None
    kind: PlacementKind | None


def create_organization(
    name: str,
    *,
    by: str,
    on_reserve: OnReserve | None = None,
    pointer: str = "/name",
    organization_id: UUID | None = None,
    **wish: Unpack[Wish],
) -> Organization:
    """Create an organization and its place in MongoDB; it is active when this returns.

    `on_reserve` is called in the transaction that wins the name: what it writes exists exactly if
    the organization does. Raises InvalidName, NameTaken, ClusterFull, ClusterUnavailable, or
    ValidationFailed for a place that cannot be; then nothing is left behind.

    Who gives an id of their own may repeat the call, after a crash for instance: what was begun
    with that id is finished and returned. Raises TenantBusy while somebody else is at it.
    """
    name = clean_name(name, pointer=pointer)
    slug = slug_of(name, pointer=pointer)
    made = _finish_creation(organization_id)
    if made is not None:
        return made
    for attempt in range(PLACING_ATTEMPTS):
        draft, kind, cluster = draft_organization(name, slug, wish)
        draft.pk = organization_id or draft.pk
        try:
            with transaction.atomic():
                reserve_organization(draft, kind, cluster, pointer=pointer)
                run = begin_operation(CREATE, draft, {"name": name, "slug": slug}, by=by)
                if on_reserve is not None:
                    on_reserve(draft)
            break
        except PlaceTaken:
            if attempt == PLACING_ATTEMPTS - 1:
                raise
    fail_point_reserved(CREATE)
    run_inline(run)
    return Organization.objects.select_related("placement").get(pk=draft.pk)


def _finish_creation(organization_id: UUID | None) -> Organization | None:
    """Finish what an earlier call with this id has begun; None if there is nothing of it."""
    rows = Organization.objects.select_related("placement")
    found = rows.filter(pk=organization_id).first() if organization_id is not None else None
    if found is None or found.status != OrganizationStatus.PROVISIONING:
        return found
    begun = Operation.objects.open().filter(organization=found, kind=CREATE.name).first()
    run = claim_operation(begun.pk) if begun is not None else None
    if run is None:
        raise TenantBusy(BEING_CREATED)
    run_inline(run)
    return rows.get(pk=found.pk)


def draft_organization(
    name: str, slug: str, wish: Wish, *, room: tuple[int, int] = (MAIN_COLLECTIONS, MAIN_INDEXES)
) -> tuple[Organization, PlacementKind, Cluster]:
    """Return the row to insert, and where it is to live: with room for collections and indexes."""
    Cluster.objects.get_or_create(alias=Cluster.DEFAULT)
    plan = _plan(wish.get("plan") or Plan.DEFAULT)
    region = region_of(plan, wish.get("region", ""))
    collections, indexes = room
    kind, cluster = choose_place(
        plan, region, wish.get("kind"), collections=collections, indexes=indexes
    )
    return Organization(name=name, slug=slug, plan=plan, region=region), kind, cluster


def _plan(code: str) -> Plan:
    if code == Plan.DEFAULT:
        return Plan.objects.get_or_create(code=Plan.DEFAULT)[0]
    plan = Plan.objects.filter(code=code).first()
    if plan is None:
        message = f"There is no plan “{code}”."
        raise ValidationFailed(message, errors=[FieldError("/plan", "unknown_plan", message)])
    return plan


def reserve_organization(
    organization: Organization, kind: PlacementKind, cluster: Cluster, *, pointer: str
) -> None:
    """Insert the row of a new organization, its name, its placement and `main`: all or nothing."""
    naming = cast(Naming, settings.TENANCY_NAMING)
    slug = str(organization.slug)
    namespace = namespace_for(organization.pk, slug, naming=naming, kind=kind)
    with transaction.atomic():
        _insert_named(organization, pointer=pointer)
        take_place(kind, cluster, organization)
        Placement.objects.create(
            organization=organization, kind=kind, cluster=cluster, namespace=namespace
        )
        Collection.objects.create(organization=organization, name=MAIN)


def _insert_named(organization: Organization, *, pointer: str) -> None:
    """Insert the row and win its slug: another's slug is refused by one constraint or the other."""
    slug = str(organization.slug)
    try:
        with transaction.atomic():
            organization.save(force_insert=True)
            reserve_slug(organization, slug, pointer=pointer)
    except IntegrityError as error:
        if Organization.objects.filter(pk=organization.pk).exists():
            raise TenantBusy(BEING_CREATED) from error  # by an earlier call that was slow
        raise name_taken(slug, pointer=pointer) from error


def _provision(run: Run) -> None:
    address = catalog.address_of(run.organization.placement)
    for logical, physical in provisioning.list_namespace(address).items():
        if physical.is_view:
            fences.drop_fence(address, physical.name)
        elif provisioning.has_documents(address, logical):
            raise NameTaken(
                "The name cannot be used: data of unknown origin lies where its own would go. "
                "An operator can tell more with check_tenants."
            )
    provisioning.create_collection(address, MAIN)


def _activate(run: Run) -> None:
    activate_organization(run)


def activate_organization(run: Run, **details: Any) -> bool:
    """Let people in, and record it with details: ids, for the audit outlives every name.

    Return False if that was done before.
    """
    with transaction.atomic():
        run.renew()
        waiting = Organization.objects.filter(
            pk=run.organization_id, status=OrganizationStatus.PROVISIONING
        )
        is_first = bool(waiting.update(status=OrganizationStatus.ACTIVE))
        if is_first:
            record_event(run.organization, "organization.created", by=run.operation.by, **details)
    catalog.forget_tenant(run.organization_id)
    return is_first


def _undo(run: Run) -> None:
    """Drop what was made and free the name. Nobody could write yet: what is ours is empty."""
    try:
        organization = run.organization
    except OrganizationNotFound:
        return  # undone before a crash
    with suppress(Unavailable):  # an empty leftover harms nobody, and the doctor finds it
        provisioning.drop_empty(catalog.address_of(organization.placement))
    with transaction.atomic():
        run.renew()
        creation_undone.send(Organization, organization=organization)
        organization.delete()


CREATE = register_kind(
    Kind(
        "create",
        (
            Step("reserve", lambda run: None),
            Step("provision", _provision, final=(ClusterUnavailable, Conflict)),
            Step("activate", _activate),
        ),
        undo=_undo,
    )
)
