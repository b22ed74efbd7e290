"""The rows of the journal: kinds of operations, and one runner's hold on one of them.

A runner holds a lease, taken by compare-and-set; every change of the row is made under it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from tenancy.clock import seconds
from tenancy.exceptions import (
    LeaseLost,
    NotCancellable,
    OperationCancelled,
    OperationNotFound,
    OperationRunning,
    OrganizationNotFound,
    TenancyError,
)
from tenancy.leases import is_dead, new_owner
from tenancy.models import Operation, OperationStatus, Organization
from tenancy.mongo.clients import call_deadline

LEASE_SECONDS = 20.0
# A destructive command is sent only while this much of the lease is left.
LEASE_MARGIN_SECONDS = 8.0
RESUME_MAX_OPERATIONS = 1_000


def _no_delay() -> float:
    return 0.0


@dataclass(frozen=True)
class Step:
    """One step. It runs `delay()` seconds after the one before it was recorded.

    After an error of a type in `final` it is not tried again; after others as often as there are
    `retry_delays` (None: those of `operations`). A `trailing` step comes after what the operation
    is for: it is put off when it fails, never undone. Unless it is `blocking`, other operations of
    the organization may begin beside it.
    """

    name: str
    run: Callable[["Run"], None]
    delay: Callable[[], float] = _no_delay
    final: tuple[type[TenancyError], ...] = ()
    trailing: bool = False
    blocking: bool = False
    retry_delays: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of operation. `undo` puts everything back after the last failed attempt.

    Until the step `cancellable_until` is recorded it may be cancelled: then it is undone, too. A
    `long` one takes minutes or hours: nothing else should wait for a runner that is at it.
    """

    name: str
    steps: tuple[Step, ...]
    undo: Callable[["Run"], None] | None = None
    cancellable_until: str = ""
    long: bool = False

    def after(self, step: str) -> tuple[Step, ...]:
        """Return the steps that follow the named one; all of them after ''."""
        names = [candidate.name for candidate in self.steps]
        return self.steps[names.index(step) + 1 :] if step else self.steps


KINDS: dict[str, Kind] = {}


def register_kind(kind: Kind) -> Kind:
    """Make a kind known to every runner of this process."""
    KINDS[kind.name] = kind
    return kind


@dataclass
class Run:
    """One runner's hold on one operation."""

    operation: Operation
    lease_ends: float = field(default=0.0)
    # What the steps of this runner share, and the next runner has to make anew.
    session: Any = None

    @property
    def params(self) -> dict[str, Any]:
        """The operation's parameters, as they were when it was begun."""
        params: dict[str, Any] = self.operation.params
        return params

    @property
    def organization(self) -> Organization:
        """The organization, read now."""
        rows = Organization.objects.select_related("placement__cluster")
        return rows.get(pk=self.organization_id)

    @property
    def organization_id(self) -> UUID:
        """The organization's id. Raises OrganizationNotFound once its creation was undone."""
        if self.operation.organization_id is None:
            raise OrganizationNotFound
        return self.operation.organization_id

    def renew(self) -> None:
        """Extend the lease. Raises LeaseLost if another runner has taken over."""
        began = seconds()
        self.update(lease_until=_lease_end())
        self.lease_ends = began + LEASE_SECONDS

    def assert_wanted(self) -> None:
        """Raise OperationCancelled if somebody has asked for that; one catalog read."""
        wanted = Operation.objects.filter(pk=self.operation.pk, cancel_requested=False)
        if not wanted.exists():
            self.operation.cancel_requested = True
            raise OperationCancelled

    def assert_lease(self) -> None:
        """Call before a command that must not be sent by a runner that slept."""
        if seconds() > self.lease_ends - LEASE_MARGIN_SECONDS:
            self.renew()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Do in the block what only the holder of the lease may do.

        The lease outlasts the block's deadline: a runner that sleeps in the block finds, when it
        wakes up, that the driver sends nothing any more.
        """
        self.assert_lease()
        with call_deadline():
            yield

    def update(self, **changes: Any) -> None:
        """Change the row while the lease is held, or raise LeaseLost."""
        row = self.operation
        mine = Operation.objects.open().filter(pk=row.pk, lease_owner=row.lease_owner)
        if not mine.update(updated_at=timezone.now(), **changes):
            raise LeaseLost
        for name, value in changes.items():
            setattr(row, name, value)


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=LEASE_SECONDS)


def begin_operation(
    kind: Kind,
    organization: Organization,
    params: dict[str, Any],
    *,
    by: str,
    leased: bool = True,
    delay_seconds: float | None = None,
) -> Run:
    """Write the row of a new operation; the transaction this is called in is its first step.

    With `leased`, the caller holds the lease and goes on with `run_steps` after the commit.
    Raises OperationRunning while another operation blocks the organization.
    """
    began = seconds()
    if delay_seconds is None:
        delay_seconds = kind.steps[1].delay() if len(kind.steps) > 1 else 0.0
    row = Operation(
        organization=organization,
        kind=kind.name,
        params=params,
        step=kind.steps[0].name,
        by=by,
        attempts=1 if leased else 0,
        status=OperationStatus.RUNNING if leased else OperationStatus.PENDING,
        lease_owner=new_owner() if leased else "",
        lease_until=_lease_end() if leased else None,
        not_before=timezone.now() + timedelta(seconds=delay_seconds),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise OperationRunning from error
    return Run(row, began + LEASE_SECONDS)


def claim_operation(operation_id: UUID) -> Run | None:
    """Take the lease, or return None if the operation ended, is not due, or has a live runner."""
    began, now = seconds(), timezone.now()
    row = Operation.objects.due(now).filter(pk=operation_id).first()
    if row is None:
        return None
    if row.lease_until is not None and row.lease_until > now and not is_dead(row.lease_owner):
        return None
    unchanged = Operation.objects.open().filter(
        pk=row.pk, lease_owner=row.lease_owner, lease_until=row.lease_until
    )
    won = unchanged.update(
        lease_owner=new_owner(),
        lease_until=_lease_end(),
        status=OperationStatus.RUNNING,
        attempts=F("attempts") + 1,
        updated_at=now,
    )
    return Run(Operation.objects.get(pk=row.pk), began + LEASE_SECONDS) if won else None


def get_operation(operation_id: UUID) -> Operation:
    """Return an operation, or raise OperationNotFound."""
    row = Operation.objects.filter(pk=operation_id).first()
    if row is None:
        raise OperationNotFound
    return row


def due_operations(*, long: bool | None = None) -> list[UUID]:
    """Return the ids of the operations that may run now, the longest due first; at most 1,000.

    With `long`, only those of kinds that are, or are not.
    """
    due = Operation.objects.due(timezone.now())
    if long is not None:
        due = due.filter(kind__in=[kind.name for kind in KINDS.values() if kind.long == long])
    return list(due.values_list("pk", flat=True)[:RESUME_MAX_OPERATIONS])


def request_cancel(operation_id: UUID) -> Operation:
    """Ask for an operation to be undone: its runner does that at the next occasion.

    Raises OperationNotFound, or NotCancellable if it has ended or gone too far.
    """
    row = get_operation(operation_id)
    kind = KINDS.get(row.kind)
    if kind is None or not kind.cancellable_until:
        raise NotCancellable(f"An operation of kind “{row.kind}” is short, and not cancelled.")
    names = [step.name for step in kind.steps]
    early = names[: names.index(kind.cancellable_until)]
    asked = Operation.objects.open().filter(pk=row.pk, step__in=early)
    if not asked.update(cancel_requested=True):
        raise NotCancellable(f"The operation is {row.status}, after the step “{row.step}”.")
    return get_operation(operation_id)


def retry_operation(operation_id: UUID) -> Operation:
    """Make a failed operation due again. Raises OperationRunning if another one blocks.

    What was undone is begun anew instead: since then the name it was for may be another's.
    """
    repeatable = [kind.name for kind in KINDS.values() if kind.undo is None]
    failed = Operation.objects.filter(
        pk=operation_id, status=OperationStatus.FAILED, kind__in=repeatable
    )
    try:
        with transaction.atomic():
            changed = failed.update(
                status=OperationStatus.PENDING, attempts=0, blocking=True, ended_at=None,
                not_before=timezone.now(), lease_until=None, error="",
            )  # fmt: skip
    except IntegrityError as error:
        raise OperationRunning from error
    if not changed:
        raise OperationNotFound("There is no failed operation with this id that can be repeated.")
    return get_operation(operation_id)


def cancel_operations(organization: Organization, **conditions: Any) -> int:
    """End pending operations of an organization that no runner holds. Return how many."""
    now = timezone.now()
    idle = Operation.objects.open().filter(
        Q(lease_until=None) | Q(lease_until__lt=now), organization=organization, **conditions
    )
    return idle.update(
        status=OperationStatus.CANCELLED, blocking=False, ended_at=now, lease_until=None
    )


def reopen_operations(organization: Organization, delay_seconds: float, **conditions: Any) -> int:
    """Make cancelled operations of an organization due again after a delay. Return how many."""
    cancelled = Operation.objects.filter(
        organization=organization, status=OperationStatus.CANCELLED, **conditions
    )
    due = timezone.now() + timedelta(seconds=delay_seconds)
    return cancelled.update(status=OperationStatus.PENDING, ended_at=None, not_before=due)
