"""What the commands about clusters share. A URI is read here, and printed nowhere."""

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.lifecycle.inspection import ClusterReport
from tenancy.management.reporting import counted, find_organization
from tenancy.models import Cluster

URI_VARIABLE = "TENANTRY_CLUSTER_URI"
STANDARD_INPUT = "-"
URI_MAX_CHARACTERS = 8_192


def add_uri_arguments(parser: CommandParser) -> None:
    """Let the command line say where the URI is; itself it is no place for a password."""
    parser.add_argument(
        "--uri-file",
        metavar="FILE",
        help=f"A file that holds the URI; - is standard input. Else it is in {URI_VARIABLE}.",
    )
    parser.add_argument(
        "--force", action="store_true", help="Use it though the examination finds it unfit."
    )


def find_uri(uri_file: str | None) -> str:
    """Return the URI that was given, or ''. Raises ValidationFailed for a file that is no URI."""
    if uri_file is None:
        return os.environ.get(URI_VARIABLE, "").strip()
    try:
        text = _read(uri_file).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"The file {uri_file} cannot be read.") from error
    if not text or len(text) > URI_MAX_CHARACTERS or len(text.split()) > 1:
        raise _wrong("What was given is not one URI.")
    return text


def _read(uri_file: str) -> str:
    if uri_file == STANDARD_INPUT:
        return sys.stdin.read(URI_MAX_CHARACTERS + 1)
    with Path(uri_file).open() as file:
        return file.read(URI_MAX_CHARACTERS + 1)


def get_uri(uri_file: str | None) -> str:
    """Return the URI that was given. Raises ValidationFailed if there is none."""
    uri = find_uri(uri_file)
    if not uri:
        raise _wrong(
            f"A URI is needed: in {URI_VARIABLE}, in a file with --uri-file FILE, or on standard "
            "input with --uri-file -."
        )
    return uri


def _wrong(message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError("/uri", "invalid", message)])


def add_trait_arguments(parser: CommandParser) -> None:
    """Let the command line say what a cluster is for."""
    parser.add_argument("--region", help="Where it is, such as eu-central.")
    parser.add_argument(
        "--database", help="Of shared and own collections; else that of TENANCY_DATABASE."
    )
    parser.add_argument(
        "--dedicated-to", metavar="SLUG", help="The organization whose own it is: slug or id."
    )
    parser.add_argument(
        "--ceiling", type=int, metavar="N", help="How many collections and indexes it may hold."
    )
    parser.add_argument("--note", help="For operators.")


def traits_given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the traits that the command line gives."""
    names = ("region", "database", "ceiling", "note")
    given = {name: options[name] for name in names if options[name] is not None}
    if options["dedicated_to"]:
        given["dedicated_to"] = find_organization(options["dedicated_to"])
    return given


def load_clusters() -> list[Cluster]:
    """Return every cluster; the default one is always there."""
    Cluster.objects.get_or_create(alias=Cluster.DEFAULT)
    return list(Cluster.objects.select_related("dedicated_to"))


def describe(report: ClusterReport) -> str:
    """Return a report in lines: the facts, then what is wrong and what could be better."""
    lines = [f"{name:<14}{value}" for name, value in _facts(report)]
    lines += [f"Wrong: {problem}" for problem in report.problems]
    lines += [f"Note: {note}" for note in report.notes]
    return "\n".join(lines)


def _facts(report: ClusterReport) -> list[tuple[str, str]]:
    data = report.represent()
    facts, load = report.facts, report.facts.load if report.facts else None
    rows: list[tuple[str, object]] = [
        ("Cluster", data["alias"]),
        ("Region", data["region"] or "-"),
        ("Database", data["database"]),
        ("New tenants", new_tenants(report)),
        ("Tenants", tenants_of(report)),
    ]
    if facts is not None and load is not None:
        rows += [
            ("Deployment", f"{facts.topology}, MongoDB {facts.version}"),
            ("Hosts", ", ".join(facts.hosts)),
            ("Round trip", f"{facts.round_trip_ms} ms"),
            ("Write concern", known(facts.write_concern)),
            ("JavaScript", {True: "runs", False: "off", None: "unknown"}[facts.javascript]),
            ("Oplog", f"{known(facts.oplog_hours)} hours"),
            ("Connections", known(load.connections)),
            ("Open files", f"at most {known(load.max_open_files)}"),
            ("Holds", f"{known(data['used'])} of {data['ceiling']} collections and indexes"),
            ("Full", f"{data['capacity_percent']} %"),
        ]
    return [(name, str(value)) for name, value in rows]


def known(value: object) -> object:
    """Return a value, or that it is unknown."""
    return "unknown" if value is None else value


def new_tenants(report: ClusterReport) -> str:
    """Return who may be placed there."""
    row = report.cluster
    if row.dedicated_to:
        return f"{row.dedicated_to.slug} only"
    return "yes" if row.accepts_new else "no"


def tenants_of(report: ClusterReport) -> str:
    """Return how many organizations live there, by kind."""
    parts = [f"{count} {kind}" for kind, count in report.tenants.items() if count]
    return ", ".join(parts) or "none"


def failure_of(reports: list[ClusterReport]) -> str:
    """Return the sentence that ends a command which found something wrong, or ''."""
    wrong = sum(len(report.problems) for report in reports)
    return f"{counted(wrong, 'problem')} found." if wrong else ""
