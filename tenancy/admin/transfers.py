"""What a move, or a transfer to another plan, would do before anybody begins it."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from tenancy import lifecycle
from tenancy.admin.bars import size_text, usage_bar
from tenancy.exceptions import TenancyError
from tenancy.lifecycle import MovePlan
from tenancy.lifecycle.move_plans import Place, choose_target, place_of, read_organization
from tenancy.lifecycle.plans import explain_excess, uses_under
from tenancy.models import Operation, Organization, Plan
from tenancy.names import Kind


@dataclass(frozen=True)
class TransferPlan:
    """What `transfer_organization` is going to do, and what it is going to refuse."""

    facts: list[tuple[str, Any]]
    stamp: str
    target: Place | None
    notes: list[str]
    against: list[str]


def what_is_against(organization: Organization) -> list[str]:
    """Return why no operation can begin now."""
    row = _blocking(organization)
    return [f"Another operation is running: {row}, after the step “{row.step}”."] if row else []


def move_under_way(organization: Organization, target: Place) -> Operation | None:
    """Return the move to a place that is under way: somebody clicked twice."""
    row = _blocking(organization)
    is_same = row is not None and row.kind == "move" and row.params["target"] == vars(target)
    return row if is_same else None


def _blocking(organization: Organization) -> Operation | None:
    return organization.operations.open().filter(blocking=True).first()


def move_facts(plan: MovePlan) -> list[tuple[str, Any]]:
    """Return the plan of a move in figures."""
    return [
        ("From", plan.source),
        ("To", plan.target),
        ("Documents", f"{plan.documents:,}"),
        ("Size", size_text(plan.bytes)),
        ("Collections", f"{plan.collections:,}, with {plan.indexes:,} declared indexes"),
        ("Takes about", f"{plan.seconds:,.0f} seconds"),
        ("Requests wait for", f"about {plan.pause_seconds:.2f} seconds, once"),
    ]


def plan_transfer(organization: Organization, plan: Plan, *, move: bool) -> TransferPlan:
    """Return what a transfer would do. Raises what choosing the place of a move raises."""
    row = read_organization(organization.pk)
    before, source = row.plan, place_of(row)
    row.plan, row.region = plan, plan.region or row.region
    is_abroad = bool(row.region) and row.placement.cluster.region != row.region
    leaves = is_abroad or source.kind != plan.default_kind
    target = choose_target(row, cast(Kind, plan.default_kind), None) if move and leaves else None
    facts = [("Plan", f"{before} -> {plan}"), ("Region", row.region or "bound to none")]
    facts += _move_facts(row, source, target) if target else [("Place", f"It stays: {source}")]
    notes, against = [], _over_limits(row, plan)
    if is_abroad and not move:
        against.append(f"The plan is for region “{row.region}”: its data has to move there.")
    elif leaves and not move:
        notes.append(f"The plan would place it as kind {plan.default_kind}; it is not moved.")
    stamp = f"{row.placement.epoch}: {before} -> {plan}, {source} -> {target}"
    return TransferPlan([*facts, *_limits(row, plan)], stamp, target, notes, against)


def _move_facts(row: Organization, source: Place, target: Place) -> list[tuple[str, Any]]:
    """Return the figures of the move; of one to another region the places alone are known."""
    with suppress(TenancyError):
        return move_facts(lifecycle.plan_move(row.pk, target.kind, cluster=target.cluster))
    return [("From", source), ("To", target)]


def _limits(organization: Organization, plan: Plan) -> list[tuple[str, Any]]:
    return [
        (f"Its {name} under it", usage_bar(name, used, limit))
        for name, used, limit in uses_under(organization, plan)
    ]


def _over_limits(organization: Organization, plan: Plan) -> list[str]:
    return [
        explain_excess(plan, name, used, limit)
        for name, used, limit in uses_under(organization, plan)
        if limit is not None and used > limit
    ]
