"""Compare the catalog with MongoDB."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from tenancy.doctor import Finding, check_tenants
from tenancy.management.reporting import Report, ReportingCommand, counted


class Command(ReportingCommand):
    """Say what is wrong between catalog and MongoDB; mend what is safe to mend."""

    help = "Compare the catalog with MongoDB. Exit 1 when something is wrong and not repaired."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to repair."""
        parser.add_argument(
            "--repair", action="store_true", help="Repair what is provably safe to repair."
        )

    def act(self, *, repair: bool, **options: Any) -> Report:
        """Examine, and repair if asked to."""
        result = check_tenants(repair=repair, by=self.actor)
        checked = (
            f"Checked {counted(result.organizations, 'organization')}, "
            f"{counted(result.collections, 'collection')}"
        )
        data = asdict(result) | {"wrong": len(result.wrong)}
        if not result.findings:
            return Report(data, f"{checked}: nothing wrong.")
        repaired = len(result.findings) - len(result.wrong)
        lines = [_line(finding, repair=repair) for finding in result.findings]
        lines.append(f"{checked}: {counted(len(result.findings), 'finding')}, {repaired} repaired.")
        return Report(data, "\n".join(lines), _failure(len(result.wrong)))


def _line(finding: Finding, *, repair: bool) -> str:
    if finding.repaired:
        outcome = "Repaired."
    elif finding.reason:
        outcome = f"Not repaired: {finding.reason}"
    elif finding.repairable and not repair:
        outcome = "--repair mends it."
    else:
        outcome = "--repair cannot mend it."
    owner = f" of {finding.organization}" if finding.organization else ""
    return f"{finding.code}: {finding.where}{owner}\n    {finding.what}\n    {outcome}"


def _failure(wrong: int) -> str:
    if not wrong:
        return ""
    return "One thing is wrong." if wrong == 1 else f"{wrong} things are wrong."
