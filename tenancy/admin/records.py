"""Catalog rows as pages to read: no form, but buttons above and short tables below."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import GenericAlias
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

Row = TypeVar("Row", bound=models.Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
else:

    class ModelAdmin(admin.ModelAdmin):
        """Django's, with the row type written in brackets."""

        __class_getitem__ = classmethod(GenericAlias)


TABLE_MAX_ROWS = 20
ACTOR_NAME_CHARACTERS = 18  # the longest name of a command, or enough of an id
LIST_TEXT_CHARACTERS = 80
NOTHING = "-"  # what Django's admin shows for a field without a value
# What finds the organization that a row belongs to: names and addresses, also former ones.
ORGANIZATION_SEARCH = (
    "organization__name",
    "organization__slug",
    "organization__slugs__slug",
    "organization__id",
)


@dataclass(frozen=True)
class Tool:
    """A button above a record."""

    label: str
    url: str


@dataclass(frozen=True)
class Cell:
    """A value in a table, with the page it leads to."""

    value: Any
    url: str = ""


@dataclass(frozen=True)
class Table:
    """The latest related rows of a record, and the way to all of them."""

    model: type[models.Model]
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str
    all_url: str = field(default="")


def actor_of(request: HttpRequest) -> str:
    """Return the operator as an actor for the audit."""
    return f"user:{request.user.pk}"


def page_of(row: models.Model) -> str:
    """Return the address of a row's page."""
    return reverse(f"admin:{_route(type(row))}_change", args=[row.pk])


def list_of(model: type[models.Model], **filters: Any) -> str:
    """Return the address of a model's list, filtered."""
    url = reverse(f"admin:{_route(model)}_changelist")
    return f"{url}?{urlencode(filters)}" if filters else url


def _route(model: type[models.Model]) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"  # noqa: SLF001


def may_view(request: HttpRequest, model: type[models.Model]) -> bool:
    """Return whether the operator may see rows of a model."""
    shown = admin.site.get_model_admin(model)
    return shown.has_view_permission(request)


def short_actor(actor: str) -> str:
    """Return enough of an actor to tell it from others in a list."""
    kind, _, name = actor.partition(":")
    is_short = len(name) <= ACTOR_NAME_CHARACTERS
    return actor if is_short else f"{kind}:{name[:ACTOR_NAME_CHARACTERS]}…"


def as_json(value: Any) -> str:
    """Return a JSON value as it is read best on a page."""
    if not value:
        return NOTHING
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="tenantry-json">{}</pre>', text)


def shortened(text: str) -> str:
    """Return enough of a text to recognise it in a list."""
    is_short = len(text) <= LIST_TEXT_CHARACTERS
    return text if is_short else f"{text[:LIST_TEXT_CHARACTERS]}…"


class UndeletableAdmin(ModelAdmin[Row]):
    """Rows that nobody deletes by hand."""

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Refuse."""
        return False


class RecordAdmin(UndeletableAdmin[Row]):
    """Rows that operators read and nobody edits."""

    change_form_template = "admin/tenancy/record.html"
    show_full_result_count = False

    class Media:
        css = {"all": ["tenancy/admin.css"]}

    @admin.display(description="created", ordering="created_at")
    def created(self, row: Row) -> str:
        """Return when the row was created, in few characters."""
        return f"{getattr(row, 'created_at'):%Y-%m-%d %H:%M}"  # noqa: B009 -- not every model's

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Refuse; who may change rows of the model may still see them."""
        return False

    def tools(self, request: HttpRequest, record: Row) -> list[Tool]:
        """Return the buttons of a record."""
        return []

    def tables(self, request: HttpRequest, record: Row) -> Iterable[Table]:
        """Return the tables below a record; those the operator may not view are left out."""
        return []

    def refresh_seconds(self, record: Row) -> int:
        """Return after how many seconds the page shows itself anew; 0: never."""
        return 0

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the buttons and tables."""
        record = context.get("original")
        if record is not None:
            tables = self.tables(request, record)
            context["tables"] = [table for table in tables if may_view(request, table.model)]
            context["tools"] = self.tools(request, record)
            context["refresh_seconds"] = self.refresh_seconds(record)
        return super().render_change_form(request, context, *args, **kwargs)
