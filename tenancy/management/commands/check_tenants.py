"""Compare the catalog with MongoDB."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from tenancy.doctor import Examination, FindingGroup, Scope, check_tenants, group_findings
from tenancy.lifecycle.clusters import get_cluster
from tenancy.management.reporting import Report, ReportingCommand, counted, find_organization
from tenancy.models import Cluster

GROUPS_MAX = 50


class Command(ReportingCommand):
    """Say what is wrong between catalog and MongoDB; mend what is safe to mend."""

    help = (
        "Compare the catalog with every cluster. Exit 1 when something is wrong and not repaired; "
        "a warning is not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to repair, and what to look at."""
        parser.add_argument(
            "--repair", action="store_true", help="Repair what is provably safe to repair."
        )
        parser.add_argument(
            "--organization", help="Tell of this organization only: its slug or id.", default=""
        )
        parser.add_argument("--cluster", help="Look at this cluster only.", default="")

    def act(
        self, *, repair: bool, organization: str = "", cluster: str = "", **options: Any
    ) -> Report:
        """Examine, and repair if asked to."""
        scope = Scope(find_organization(organization).pk if organization else None, _alias(cluster))
        result = check_tenants(repair=repair, by=self.actor, scope=scope)
        data = asdict(result) | {"wrong": len(result.wrong)}
        return Report(data, "\n".join(_lines(result)), _failure(len(result.wrong)))


def _alias(cluster: str) -> str | None:
    if cluster in {"", Cluster.DEFAULT}:
        return cluster or None
    return get_cluster(cluster).alias


def _lines(result: Examination) -> Iterator[str]:
    groups = group_findings(result.findings)
    for group in groups[:GROUPS_MAX]:
        yield from _described(group)
    if len(groups) > GROUPS_MAX:
        yield f"... and {counted(len(groups) - GROUPS_MAX, 'group')} more: --json lists all."
    for group in group_findings(result.warnings)[:GROUPS_MAX]:
        yield from _described(group, "warning: ")
    checked = (
        f"Checked {counted(result.organizations, 'organization')}, "
        f"{counted(result.collections, 'collection')}"
    )
    if result.clusters != 1:
        checked += f", {counted(result.clusters, 'cluster')}"
    if not result.findings:
        yield f"{checked}: nothing wrong."
        return
    repaired = len(result.findings) - len(result.wrong)
    yield f"{checked}: {counted(len(result.findings), 'finding')}, {repaired} repaired."


def _described(group: FindingGroup, prefix: str = "") -> Iterator[str]:
    """Return what is said of a group once, and the first of those of which it is said."""
    times = f" ({group.count})" if group.count > 1 else ""
    yield f"{prefix}{group.code}{times}: {group.what}"
    yield from (f"    {example}" for example in group.examples)
    if group.count > len(group.examples):
        yield f"    ... and {group.count - len(group.examples)} more: --json lists all."
    yield f"    {group.outcome}"


def _failure(wrong: int) -> str:
    if not wrong:
        return ""
    return "One thing is wrong." if wrong == 1 else f"{wrong} things are wrong."
