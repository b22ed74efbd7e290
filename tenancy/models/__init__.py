"""The catalog: which organizations exist, where their data lives, what is being done to them.

Fields, constraints and querysets; no rules. `lifecycle` is the only writer of status and placement.
"""

from tenancy.models.clusters import Cluster, Plan
from tenancy.models.collections import Collection, Index, SchemaMode, Usage
from tenancy.models.operations import OPEN, Operation, OperationQuerySet, OperationStatus
from tenancy.models.organizations import (
    Organization,
    OrganizationQuerySet,
    OrganizationStatus,
    Placement,
    SlugReservation,
)
from tenancy.models.records import (
    AuditChain,
    AuditEvent,
    AuditEventQuerySet,
    ErasureRecord,
    IdempotencyRecord,
)

__all__ = [
    "OPEN",
    "AuditChain",
    "AuditEvent",
    "AuditEventQuerySet",
    "Cluster",
    "Collection",
    "ErasureRecord",
    "IdempotencyRecord",
    "Index",
    "Operation",
    "OperationQuerySet",
    "OperationStatus",
    "Organization",
    "OrganizationQuerySet",
    "OrganizationStatus",
    "Placement",
    "Plan",
    "SchemaMode",
    "SlugReservation",
    "Usage",
]
