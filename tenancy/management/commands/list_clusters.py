"""List the clusters."""

from typing import Any

from tenancy.lifecycle.inspection import ClusterReport, inspect_clusters, percent
from tenancy.management.clusters import failure_of, load_clusters, new_tenants, tenants_of
from tenancy.management.reporting import Report, ReportingCommand, table

HEADERS = ("ALIAS", "REGION", "REACHED", "TENANTS", "HOLDS", "FULL", "NEW TENANTS")


class Command(ReportingCommand):
    """Print every cluster: where it is, who lives there, how full it is."""

    help = "List clusters with their tenants and how full they are. Exit 1 when one has a problem."

    def act(self, **options: Any) -> Report:
        """Look at all of them at the same time."""
        reports = inspect_clusters(load_clusters())
        lines = [table(HEADERS, [_cells(report) for report in reports])]
        lines += [
            f"{report.cluster.alias}: {problem}"
            for report in reports
            for problem in report.problems
        ]
        data = {"clusters": [report.represent() for report in reports]}
        return Report(data, "\n".join(lines), failure_of(reports))


def _cells(report: ClusterReport) -> list[str]:
    facts, capacity = report.facts, report.capacity
    return [
        report.cluster.alias,
        report.cluster.region or "-",
        f"{facts.round_trip_ms} ms" if facts else "no",
        tenants_of(report),
        f"{capacity.used} of {capacity.ceiling}" if capacity else "-",
        f"{percent(capacity)} %" if capacity else "-",
        new_tenants(report),
    ]
