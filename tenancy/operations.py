"""Run operations: step by step, again after a failure, on after a crash, undone when given up.

A kind is a list of named steps; a step is a function that may run twice with the same end state.
Between a step's effect and its record the process may die: whoever runs next does it again.
"""

import logging
import os
import time
from datetime import timedelta
from typing import NoReturn

from django.conf import settings
from django.utils import timezone

from tenancy.exceptions import (
    LeaseLost,
    OperationCancelled,
    OperationFailed,
    OperationRunning,
    TenancyError,
)
from tenancy.journal import (
    KINDS,
    Kind,
    Run,
    Step,
    begin_operation,
    cancel_operations,
    claim_operation,
    due_operations,
    get_operation,
    register_kind,
    reopen_operations,
    request_cancel,
    retry_operation,
)
from tenancy.models import Operation, OperationStatus

__all__ = [
    "KINDS",
    "Kind",
    "Run",
    "Step",
    "begin_operation",
    "cancel_operations",
    "claim_operation",
    "end_operation",
    "fail_point",
    "fail_point_reserved",
    "get_operation",
    "register_kind",
    "reopen_operations",
    "request_cancel",
    "resume_operations",
    "retry_operation",
    "run_inline",
    "run_steps",
]

logger = logging.getLogger("tenantry.operations")

RETRY_DELAYS_SECONDS = (0.2, 2.0)
UNDO_RETRY_SECONDS = 5.0
TRAILING_RETRY_SECONDS = 10.0
# A runner waits itself for a step that is due this soon; for a later one it lets go.
INLINE_WAIT_SECONDS = 1.0
KILLED_EXIT_CODE = 137


def run_inline(run: Run) -> None:
    """Run an operation for somebody who waits for it.

    Raises OperationRunning if this process slept so long that another one has taken over.
    """
    try:
        run_steps(run)
    except LeaseLost as error:
        raise OperationRunning("Another process has taken the operation over.") from error


def run_steps(run: Run) -> None:
    """Run an operation as far as it can be run now; it may stop where a step is due later.

    Raises what the last attempt raised when the operation is given up, after undoing it, and
    LeaseLost if another runner has taken it over.
    """
    kind = KINDS[run.operation.kind]
    if run.operation.status == OperationStatus.SUCCEEDED:
        return
    if run.operation.undoing:
        _give_up(run, kind, OperationFailed(run.operation.error))
    for step in kind.after(run.operation.step):
        if not _wait_for(run, step):
            return
        error = _try_step(run, step)
        if error is not None:
            _give_up(run, kind, error, step)
    _end(run, OperationStatus.SUCCEEDED)


def _wait_for(run: Run, step: Step) -> bool:
    """Wait for a step that is due soon; let go of the operation and return False otherwise."""
    left = (run.operation.not_before - timezone.now()).total_seconds()
    if left > INLINE_WAIT_SECONDS:
        run.update(lease_until=None, status=OperationStatus.PENDING, attempts=0)
        return False
    time.sleep(max(left, 0.0))
    return True


def _try_step(run: Run, step: Step) -> TenancyError | None:
    """Run and record a step. Return the error of the last attempt, if all of them failed."""
    while True:
        error = _attempt(run, step)
        attempts = run.operation.attempts
        final: tuple[type[TenancyError], ...] = (OperationCancelled, *step.final)
        delays = RETRY_DELAYS_SECONDS if step.retry_delays is None else step.retry_delays
        if error is None or isinstance(error, final) or attempts > len(delays):
            return error
        run.update(attempts=attempts + 1, error=error.detail)
        time.sleep(delays[attempts - 1])


def _attempt(run: Run, step: Step) -> TenancyError | None:
    try:
        run.renew()
        step.run(run)
        fail_point(f"{run.operation.kind}.{step.name}")
        _record(run, step)
    except LeaseLost:
        raise
    except TenancyError as error:
        return error
    except Exception as error:
        logger.exception("%s failed in step %s", run.operation, step.name)
        failure = OperationFailed()
        failure.__cause__ = error
        return failure
    return None


def _record(run: Run, step: Step) -> None:
    following = KINDS[run.operation.kind].after(step.name)[:1]
    releases = any(step.trailing and not step.blocking for step in following)
    delay = following[0].delay() if following else 0.0
    run.update(
        step=step.name,
        attempts=1,
        error="",
        not_before=timezone.now() + timedelta(seconds=delay),
        blocking=run.operation.blocking and not releases,
    )


def _give_up(run: Run, kind: Kind, error: TenancyError, step: Step | None = None) -> NoReturn:
    has_effect = step is not None and (step.trailing or run.operation.step == step.name)
    if has_effect:
        _put_off(run, error)
    logger.warning("%s is given up: %s", run.operation, error.detail)
    run.update(error=error.detail, undoing=kind.undo is not None)
    if kind.undo is not None:
        try:
            kind.undo(run)
        except Exception:
            logger.exception("%s could not be undone yet", run.operation)
            later = timezone.now() + timedelta(seconds=UNDO_RETRY_SECONDS)
            run.update(status=OperationStatus.PENDING, lease_until=None, not_before=later)
            raise error from None
        fail_point(f"{kind.name}.undo")
    is_cancelled = run.operation.cancel_requested
    _end(run, OperationStatus.CANCELLED if is_cancelled else OperationStatus.FAILED)
    raise error


def _put_off(run: Run, error: TenancyError) -> NoReturn:
    """Leave a trailing step for later: what it follows has taken effect and is never undone."""
    logger.warning("%s is put off: %s", run.operation, error.detail)
    later = timezone.now() + timedelta(seconds=TRAILING_RETRY_SECONDS)
    run.update(
        status=OperationStatus.PENDING, lease_until=None, not_before=later, attempts=0,
        error=error.detail,
    )  # fmt: skip
    raise error


def _end(run: Run, status: OperationStatus) -> None:
    run.update(
        status=status, blocking=False, undoing=False, lease_until=None, ended_at=timezone.now()
    )


def end_operation(run: Run) -> None:
    """Record that an operation succeeded in the very transaction that began it."""
    run.update(step=KINDS[run.operation.kind].steps[-1].name)
    _end(run, OperationStatus.SUCCEEDED)


def fail_point_reserved(kind: Kind) -> None:
    """Call after the commit that begins an operation: its first step is a fail point too."""
    fail_point(f"{kind.name}.{kind.steps[0].name}")


def fail_point(name: str) -> None:
    """Die here if that is asked for."""
    # For tests and drills: as kill -9 would, nothing is flushed and nothing runs.
    if name == settings.TENANTRY_FAILPOINT:
        os._exit(KILLED_EXIT_CODE)


def resume_operations(*, long: bool | None = None) -> list[Operation]:
    """Run everything that is due and has no live runner. Return the rows that were run.

    With `long`, only operations of kinds that are, or are not.
    """
    ran = []
    for operation_id in due_operations(long=long):
        run = claim_operation(operation_id)
        if run is None:
            continue
        try:
            run_steps(run)
        except TenancyError as error:
            logger.warning("%s: %s", run.operation, error.detail)
        ran.append(get_operation(operation_id))
    return ran
