"""Create an organization: reserve -> provision -> activate."""

from collections.abc import Callable
from contextlib import suppress
from typing import cast

from django.conf import settings
from django.db import IntegrityError, transaction

from tenancy import catalog
from tenancy.audit import record_event
from tenancy.exceptions import (
    ClusterUnavailable,
    Conflict,
    NameTaken,
    OrganizationNotFound,
    Unavailable,
)
from tenancy.lifecycle.signals import creation_undone
from tenancy.lifecycle.slugs import name_taken, reserve_slug
from tenancy.models import Cluster, Collection, Organization, OrganizationStatus, Placement, Plan
from tenancy.mongo import fences, provisioning
from tenancy.names import MAIN, Naming, clean_name, namespace_for, slug_of
from tenancy.operations import (
    Kind,
    Run,
    Step,
    begin_operation,
    fail_point_reserved,
    register_kind,
    run_inline,
)

OnReserve = Callable[[Organization], None]


def create_organization(
    name: str, *, by: str, on_reserve: OnReserve | None = None, pointer: str = "/name"
) -> Organization:
    """Create an organization and its place in MongoDB; it is active when this returns.

    `on_reserve` is called in the transaction that wins the name: what it writes exists exactly if
    the organization does. Raises InvalidName, NameTaken, or ClusterUnavailable; then nothing
    is left behind.
    """
    name = clean_name(name, pointer=pointer)
    slug = slug_of(name, pointer=pointer)
    with transaction.atomic():
        organization = _reserve(name, slug, pointer=pointer)
        run = begin_operation(CREATE, organization, {"name": name, "slug": slug}, by=by)
        if on_reserve is not None:
            on_reserve(organization)
    fail_point_reserved(CREATE)
    run_inline(run)
    return Organization.objects.select_related("placement").get(pk=organization.pk)


def _reserve(name: str, slug: str, *, pointer: str) -> Organization:
    plan, _ = Plan.objects.get_or_create(code=Plan.DEFAULT)
    cluster, _ = Cluster.objects.get_or_create(alias=Cluster.DEFAULT)
    organization = Organization(name=name, slug=slug, plan=plan)
    naming = cast(Naming, settings.TENANCY_NAMING)
    namespace = namespace_for(organization.pk, slug, naming=naming, kind="collection")
    with transaction.atomic():
        _insert_named(organization, pointer=pointer)
        Placement.objects.create(
            organization=organization, kind="collection", cluster=cluster, namespace=namespace
        )
        Collection.objects.create(organization=organization, name=MAIN)
    return organization


def _insert_named(organization: Organization, *, pointer: str) -> None:
    """Insert the row and win its slug: another's slug is refused by one constraint or the other."""
    slug = str(organization.slug)
    try:
        with transaction.atomic():
            organization.save(force_insert=True)
            reserve_slug(organization, slug, pointer=pointer)
    except IntegrityError as error:
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
    with transaction.atomic():
        run.renew()
        waiting = Organization.objects.filter(
            pk=run.organization_id, status=OrganizationStatus.PROVISIONING
        )
        if waiting.update(status=OrganizationStatus.ACTIVE):
            record_event(
                run.organization, "organization.created", by=run.operation.by, **run.params
            )
    catalog.forget_tenant(run.organization.pk)


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
