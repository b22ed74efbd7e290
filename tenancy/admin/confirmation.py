"""The page between a button and its act: a GET says what will happen, a POST lets it happen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from tenancy.admin.records import RecordAdmin
from tenancy.exceptions import TenancyError

PREVIEW = "_preview"
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
    }
    return TemplateResponse(request, "admin/tenancy/confirmation.html", context)
