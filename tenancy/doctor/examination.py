"""Examine, and repair where that is asked for and safe."""

import time
from dataclasses import dataclass, field
from uuid import UUID

from tenancy.doctor.diagnosis import diagnose
from tenancy.doctor.findings import Finding
from tenancy.doctor.repairs import attempt_repair
from tenancy.doctor.survey import Survey, take_survey

# What one look finds may be an act of a moment ago, half seen. It has to be there again later.
SECOND_LOOK_SECONDS = 0.5
ROUNDS = 3


@dataclass(frozen=True)
class Scope:
    """What is asked about: everything, or one organization, or one cluster."""

    organization_id: UUID | None = None
    cluster: str | None = None

    def holds(self, finding: Finding) -> bool:
        """Return whether a finding is asked for."""
        return self.organization_id in {None, finding.organization_id} and (
            self.cluster in {None, finding.cluster}
        )


EVERYTHING = Scope()


@dataclass(frozen=True)
class Examination:
    """What was looked at and what was wrong with it. Warnings are about what is not wrong yet."""

    organizations: int
    collections: int
    findings: list[Finding]
    clusters: int = 1
    warnings: list[Finding] = field(default_factory=list)

    @property
    def wrong(self) -> list[Finding]:
        """What is wrong still."""
        return [finding for finding in self.findings if not finding.repaired]


def check_tenants(*, by: str, repair: bool = False, scope: Scope = EVERYTHING) -> Examination:
    """Compare the catalog with MongoDB; with `repair`, mend what is provably safe to mend.

    A cluster that cannot be reached is a finding; the others are examined all the same.
    """
    survey, findings = _look_twice(scope)
    if repair:
        survey, findings = _repair(survey, findings, by, scope)
    return Examination(
        organizations=len(survey.organizations),
        collections=survey.collections,
        findings=[finding for finding in findings if not finding.is_warning],
        clusters=len(survey.contents),
        warnings=[finding for finding in findings if finding.is_warning],
    )


def _look(scope: Scope) -> tuple[Survey, list[Finding]]:
    survey = take_survey(scope.cluster)
    return survey, [finding for finding in diagnose(survey) if scope.holds(finding)]


def _look_twice(scope: Scope) -> tuple[Survey, list[Finding]]:
    survey, findings = _look(scope)
    if all(finding.is_warning for finding in findings):
        return survey, findings
    time.sleep(SECOND_LOOK_SECONDS)
    seen = {finding.key for finding in findings}
    survey, findings = _look(scope)
    return survey, [finding for finding in findings if finding.key in seen]


def _repair(
    survey: Survey, findings: list[Finding], by: str, scope: Scope
) -> tuple[Survey, list[Finding]]:
    """Repair in rounds: one repair may bring to light what another one has to mend."""
    repaired: dict[tuple[object, ...], Finding] = {}
    for _ in range(ROUNDS):
        tried = [attempt_repair(finding, by=by) for finding in findings if finding.repairable]
        mended = {finding.key: finding for finding in tried if finding.repaired}
        refused = {finding.key: finding for finding in tried if not finding.repaired}
        repaired |= mended
        if mended:
            survey, findings = _look_twice(scope)
        findings = [refused.get(finding.key, finding) for finding in findings]
        if not mended or not findings:
            break
    wrong = {finding.key for finding in findings}
    return survey, [*(each for key, each in repaired.items() if key not in wrong), *findings]
