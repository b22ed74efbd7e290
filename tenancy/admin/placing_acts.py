"""Acts that change where an organization lives, or make another one: move, transfer, clone.

They take minutes: a worker does them, and the page of the operation shows how far it is.
"""

from typing import Any, cast

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget

from tenancy import lifecycle
from tenancy.admin.act_forms import (
    Act,
    ActForm,
    NameForm,
    Outcome,
    Planned,
    is_living,
    name_rules,
)
from tenancy.admin.records import page_of
from tenancy.admin.transfers import move_facts, move_under_way, plan_transfer, what_is_against
from tenancy.exceptions import OperationRunning
from tenancy.lifecycle.move_plans import Place, place_of
from tenancy.models import Cluster, Organization, Plan
from tenancy.names import KINDS, Kind

CHOICES_MAX = 500
BEGUN = "Begun: the background worker does it; its operation shows how far it is."
BEGUN_ALREADY = "It has begun already: its operation shows how far it is."


class MoveForm(ActForm):
    """Where to."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in KINDS])
    cluster = forms.ChoiceField(required=False, help_text="Or let the one be chosen that suits.")

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(organization, *args, **kwargs)
        rows = Cluster.objects.values_list("alias", "region")[:CHOICES_MAX]
        named = [(alias, f"{alias} ({region})" if region else alias) for alias, region in rows]
        cast(forms.ChoiceField, self.fields["cluster"]).choices = [("", "choose for me"), *named]
        self.initial["kind"] = organization.placement.kind


class TransferForm(ActForm):
    """The new plan."""

    plan = forms.ChoiceField()
    move = forms.BooleanField(
        required=False, initial=True, label="Move it",
        help_text="To the kind of placement and the region of the plan, if it is not there.",
    )  # fmt: skip

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(organization, *args, **kwargs)
        codes = Plan.objects.values_list("code", flat=True)[:CHOICES_MAX]
        cast(forms.ChoiceField, self.fields["plan"]).choices = [(code, code) for code in codes]
        self.initial["plan"] = organization.plan.code


class CloneForm(NameForm, ActForm):
    """The name of the clone."""

    name = forms.CharField(strip=False, widget=AdminTextInputWidget, label="Name of the clone")


def _explain_move(organization: Organization, form: ActForm) -> list[str]:
    return [
        f"It is served all the time: until then from {place_of(organization)}.",
        "Documents are copied and compared; then requests wait for a moment, and none fails.",
        "Up to that moment it can be cancelled, on the page of the operation.",
    ]


def _plan_move(organization: Organization, given: dict[str, Any]) -> Planned:
    kind, wanted = cast(Kind, given["kind"]), given["cluster"] or None
    plan = lifecycle.plan_move(organization.pk, kind, cluster=wanted)
    stamp = f"{organization.placement.epoch}: {plan.source} -> {plan.target}"
    return Planned(
        move_facts(plan), stamp, lambda by: _begin_move(organization, plan.target, by),
        plan.notes, what_is_against(organization),
    )  # fmt: skip


def _begin_move(organization: Organization, target: Place, by: str) -> Outcome:
    try:
        run = lifecycle.begin_move(
            organization.pk, target.kind, cluster=target.cluster, by=by, leased=False
        )
    except OperationRunning:
        begun = move_under_way(organization, target)
        if begun is None:
            raise
        return BEGUN_ALREADY, page_of(begun)
    return BEGUN, page_of(run.operation)


def _explain_transfer(organization: Organization, form: ActForm) -> list[str]:
    return [
        f"The plan is “{organization.plan}” now; limits of the new one hold at once.",
        "A plan may want another kind of placement or another region: then a move begins, too.",
    ]


def _plan_transfer(organization: Organization, given: dict[str, Any]) -> Planned:
    plan = lifecycle.get_plan(given["plan"])
    transfer = plan_transfer(organization, plan, move=given["move"])

    def begin(by: str) -> Outcome:
        done = lifecycle.transfer_organization(organization.pk, plan, by=by, move=given["move"])
        told = f"The plan is now “{done.after}”; before, it was “{done.before}”."
        return told if done.move is None else (f"{told} {BEGUN}", page_of(done.move.operation))

    against = [*transfer.against, *(what_is_against(organization) if transfer.target else [])]
    return Planned(transfer.facts, transfer.stamp, begin, transfer.notes, against)


def _explain_clone(organization: Organization, form: ActForm) -> list[str]:
    kind = organization.placement.kind
    placed = "in a database of its own" if kind == "cluster" else f"as this one: {kind}"
    return [
        "The clone gets the documents, indexes and definitions, and no people.",
        f"Its plan is “{organization.plan}”, its region the same; it is placed {placed}.",
        "The organization itself is served all the time.",
        *name_rules(),
    ]


def _clone(organization: Organization, given: dict[str, Any], by: str) -> Outcome:
    run = lifecycle.begin_clone(organization.pk, given["name"], by=by, leased=False)
    return BEGUN, page_of(run.operation)


PLACING_ACTS = (
    Act("move", "Move", is_living, _explain_move, form=MoveForm, plan=_plan_move),
    Act(
        "transfer", "Transfer to plan", is_living, _explain_transfer, form=TransferForm,
        plan=_plan_transfer,
    ),
    Act("clone", "Clone", is_living, _explain_clone, _clone, CloneForm),
)  # fmt: skip
