"""The doctor's page: catalog and clusters are compared when somebody asks, and repaired when asked.

A GET tells when that was done last; each act is a POST, a repair after a page that explains it.
"""

from dataclasses import replace
from threading import Lock
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from tenancy.admin.records import actor_of, may_view
from tenancy.audit import record_event
from tenancy.doctor import Examination, Finding, FindingGroup, check_tenants, group_findings
from tenancy.models import AuditEvent, Organization

CHECKED = "tenants.checked"
GROUPS_MAX = 50
BUSY = "The doctor is at work already. Wait for that."
EXPLANATION = [
    "What is missing is made again, interrupted acts are finished or undone, late writes carried.",
    "Only what is provably safe is done; everything else is listed with the reason.",
    "It takes some seconds, more where there are thousands of organizations.",
]

_at_work = Lock()


class DoctorForm(forms.Form):
    """What is asked of the doctor."""

    act = forms.ChoiceField(choices=[(act, act) for act in ("check", "explain", "repair")])


def last_check() -> AuditEvent | None:
    """Return the event of the last time that somebody asked here."""
    return AuditEvent.objects.filter(action=CHECKED).first()


def doctor_view(request: HttpRequest) -> HttpResponse:
    """Tell of the last check; on POST check, explain what a repair does, or repair."""
    if not may_view(request, Organization):
        raise PermissionDenied
    if request.method != "POST":
        return _page(request)
    if not may_act(request):
        raise PermissionDenied
    form = DoctorForm(request.POST)
    if not form.is_valid():
        return _page(request)
    act = form.cleaned_data["act"]
    if act == "explain":
        return _page(request, explanation=EXPLANATION)
    return _examine(request, repair=act == "repair")


def may_act(request: HttpRequest) -> bool:
    """Return whether the operator may have the doctor look and repair."""
    return request.user.has_perm("tenancy.change_organization")


def _examine(request: HttpRequest, *, repair: bool) -> HttpResponse:
    if not _at_work.acquire(blocking=False):
        messages.error(request, BUSY)
        return _page(request)
    try:
        result = check_tenants(by=actor_of(request), repair=repair)
    finally:
        _at_work.release()
    repaired = len(result.findings) - len(result.wrong)
    record_event(
        None, CHECKED, by=actor_of(request), organizations=result.organizations,
        wrong=len(result.wrong), repaired=repaired, repair=repair,
    )  # fmt: skip
    return _page(request, result=result, repaired=repaired)


def _page(request: HttpRequest, **context: Any) -> HttpResponse:
    result: Examination | None = context.get("result")
    groups = _groups(result.findings) if result else []
    context |= {
        **admin.site.each_context(request),
        "title": "Doctor",
        "back": reverse("admin:tenancy_doctor"),
        "last": last_check(),
        "may_act": may_act(request),
        "groups": groups[:GROUPS_MAX],
        "groups_left_out": max(0, len(groups) - GROUPS_MAX),
        "warnings": _groups(result.warnings)[:GROUPS_MAX] if result else [],
        "repairable": sum(each.repairable for each in result.wrong) if result else 0,
    }
    return TemplateResponse(request, "admin/tenancy/doctor.html", context)


def _groups(findings: list[Finding]) -> list[FindingGroup]:
    """Return findings in groups, in the words of a page with a button."""
    return [
        replace(group, outcome=group.outcome.replace("--repair", "Repair"))
        for group in group_findings(findings)
    ]
