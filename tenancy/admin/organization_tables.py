"""What the page of an organization shows below its fields."""

from tenancy.admin.records import TABLE_MAX_ROWS, Cell, Table, list_of, page_of
from tenancy.models import AuditEvent, Operation, Organization


def latest_operations(organization: Organization) -> Table:
    """Return the latest operations."""
    rows = organization.operations.all()[:TABLE_MAX_ROWS]
    return Table(
        Operation,
        "Operations",
        ["Kind", "Status", "Last step", "Attempts", "By", "Created"],
        [
            [
                Cell(row.kind, page_of(row)), Cell(row.get_status_display()), Cell(row.step),
                Cell(str(row.attempts)), Cell(row.by), Cell(row.created_at),
            ]
            for row in rows
        ],
        "No operations.",
        list_of(Operation, organization__id__exact=organization.pk),
    )  # fmt: skip


def latest_events(organization: Organization) -> Table:
    """Return the latest events of the audit."""
    rows = organization.audit_events.all()[:TABLE_MAX_ROWS]
    return Table(
        AuditEvent,
        "Audit",
        ["Action", "Actor", "At"],
        [[Cell(row.action, page_of(row)), Cell(row.actor), Cell(row.at)] for row in rows],
        "No audit events.",
        list_of(AuditEvent, organization__id__exact=organization.pk),
    )
