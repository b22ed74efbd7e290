"""Acts on several organizations at once, after a page that names them."""

from collections.abc import Callable, Sequence
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from tenancy import lifecycle
from tenancy.admin.act_forms import Act
from tenancy.admin.acts import ACTS
from tenancy.admin.confirmation import Page, render_page
from tenancy.admin.records import RecordAdmin, actor_of, list_of
from tenancy.exceptions import TenancyError
from tenancy.models import Organization

SELECTION_MAX_ORGANIZATIONS = 500
REFUSALS_SHOWN = 10


def act_on_selected(
    model_admin: RecordAdmin[Organization],
    request: HttpRequest,
    queryset: QuerySet[Organization],
    name: str,
) -> HttpResponse | None:
    """Ask for confirmation, then act on each; return None to go back to the list."""
    chosen = list(queryset[: SELECTION_MAX_ORGANIZATIONS + 1])
    act = ACTS[name]
    if len(chosen) > SELECTION_MAX_ORGANIZATIONS:
        messages.error(request, f"Select at most {SELECTION_MAX_ORGANIZATIONS} organizations.")
    elif "confirmed" not in request.POST:
        return render_page(model_admin, request, _selection_page(chosen, act), forms.Form())
    else:
        _report(request, act, *_change_each(chosen, CHANGES[name], actor_of(request)))
    return None


def _suspend(organization_id: UUID, by: str) -> bool:
    return lifecycle.suspend_organization(organization_id, by=by)


def _resume(organization_id: UUID, by: str) -> bool:
    return lifecycle.resume_organization(organization_id, by=by)


CHANGES: dict[str, Callable[[UUID, str], bool]] = {"suspend": _suspend, "resume": _resume}


def _selection_page(chosen: Sequence[Organization], act: Act) -> Page:
    selected = [(ACTION_CHECKBOX_NAME, str(organization.pk)) for organization in chosen]
    return Page(
        title=f"{act.label} selected organizations",
        lines=act.explain(chosen[0], act.form(chosen[0])),
        names=[f"{each} ({each.get_status_display().lower()})" for each in chosen],
        button=act.label,
        back=list_of(Organization),
        hidden=[("action", f"{act.name}_selected"), ("confirmed", "yes"), *selected],
    )


def _change_each(
    chosen: Sequence[Organization], change: Callable[[UUID, str], bool], by: str
) -> tuple[int, list[str]]:
    """Return how many changed, and why the others did not."""
    changed, refused = 0, []
    for organization in chosen:
        try:
            changed += change(organization.pk, by)
        except TenancyError as error:
            refused.append(f"“{organization}”: {error.detail}")
    return changed, refused


def _report(request: HttpRequest, act: Act, changed: int, refused: list[str]) -> None:
    plural = "" if changed == 1 else "s"
    messages.success(request, f"{act.label}: {changed} organization{plural} changed.")
    for reason in refused[:REFUSALS_SHOWN]:
        messages.error(request, reason)
    if len(refused) > REFUSALS_SHOWN:
        messages.error(request, f"{len(refused) - REFUSALS_SHOWN} more were refused.")
