"""Transfer an organization to another plan; that may move it, too."""

from dataclasses import dataclass
from typing import cast
from uuid import UUID

from django.db import transaction

from tenancy import catalog
from tenancy.audit import record_event
from tenancy.exceptions import (
    FieldError,
    NotFound,
    OperationRunning,
    PlanLimitReached,
    ValidationFailed,
)
from tenancy.lifecycle.move_plans import MOVABLE, Place, choose_target, read_organization
from tenancy.lifecycle.moving import reserve_move
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Operation, Organization, Plan, Usage
from tenancy.names import Kind
from tenancy.operations import Run


@dataclass(frozen=True)
class Transfer:
    """What a transfer did: the plan before, and the move that it began, if any."""

    before: str
    after: str
    move: Run | None


def get_plan(code: str) -> Plan:
    """Return the plan of this code, or raise NotFound."""
    row = Plan.objects.filter(code=code).first()
    if row is None:
        raise NotFound(f"There is no plan “{code}”.")
    return row


def transfer_organization(
    organization_id: UUID, plan: Plan, *, by: str, move: bool = True, leased: bool = False
) -> Transfer:
    """Give an organization another plan. Its region becomes the plan's, where that has one.

    With `move`, a move is begun to the plan's kind of placement and region if they differ;
    with `leased`, the caller goes on with it, else a worker does. Raises PlanLimitReached if
    more is in use than the plan allows, ValidationFailed if it lives in another region and is
    not to be moved, and what beginning a move raises; then nothing has changed.
    """
    organization = read_organization(organization_id)
    before = organization.plan.code
    organization.plan, organization.region = plan, plan.region or organization.region
    _check_limits(organization, plan)
    target = _target_of(organization, move=move)
    with transaction.atomic():
        lock_organization(organization_id, *MOVABLE)
        if Operation.objects.open().filter(organization_id=organization_id, blocking=True).exists():
            raise OperationRunning  # a move would end where the plan does not want it
        Organization.objects.filter(pk=organization_id).update(
            plan=plan, region=organization.region
        )
        if before != plan.code:
            record_event(organization, "organization.transferred", by=by, old=before, new=plan.code)
        run = reserve_move(organization, target, by=by, leased=leased) if target else None
    catalog.forget_tenant(organization_id)
    return Transfer(before, plan.code, run)


def _target_of(organization: Organization, *, move: bool) -> Place | None:
    """Return where the organization has to go, or None if it may stay."""
    here, kind = organization.placement, cast(Kind, organization.plan.default_kind)
    is_abroad = bool(organization.region) and here.cluster.region != organization.region
    if is_abroad and not move:
        raise _abroad(organization.region)
    wanted = move and (is_abroad or here.kind != kind)
    return choose_target(organization, kind, None) if wanted else None


def _abroad(region: str) -> ValidationFailed:
    message = f"The plan is for region “{region}”, and the data lies elsewhere: it has to move."
    return ValidationFailed(message, errors=[FieldError("/plan", "not_placeable", message)])


def uses_under(organization: Organization, plan: Plan) -> list[tuple[str, int, int | None]]:
    """Return what an organization uses beside what a plan allows: name, used, limit or None."""
    usage = Usage.objects.filter(organization=organization).first() or Usage()
    return [
        ("documents", usage.documents, plan.max_documents),
        ("bytes", usage.bytes, plan.max_bytes),
        ("collections", organization.collections.count(), plan.max_collections),
    ]


def explain_excess(plan: Plan, name: str, used: int, limit: int) -> str:
    """Return why a plan is too small."""
    return f"The plan “{plan.code}” allows {limit:,} {name}, and {used:,} are in use."


def _check_limits(organization: Organization, plan: Plan) -> None:
    """Refuse a plan under which the organization could not have what it has."""
    for name, used, limit in uses_under(organization, plan):
        if limit is not None and used > limit:
            raise PlanLimitReached(
                explain_excess(plan, name, used, limit),
                extra={"limit": limit, "used": used, "name": name},
            )
