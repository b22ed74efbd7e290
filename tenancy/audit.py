"""The audit: who did what to an organization, written with what it records."""

from typing import Any

from tenancy.models import AuditEvent, Organization


def record_event(organization: Organization, action: str, *, by: str, **details: Any) -> None:
    """Add an event. Call it in the transaction of the change that it records.

    `by` is an actor: `user:<id>`, `key:<id>` or `command:<name>`.
    """
    AuditEvent.objects.create(organization=organization, action=action, actor=by, details=details)
