"""Tables below the fields of a page: what belongs to an organization, or to a cluster."""

from tenancy.admin.records import TABLE_MAX_ROWS, Cell, Table, list_of, page_of
from tenancy.models import AuditEvent, Cluster, Operation, Organization


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


def organizations_on(row: Cluster) -> Table:
    """Return the latest organizations that live on a cluster."""
    found = Organization.objects.filter(placement__cluster=row).select_related("placement", "plan")
    return Table(
        Organization,
        "Organizations",
        ["Name", "Status", "Kind", "Namespace", "Plan"],
        [
            [
                Cell(str(each), page_of(each)), Cell(each.get_status_display()),
                Cell(each.placement.kind), Cell(each.placement.namespace), Cell(each.plan.code),
            ]
            for each in found[:TABLE_MAX_ROWS]
        ],
        "No organization lives there.",
        list_of(Organization, placement__cluster__id__exact=row.pk),
    )  # fmt: skip
