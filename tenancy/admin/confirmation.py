"""The page between a button and its act: a GET says what will happen, a POST lets it happen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from tenancy.admin.act_forms import Outcome, Planned
from tenancy.admin.records import RecordAdmin, may_view
from tenancy.exceptions import TenancyError
from tenancy.models import Operation

PREVIEW = "_preview"
STAMP = "_stamp"  # of the plan that was shown, and is confirmed
STALE = "Things have changed since the plan was shown. This is the plan now."
# Runs the act on the cleaned input; returns a sentence for the operator and where to go on.
Perform = Callable[[dict[str, Any]], tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """What a confirmation page says: `lines` in plain words, `names` of what is concerned."""

    title: str
    lines: Sequence[str]
    button: str
    back: str
    subtitle: str = ""
    names: Sequence[str] = ()
    hidden: Sequence[tuple[str, str]] = ()
    is_destructive: bool = False
    has_preview: bool = False
    leave: str = "Cancel"
    plan: Planned | None = None


def posted(request: HttpRequest) -> Any:
    """Return the input of a POST; None for anything else, so that a form stays unbound."""
    return request.POST if request.method == "POST" else None


def confirm(
    model_admin: RecordAdmin[Any],
    request: HttpRequest,
    page: Page,
    form: forms.Form,
    perform: Perform,
) -> HttpResponse:
    """Show the page; on a valid POST act and go on. A TenancyError is shown on the page."""
    if form.is_bound and form.is_valid() and PREVIEW not in request.POST:
        try:
            message, url = perform(form.cleaned_data)
        except TenancyError as error:
            show_error(form, error)
        else:
            messages.success(request, message)
            return HttpResponseRedirect(url)
    return render_page(model_admin, request, page, form)


def confirm_plan(
    model_admin: RecordAdmin[Any],
    request: HttpRequest,
    page: Page,
    form: forms.Form,
    make_plan: Callable[[dict[str, Any]], Planned],
    *,
    by: str,
) -> HttpResponse:
    """Ask; show the plan for what was given; act only if the plan confirmed is the plan now."""
    ask = replace(page, button=f"{page.button}: show the plan")
    if not form.is_bound or not form.is_valid():
        return render_page(model_admin, request, ask, form)
    try:
        plan = make_plan(form.cleaned_data)
        confirmed = request.POST.get(STAMP)
        if confirmed == plan.stamp:
            message, url = where_to_go_on(request, plan.begin(by), page.back)
            messages.success(request, message)
            return HttpResponseRedirect(url)
    except TenancyError as error:
        show_error(form, error)
        return render_page(model_admin, request, ask, form)
    if confirmed is not None and confirmed != plan.stamp:
        form.add_error(None, STALE)
    return render_page(model_admin, request, replace(page, plan=plan), form)


def where_to_go_on(request: HttpRequest, outcome: Outcome, back: str) -> tuple[str, str]:
    """Return the sentence and the page after an act: of its operation, if that may be seen."""
    if isinstance(outcome, str):
        return outcome, back
    message, url = outcome
    return message, url if may_view(request, Operation) else back


def show_error(form: forms.Form, error: TenancyError) -> None:
    """Put the reason beside the field it is about, or above the form."""
    for problem in error.errors:
        name = problem.pointer.removeprefix("/")
        form.add_error(name if name in form.fields else None, problem.message)
    if not error.errors:
        form.add_error(None, f"{error.detail} {error.hint}".strip())


def render_page(
    model_admin: RecordAdmin[Any], request: HttpRequest, page: Page, form: forms.Form
) -> TemplateResponse:
    """Return the page."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": page.title,
        "subtitle": page.subtitle,
        "page": page,
        "form": form,
        "preview": PREVIEW,
        "stamp": STAMP,
    }
    return TemplateResponse(request, "admin/tenancy/confirmation.html", context)
