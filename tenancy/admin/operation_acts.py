"""What an operator may do to an operation: cancel one that is under way, retry one that failed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tenancy.audit import record_event
from tenancy.models import OPEN, Operation, OperationStatus
from tenancy.operations import KINDS, request_cancel, retry_operation

# An operation that is due later than this is not worth watching.
LIVE_SECONDS = 60


@dataclass(frozen=True)
class OperationAct:
    """A button of an operation: why it is not there, what it says and does."""

    name: str
    label: str
    why_not: Callable[[Operation], str]
    explain: Callable[[Operation], list[str]]
    ask: Callable[[UUID], Operation]
    event: str
    done: str

    def run(self, operation: Operation, by: str) -> None:
        """Ask the journal for it, and leave an audit event. Raises what the journal raises."""
        with transaction.atomic():
            row = self.ask(operation.pk)
            if row.organization is not None:
                record_event(
                    row.organization, self.event, by=by, operation=str(row.pk), kind=row.kind
                )


def is_live(operation: Operation) -> bool:
    """Return whether something is going to change within the next minute."""
    soon = timezone.now() + timedelta(seconds=LIVE_SECONDS)
    return operation.status in OPEN and operation.not_before <= soon


def why_not_retried(operation: Operation) -> str:
    """Return why an operation is not to be retried, or '' if it may be.

    One that was undone has nothing left to go on from: the act is begun anew instead.
    """
    if operation.status != OperationStatus.FAILED:
        return "Only a failed operation is retried."
    kind = KINDS.get(operation.kind)
    if kind is None or operation.organization is None:
        return "What the operation was about no longer exists."
    if kind.undo is not None:
        return "The operation was undone when it failed. Begin the act again instead."
    return ""


def why_not_cancelled(operation: Operation) -> str:
    """Return why an operation is not to be cancelled, or '' if it may be."""
    if operation.status not in OPEN:
        return f"The operation has ended: it is {operation.status}."
    kind = KINDS.get(operation.kind)
    if kind is None or not kind.cancellable_until:
        return f"An operation of kind “{operation.kind}” is short, and not cancelled."
    if operation.cancel_requested:
        return "The operation is being cancelled already."
    names = [step.name for step in kind.steps]
    if operation.step not in names[: names.index(kind.cancellable_until)]:
        return f"The operation has taken effect: it is after the step “{operation.step}”."
    return ""


def _explain_retry(operation: Operation) -> list[str]:
    done = f"after the step “{operation.step}”" if operation.step else "with its first step"
    return [
        f"It failed with: {operation.error or 'no reason was recorded.'}",
        f"It goes on {done}, with a new count of attempts.",
        "It does not run on this page: the background worker picks it up within seconds.",
    ]


def _explain_cancel(operation: Operation) -> list[str]:
    return [
        f"The {operation.kind} is given up, and what it has copied is removed.",
        "The organization goes on where it is, and loses nothing."
        if operation.kind == "move"
        else "Nothing of it remains, and its name is free again.",
        "If it takes effect before whoever runs it sees this, it is not cancelled.",
    ]


OPERATION_ACTS: dict[str, OperationAct] = {
    act.name: act
    for act in (
        OperationAct(
            "cancel", "Cancel", why_not_cancelled, _explain_cancel, request_cancel,
            "operation.cancel_requested",
            "The operation is being cancelled: whoever runs it puts everything back.",
        ),
        OperationAct(
            "retry", "Retry", why_not_retried, _explain_retry, retry_operation,
            "operation.retried", "The operation is due; the background worker picks it up.",
        ),
    )
}  # fmt: skip
