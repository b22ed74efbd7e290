"""Run a call on a tenant's documents under the placement that holds when it is answered.

Three rules make renames and moves invisible to clients: wait while a pause lasts; repeat what
MongoDB refused at a placement that has moved on; believe that nothing was found only if the
placement is still the current one. A positive answer needs no check.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings

from tenancy import catalog, usage
from tenancy.admission import InShare
from tenancy.catalog import Tenant
from tenancy.clock import seconds
from tenancy.exceptions import (
    CollectionNotFound,
    DocumentNotFound,
    NothingToMatch,
    OrganizationDeleted,
    OrganizationSuspended,
    OutcomeUnknown,
    Overslept,
    StalePlacement,
    TenancyError,
    TenantBusy,
)
from tenancy.late_answers import came_late, is_in_time
from tenancy.models import OrganizationStatus
from tenancy.mongo import clients, extended_json
from tenancy.mongo.clients import ClusterCall
from tenancy.mongo.documents import Page, TenantCollection
from tenancy.mongo.limited import LimitedCollection
from tenancy.mongo.query_plans import Explanation
from tenancy.names import PlacementAddress, check_collection_name
from tenancy.schemas import Violations, find_check

T = TypeVar("T")
Call = Callable[[TenantCollection], T]

PAUSE_MAX_SECONDS = 3.0
PAUSE_POLL_SECONDS = 0.02
ATTEMPTS = 4
# A snapshot may be as old as the TTL when it is taken; this much longer it may take to be used.
SLACK_SECONDS = 0.05

_NOT_SERVED = {
    OrganizationStatus.SUSPENDED: OrganizationSuspended,
    OrganizationStatus.DELETING: OrganizationDeleted,
    OrganizationStatus.PROVISIONING: TenantBusy,
}


def check_served(tenant: Tenant) -> None:
    """Raise what a request gets whose organization is not active."""
    refusal = _NOT_SERVED.get(tenant.status)
    if refusal is not None:
        raise refusal


def wait_until_served(organization_id: UUID, *, max_age: float | None = None) -> Tenant:
    """Return the tenant once no pause is on.

    Raises TenantBusy after `PAUSE_MAX_SECONDS`, or if more of its requests wait than is its share.
    """
    tenant = catalog.get_tenant(organization_id, max_age=max_age)
    if tenant.pause_from is None:  # the way of nearly all
        check_served(tenant)
        return tenant
    if tenant.is_paused:
        with InShare(organization_id):  # else those who wait would take every seat
            tenant = _wait_out(tenant)
    check_served(tenant)
    return tenant


def _wait_out(tenant: Tenant) -> Tenant:
    deadline = time.monotonic() + PAUSE_MAX_SECONDS
    while tenant.is_paused:
        if time.monotonic() > deadline:
            raise TenantBusy
        time.sleep(PAUSE_POLL_SECONDS)
        tenant = catalog.get_tenant(tenant.id, max_age=PAUSE_POLL_SECONDS)
    return tenant


def is_current(tenant: Tenant) -> bool:
    """Return whether an answer computed with this snapshot still counts: one catalog read."""
    now = catalog.get_tenant(tenant.id, max_age=0)
    return (now.epoch, now.status, now.collections, now.is_paused) == (
        tenant.epoch,
        tenant.status,
        tenant.collections,
        False,
    )


def with_collection(
    organization_id: UUID,
    name: str,
    call: Call[T],
    *,
    by: str,
    noted: Violations | None = None,
) -> T:
    """Return `call(collection)` for a tenant's logical collection.

    `noted` gets what stored documents have against them if the collection's schema only warns.

    `call` may run more than once, but never after a write of its own was accepted, unless the
    collection was told that a repeat finds what came of it. Raises CollectionNotFound, what `call`
    raises, what an organization that is not served gets, and TenantBusy if it has more under way
    already than is its share.
    """
    check_collection_name(name)

    def ask() -> T:
        max_age: float | None = None
        attempts, patience = ATTEMPTS, time.monotonic() + PAUSE_MAX_SECONDS
        while attempts:
            tenant = wait_until_served(organization_id, max_age=max_age)
            max_age = 0  # whatever leads to a repeat, it is done with a fresh read
            attempts -= 1
            try:
                with InShare(organization_id):
                    return _call_at(tenant, name, call, by, noted)
            except Overslept:
                attempts += time.monotonic() < patience
            except StalePlacement:
                pass
        raise TenantBusy

    try:
        return ask()
    except _DoneElsewhere:
        return _find_out(ask)


class _DoneElsewhere(Exception):
    """A write came late; what came of it is found by the same call at the current placement."""


def _call_at(tenant: Tenant, name: str, call: Call[T], by: str, noted: Violations | None) -> T:
    """Return what a call gives at a placement, if that counts.

    That a write was accepted is said once it is where the organization is. Raises Overslept if
    nothing was sent, StalePlacement if the call has to be repeated, OutcomeUnknown, and what the
    call raises.
    """
    documents: TenantCollection | None = None
    try:
        with ClusterCall(tenant.address.uri):  # the deadline runs from here on
            _assert_fresh(tenant)
            documents = _open_collection(tenant, name, by, noted)
            answer = call(documents)
    except (DocumentNotFound, NothingToMatch, CollectionNotFound):
        if is_current(tenant):
            raise
        raise StalePlacement from None
    except StalePlacement:
        if documents is not None and documents.has_written:  # the call goes on from there
            came_late(tenant)
        raise
    if not documents.has_written:
        if is_negative(answer) and not is_current(tenant):
            raise StalePlacement
    elif not is_in_time(tenant) and came_late(tenant) and documents.is_repeatable:
        raise _DoneElsewhere
    return answer


def _find_out(repeat: Callable[[], T]) -> T:
    """Return what a repeat finds. Raises OutcomeUnknown: a refusal would not be the whole truth."""
    try:
        return repeat()
    except (TenancyError, _DoneElsewhere) as error:
        raise OutcomeUnknown(
            "The write was accepted, and what came of it cannot be found out now."
        ) from error


def foresee(
    organization_id: UUID, name: str, call: Callable[[TenantCollection], None], *, by: str
) -> None:
    """Where there is no such collection, run `call` on it as if it were made, and empty.

    `call` sends nothing. What it raises is believed if there is none even now.
    """
    check_collection_name(name)
    tenant = catalog.get_tenant(organization_id)
    if name in tenant.collections:
        return
    try:
        made = replace(tenant, collections=tenant.collections | {name})
        call(_open_collection(made, name, by, None))
    except TenancyError:
        if name not in catalog.get_tenant(organization_id, max_age=0).collections:
            raise


def at_placement(organization_id: UUID, call: Callable[[PlacementAddress], T]) -> T:
    """Return `call(address)` for the placement that still holds when it has returned.

    `call` may run more than once, and may not be undone by a move: for what is safe to repeat. It
    takes no place of the organization's share: whoever does several things does them in one.
    """
    attempts, patience = ATTEMPTS, time.monotonic() + PAUSE_MAX_SECONDS
    while attempts:
        tenant = wait_until_served(organization_id, max_age=0)
        attempts -= 1
        try:
            _assert_fresh(tenant)
            answer = call(tenant.address)
        except Overslept:  # nothing was sent: on a busy machine that is no attempt
            attempts += time.monotonic() < patience
            continue
        except StalePlacement:
            continue
        if is_current(tenant):
            return answer
    raise TenantBusy


def _assert_fresh(tenant: Tenant) -> None:
    """Raise Overslept if the thread stood still since it read the tenant: it may have moved on.

    Whatever is sent now ends one operation timeout from now: protocols rely on both bounds.
    """
    if (
        tenant.is_paused
        or seconds() - tenant.read_at > settings.TENANCY_CATALOG_TTL + SLACK_SECONDS
    ):
        raise Overslept


def is_negative(answer: object) -> bool:
    """Return whether an answer is that nothing was there."""
    if isinstance(answer, Page):
        return not answer.documents
    if isinstance(answer, Explanation):
        return not answer.returned
    if isinstance(answer, list):  # what a pipeline made of nothing may be facets without rows
        return all(isinstance(row, dict) and not any(row.values()) for row in answer)
    return isinstance(answer, int) and not answer  # nothing counted, nothing stored


def _open_collection(
    tenant: Tenant, name: str, by: str, noted: Violations | None
) -> TenantCollection:
    if name not in tenant.collections:
        raise CollectionNotFound(
            f"There is no collection “{name}” yet. Writing a first document creates it."
        )
    max_bytes = min(tenant.max_document_bytes, settings.TENANCY_MAX_DOCUMENT_BYTES)

    def confirm_absent() -> None:
        if not is_current(tenant):
            raise StalePlacement

    kept: dict[str, Any] = {
        "by": by,
        "max_bytes": max_bytes,
        "confirm_absent": confirm_absent,
        "on_change": partial(usage.record_change, tenant.id),
    }
    if check := find_check(tenant, name, noted):
        kept["check"] = check
    if tenant.max_documents is None and tenant.max_bytes is None:
        return TenantCollection(tenant.address, name, **kept)
    room = partial(usage.assert_room, tenant)
    return LimitedCollection(tenant.address, name, assert_room=room, **kept)


def decode_document(spelled: dict[str, Any]) -> dict[str, Any]:
    """Return the document that Extended JSON spells, as `TenantCollection` takes it.

    Raises InvalidDocument.
    """
    return extended_json.decode_document(spelled)


def check_default_cluster() -> None:
    """Raise ClusterUnavailable unless the default cluster answers now."""
    clients.ping(catalog.default_uri())
