"""What the commands share: they act, then report as text or as JSON, and fail with one sentence.

Exit codes: 0 done; 1 refused, failed or something is wrong; 2 the command line cannot be read.
"""

import argparse
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor

from tenancy import catalog
from tenancy.exceptions import OrganizationNotFound, TenancyError
from tenancy.models import Operation, Organization
from tenancy.wording import nearest

LIST_DEFAULT = 100
LIST_MAX = 10_000
SLUGS_COMPARED = 10_000
CATALOG_NOT_READY = "The catalog is not ready: run manage.py migrate or make run."
CATALOG_NOT_REACHED = "The catalog was not reached: is its server up, and is DATABASE_URL right?"
CATALOG_SILENT = "The catalog did not answer. Try again in a moment."

NOT_UTF_8 = "An argument is not UTF-8 text."


class Failed(CommandError):
    """The command did not do it, or found something wrong. Django prints this name before it."""


@dataclass(frozen=True)
class Report:
    """What a command has to say: `data` for programs, `text` for people.

    With a `failure`, that sentence goes to standard error and the exit code is 1.
    """

    data: Any
    text: str
    failure: str = ""


class ReportingCommand(BaseCommand):
    """A command that prints the report of its `act`."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Add the option that every reporting command has."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="Print one JSON value."
        )
        return parser

    @property
    def actor(self) -> str:
        """Who acts, for the audit: `command:<name>`."""
        return f"command:{type(self).__module__.rpartition('.')[2]}"

    def act(self, *args: Any, **options: Any) -> Report:
        """Do what the command is for, and return what to say about it."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        """Act and print; turn what is known to go wrong into a sentence."""
        as_json = bool(options["as_json"])
        if not _is_text([*args, *options.values()]):
            raise self._failed("invalid_argument", NOT_UTF_8, as_json=as_json, exit_code=2)
        try:
            report = self.act(**options)
        except TenancyError as error:
            raise self._failed(error.code, _sentence(error), as_json=as_json) from error
        except (DatabaseError, InterfaceError) as error:
            raise self._failed("catalog_unavailable", _why_no_catalog(), as_json=as_json) from error
        self.stdout.write(_to_json(report.data) if as_json else report.text)
        if report.failure:
            raise Failed(report.failure)

    def _failed(self, code: str, sentence: str, *, as_json: bool, exit_code: int = 1) -> Failed:
        if as_json:
            self.stdout.write(_to_json({"error": {"code": code, "detail": sentence}}))
        return Failed(sentence, returncode=exit_code)


def _is_text(values: Iterable[Any]) -> bool:
    """Return whether every text can be written; Python reads other bytes as lone surrogates."""
    try:
        for value in values:
            str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _sentence(error: TenancyError) -> str:
    reasons = [field.message for field in error.errors if field.message != error.detail]
    return " ".join(filter(None, [error.detail, *reasons, error.hint]))


def _to_json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)


def _why_no_catalog() -> str:
    """Return what is wrong with the catalog: its server, its schema, or it is only slow."""
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError):
        return CATALOG_NOT_REACHED
    return CATALOG_SILENT if _is_migrated() else CATALOG_NOT_READY


def _is_migrated() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, InterfaceError):
        return False


def find_organization(text: str) -> Organization:
    """Return the organization with this slug or id, or raise OrganizationNotFound."""
    found = catalog.find_organization(text)
    if found is None:
        try:
            found = Organization.objects.existing().filter(pk=UUID(text)).first()
        except ValueError:
            found = None
    if found is None:
        slugs = Organization.objects.existing().values_list("slug", flat=True)[:SLUGS_COMPARED]
        near = nearest(text, [slug for slug in slugs if slug])
        raise OrganizationNotFound(f"There is no organization “{text}”.{near}")
    return found


def add_organization_argument(parser: CommandParser) -> None:
    """Let the command line name an organization."""
    parser.add_argument("organization", help="The organization's slug or id.")


def add_limit_argument(parser: CommandParser) -> None:
    """Let the command line say how many rows a list may have."""
    parser.add_argument(
        "--limit", type=_limit, default=LIST_DEFAULT, metavar="N",
        help=f"How many rows at most, 1 to {LIST_MAX} (default {LIST_DEFAULT}).",
    )  # fmt: skip


def _limit(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= LIST_MAX:
        raise argparse.ArgumentTypeError(f"a number from 1 to {LIST_MAX} is needed")
    return number


def represent_organization(organization: Organization) -> dict[str, Any]:
    """Return an organization as operators see it. A purged one has no place."""
    placement = getattr(organization, "placement", None)
    return {
        "id": str(organization.pk),
        "name": organization.name,
        "slug": organization.slug,
        "status": organization.status,
        "kind": placement.kind if placement else None,
        "cluster": placement.cluster.alias if placement else None,
        "namespace": placement.namespace if placement else None,
        "plan": organization.plan.code,
        "region": organization.region or None,
        "created_at": organization.created_at,
        "purge_after": organization.purge_after,
    }


def represent_operation(operation: Operation) -> dict[str, Any]:
    """Return an operation as operators see it."""
    organization = operation.organization
    return {
        "id": str(operation.pk),
        "kind": operation.kind,
        "organization": (organization.slug or str(organization.pk)) if organization else None,
        "step": operation.step,
        "status": operation.status,
        "progress": represent_progress(operation),
        "attempts": operation.attempts,
        "cancel_requested": operation.cancel_requested,
        "by": operation.by,
        "not_before": operation.not_before,
        "created_at": operation.created_at,
        "ended_at": operation.ended_at,
        "error": operation.error or None,
    }


def represent_progress(operation: Operation) -> dict[str, Any]:
    """Return how far an operation is; without a total, its kind does not count or has not yet."""
    done, total = operation.progress_done, operation.progress_total
    return {
        "done": done,
        "total": total,
        "percent": done * 100 // total if total else None,
        "unit": operation.state.get("unit") or "documents",
    }


def told_progress(progress: dict[str, Any]) -> str:
    """Return a progress as tables show it."""
    if not progress["total"]:
        return "-"
    return f"{progress['done']:,}/{progress['total']:,} {progress['percent']} %"


def when_due(operation: Operation) -> str:
    """Return when the rest of an operation is done, and by whom."""
    return (
        f"at {written(operation.not_before)} UTC, by the running service "
        "or by manage.py resume_operations --wait 30"
    )


def written(moment: datetime | None) -> str:
    """Return a time as tables show it: to the second, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "-"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it takes one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows under their headers, in aligned columns."""
    cells = [list(headers), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


def _width(text: str) -> int:
    """Return the columns that a terminal gives the text."""
    return sum(
        0 if unicodedata.combining(character) or unicodedata.category(character) == "Cf"
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )  # fmt: skip
