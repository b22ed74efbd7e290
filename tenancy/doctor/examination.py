"""Examine, and repair where that is asked for and safe."""

import time
from dataclasses import dataclass

from tenancy.doctor.diagnosis import diagnose
from tenancy.doctor.findings import Finding
from tenancy.doctor.repairs import attempt_repair
from tenancy.doctor.survey import Survey, take_survey
from tenancy.exceptions import Unavailable

# What one look finds may be an act of a moment ago, half seen. It has to be there again later.
SECOND_LOOK_SECONDS = 0.5
ROUNDS = 3


@dataclass(frozen=True)
class Examination:
    """What was looked at and what was wrong with it."""

    organizations: int
    collections: int
    findings: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        """What is wrong still."""
        return [finding for finding in self.findings if not finding.repaired]


def check_tenants(*, by: str, repair: bool = False) -> Examination:
    """Compare the catalog with MongoDB; with `repair`, mend what is provably safe to mend.

    A cluster that cannot be reached is a finding, and the only one.
    """
    try:
        survey, findings = _look_twice()
        if repair:
            survey, findings = _repair(survey, findings, by)
    except Unavailable as error:
        return Examination(0, 0, [_unreachable(error)])
    return Examination(len(survey.organizations), len(survey.real_names), findings)


def _look_twice() -> tuple[Survey, list[Finding]]:
    survey = take_survey()
    seen = {finding.key for finding in diagnose(survey)}
    if not seen:
        return survey, []
    time.sleep(SECOND_LOOK_SECONDS)
    survey = take_survey()
    return survey, [finding for finding in diagnose(survey) if finding.key in seen]


def _repair(survey: Survey, findings: list[Finding], by: str) -> tuple[Survey, list[Finding]]:
    """Repair in rounds: one repair may bring to light what another one has to mend."""
    repaired: dict[tuple[object, ...], Finding] = {}
    for _ in range(ROUNDS):
        tried = [attempt_repair(finding, by=by) for finding in findings if finding.repairable]
        mended = {finding.key: finding for finding in tried if finding.repaired}
        refused = {finding.key: finding for finding in tried if not finding.repaired}
        repaired |= mended
        if mended:
            survey, findings = _look_twice()
        findings = [refused.get(finding.key, finding) for finding in findings]
        if not mended or not findings:
            break
    wrong = {finding.key for finding in findings}
    return survey, [*(each for key, each in repaired.items() if key not in wrong), *findings]


def _unreachable(error: Unavailable) -> Finding:
    sentence = f"{error.detail} {error.hint}".rstrip()
    return Finding("cluster_unreachable", None, sentence, "cluster default", repairable=False)
