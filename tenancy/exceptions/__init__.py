"""Everything that can go wrong with an organization, in one tree.

    TenancyError
    ├── InvalidInput ─ ValidationFailed ─ InvalidName
    │   ├── MalformedJson, InvalidParameter ─ UnknownParameter, CursorInvalid, InvalidId
    │   ├── InvalidDocument ─ TypeNotAllowed, PayloadTooLarge, SchemaViolation
    │   ├── InvalidQuery ─ OperatorNotAllowed, StageNotAllowed, QueryTooComplex, SortNeedsIndex
    │   └── IdempotencyKeyReused, MaxAffectedExceeded, ImportStopped
    ├── NotFound ─ OrganizationNotFound, CollectionNotFound, DocumentNotFound, OperationNotFound
    ├── Conflict ─ AlreadyExists ─ NameTaken
    │   └── OperationRunning, PreconditionFailed, RevisionConflict, NotDeleted,
    │       NotCancellable, IdempotencyInProgress, BulkAborted
    ├── NotServed ─ OrganizationSuspended, OrganizationDeleted
    ├── PlanLimitReached, PlacementUnsupported
    ├── Unavailable ─ TenantBusy ─ StalePlacement ─ Overslept
    │   │             └── TransactionConflict
    │   └── ClusterUnavailable, ClusterFull, OutcomeUnknown, QueryTimeout, Overloaded
    └── Defect ─ LeaseLost, Misconfigured ─ Undecryptable
        └── OperationFailed ─ PlacementDisturbed, OperationCancelled

An error is plain: a stable `code`, a sentence for a person, and pointers to what was wrong.
What it means in HTTP is written in one place, `config/problems.py`.
"""

from tenancy.exceptions.invalid_input import (
    CursorInvalid,
    IdempotencyKeyReused,
    ImportStopped,
    InvalidDocument,
    InvalidId,
    InvalidInput,
    InvalidName,
    InvalidParameter,
    InvalidQuery,
    MalformedJson,
    MaxAffectedExceeded,
    OperatorNotAllowed,
    PayloadTooLarge,
    QueryTooComplex,
    SchemaViolation,
    SortNeedsIndex,
    StageNotAllowed,
    TypeNotAllowed,
    UnknownParameter,
    UnsupportedMediaType,
    ValidationFailed,
)
from tenancy.exceptions.outages import (
    ClusterFull,
    ClusterUnavailable,
    Defect,
    LeaseLost,
    Misconfigured,
    OperationCancelled,
    OperationFailed,
    OutcomeUnknown,
    Overloaded,
    Overslept,
    PlacementDisturbed,
    QueryTimeout,
    StalePlacement,
    TenantBusy,
    TransactionConflict,
    Unavailable,
    Undecryptable,
)
from tenancy.exceptions.refusals import (
    AlreadyExists,
    BulkAborted,
    CollectionNotFound,
    Conflict,
    DocumentNotFound,
    IdempotencyInProgress,
    NameTaken,
    NotCancellable,
    NotDeleted,
    NotFound,
    NothingToMatch,
    NotServed,
    OperationNotFound,
    OperationRunning,
    OrganizationDeleted,
    OrganizationNotFound,
    OrganizationSuspended,
    PlacementUnsupported,
    PlanLimitReached,
    PreconditionFailed,
    RevisionConflict,
)
from tenancy.exceptions.root import (
    FieldError,
    TenancyError,
)

__all__ = [
    "AlreadyExists",
    "BulkAborted",
    "ClusterFull",
    "ClusterUnavailable",
    "CollectionNotFound",
    "Conflict",
    "CursorInvalid",
    "Defect",
    "DocumentNotFound",
    "FieldError",
    "IdempotencyInProgress",
    "IdempotencyKeyReused",
    "ImportStopped",
    "InvalidDocument",
    "InvalidId",
    "InvalidInput",
    "InvalidName",
    "InvalidParameter",
    "InvalidQuery",
    "LeaseLost",
    "MalformedJson",
    "MaxAffectedExceeded",
    "Misconfigured",
    "NameTaken",
    "NotCancellable",
    "NotDeleted",
    "NotFound",
    "NotServed",
    "NothingToMatch",
    "OperationCancelled",
    "OperationFailed",
    "OperationNotFound",
    "OperationRunning",
    "OperatorNotAllowed",
    "OrganizationDeleted",
    "OrganizationNotFound",
    "OrganizationSuspended",
    "OutcomeUnknown",
    "Overloaded",
    "Overslept",
    "PayloadTooLarge",
    "PlacementDisturbed",
    "PlacementUnsupported",
    "PlanLimitReached",
    "PreconditionFailed",
    "QueryTimeout",
    "QueryTooComplex",
    "RevisionConflict",
    "SchemaViolation",
    "SortNeedsIndex",
    "StageNotAllowed",
    "StalePlacement",
    "TenancyError",
    "TenantBusy",
    "TransactionConflict",
    "TypeNotAllowed",
    "Unavailable",
    "Undecryptable",
    "UnknownParameter",
    "UnsupportedMediaType",
    "ValidationFailed",
]
