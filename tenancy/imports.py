"""Store a stream of lines, each a document, in batches: NDJSON in constant memory.

A batch is one transaction; under an `Idempotency-Key` how far the import is, is written in it. So
a repeat goes on behind the last batch that was stored, whatever became of the process, and nothing
is stored twice. The answer follows from what is written there: repeated after the end it is the
same. Where the import ends early, what was stored before stays.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings

from tenancy import catalog
from tenancy.access import with_collection
from tenancy.answers import Answer
from tenancy.exceptions import (
    CollectionNotFound,
    FieldError,
    IdempotencyKeyReused,
    ImportStopped,
    MalformedJson,
    PlanLimitReached,
    TenancyError,
)
from tenancy.import_lines import CutOff, ImportLines, Item
from tenancy.incarnations import SameCollection
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.importing import DocumentRefused, Outcome
from tenancy.mongo.once import Progress, Record
from tenancy.ndjson import Line
from tenancy.schemas import Violations

BATCH_LINES = 1_000
# Of text: so that a batch passes a slow link well within the deadline of a call.
BATCH_BYTES = 2 * 1_048_576
PROBLEMS_SHOWN = 100
MAY_BE_CUT = "The body ends without saying that this is all of it: it may have been broken off."
SAY_THE_END = (
    "Send a Content-Length, or pack the body as one gzip file, or let its last line be"
    ' {"_export": {"count": N}}, with the number of lines before it.'
)
NOTHING: dict[str, Any] = {
    "lines": 0, "digest": "", "of": None, "inserted": 0, "replaced": 0, "skipped": 0, "failed": 0,
    "warned": 0, "problems": [],
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Where an import goes, and who imports."""

    organization_id: UUID
    collection: str
    by: str


@dataclass(frozen=True)
class Manner:
    """How: whether documents that are there are replaced, lines that fail are left out, or all is
    only looked at; and whether the lines are whole only if the last one is an export's."""

    replace: bool = False
    skip: bool = False
    dry_run: bool = False
    needs_footer: bool = False


def import_lines(
    target: Target,
    lines: Iterator[Line],
    manner: Manner,
    record: Record | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], bool]:
    """Store every line. Return a report and whether all had been done before, under the same key.

    The report is `{lines, inserted, replaced, skipped, failed, problems, complete}`.

    Raises ImportStopped at the first line that cannot be stored, unless such lines are left out;
    IdempotencyKeyReused if the lines are not those that the record knows; and what ends it early,
    such as PlanLimitReached, or what `check` raises, which is called before each step: whoever
    imports may not any more, or has lost the place. All of them have such a report as
    `extra["import"]`.
    """
    progress = Progress()
    if record is not None and not manner.dry_run:
        progress = _find_progress(target, record)
    running = _Import(target, manner, progress, check)
    try:
        report = running.run(lines)
    except TenancyError as error:
        error.extra.setdefault("import", running.report(complete=False))
        raise
    return report, running.was_done


def _find_progress(target: Target, record: Record) -> Progress:
    found = with_collection(
        target.organization_id,
        target.collection,
        lambda documents: record.find(documents.address),
        by=target.by,
    )
    if isinstance(found, Answer):  # nothing of ours is kept so
        raise IdempotencyKeyReused
    return found


class _Import:
    def __init__(
        self, target: Target, manner: Manner, progress: Progress, check: Callable[[], None]
    ) -> None:
        self._target = target
        self._manner = manner
        self._progress = progress
        self._check = check
        self._noted = Violations()  # of the batch that is being stored
        self._step = BATCH_LINES
        self._lines = 0
        self.was_done = False
        self._skipped = self._state["skipped"]
        noted = progress.state.get("of")
        self._same = SameCollection(target.organization_id, target.collection, noted)

    @property
    def _state(self) -> dict[str, Any]:
        return NOTHING | self._progress.state

    def report(self, *, complete: bool) -> dict[str, Any]:
        """Return what was done so far, over all attempts."""
        state = self._state
        del state["digest"], state["of"]
        if complete:
            state |= {"lines": self._lines, "skipped": self._skipped}
        return {**state, "complete": complete, "dry_run": self._manner.dry_run}

    def run(self, lines: Iterator[Line]) -> dict[str, Any]:
        """See `import_lines`."""
        tenant, state = catalog.get_tenant(self._target.organization_id), self._state
        items = ImportLines(
            lines,
            max_bytes=min(tenant.max_document_bytes, settings.TENANCY_MAX_DOCUMENT_BYTES),
            done=state["lines"], done_digest=state["digest"], skipped=state["skipped"],
        )  # fmt: skip
        try:
            for batch in in_batches(items):
                self._store_all(batch)
        except CutOff as error:
            raise MalformedJson(str(error)) from error
        if self._manner.needs_footer and items.number and not items.has_footer:
            raise MalformedJson(MAY_BE_CUT, hint=SAY_THE_END)
        self._lines, self._skipped = items.number, items.skipped
        if self._state["lines"] > state["lines"]:
            self._check_same()
        self.was_done = 0 < state["lines"] == self._state["lines"]
        return self.report(complete=True)

    def _store_all(self, items: list[Item]) -> None:
        """Store the items, so many at a time as MongoDB takes."""
        while items:
            self._check()
            chunk = items[: self._step]
            try:
                outcomes = self._store(chunk)
            except DocumentRefused as refused:  # all before it is stored next, and it is left out
                chunk[refused.position].error = refused.reason
                self._step = refused.position + 1
                continue
            except PlanLimitReached:
                if len(chunk) == 1:
                    raise
                self._step = len(chunk) // 2  # as many as there is room for
                continue
            if isinstance(outcomes[-1], TenancyError) and not self._manner.skip:
                raise _stopped(chunk[len(outcomes) - 1].line, outcomes[-1])
            items = items[len(outcomes) :]
            self._step = min(BATCH_LINES, self._step * 2)

    def _store(self, chunk: list[Item]) -> list[Outcome]:
        """Store some items in one transaction; with it, how far this is. Return what became.

        Where lines that fail are not left out, the first such outcome is the last.
        """
        call = self._look if self._manner.dry_run else self._write
        target = self._target
        self._check_same()
        try:
            return with_collection(
                target.organization_id, target.collection, partial(call, chunk),
                by=target.by, noted=self._noted,
            )  # fmt: skip
        except CollectionNotFound:
            if not self._manner.dry_run:
                raise
            outcomes = [item.error or True for item in chunk]  # it would be made
            self._progress.state = self._state_after(chunk, outcomes)
            return outcomes

    def _check_same(self) -> None:
        """Raise IdempotencyKeyReused if what earlier steps stored has been dropped."""
        if self._progress.is_kept:
            self._same.check()

    def _write(self, chunk: list[Item], documents: TenantCollection) -> list[Outcome]:
        def write() -> list[Outcome]:
            outcomes = self._batch(chunk, documents)
            state = self._state_after(chunk, outcomes)
            if state["lines"] > self._state["lines"]:
                self._progress.advance(documents, state)
            return outcomes

        return documents.in_transaction(write)

    def _look(self, chunk: list[Item], documents: TenantCollection) -> list[Outcome]:
        outcomes = self._batch(chunk, documents)
        self._progress.advance(documents, self._state_after(chunk, outcomes))
        return outcomes

    def _batch(self, chunk: list[Item], documents: TenantCollection) -> list[Outcome]:
        self._noted.forget()  # those of an attempt that was undone
        return documents.store_batch(
            [item.fields for item in chunk],
            replace=self._manner.replace,
            refused={at: item.error for at, item in enumerate(chunk) if item.error is not None},
            stop=not self._manner.skip,
            dry_run=self._manner.dry_run,
        )

    def _state_after(self, chunk: list[Item], outcomes: list[Outcome]) -> dict[str, Any]:
        """Return how far the import is, once these outcomes are."""
        state = self._state | {"of": self._same.incarnation}
        problems = list(state["problems"])
        state["warned"] += len(self._noted)
        for item, outcome in zip(chunk, outcomes, strict=False):
            if isinstance(outcome, TenancyError):
                if not self._manner.skip:
                    break  # not done: it is tried again when the import is repeated
                state["failed"] += 1
                problems.append(_problem(item.line, outcome))
            else:
                state["inserted" if outcome else "replaced"] += 1
            state |= {"lines": item.line, "digest": item.digest, "skipped": item.skipped}
        return state | {"problems": problems[:PROBLEMS_SHOWN]}


def in_batches(items: ImportLines) -> Iterator[list[Item]]:
    """Yield at most 1,000 items, or little more than 2 MiB, whose `_id`s differ."""
    batch, size, ids = list[Item](), 0, set[Any]()
    try:
        for item in items:
            document_id = item.fields.get("_id")
            if len(batch) == BATCH_LINES or size >= BATCH_BYTES or document_id in ids:
                yield batch
                batch, size, ids = [], 0, set()
            batch.append(item)
            size += item.size
            if document_id is not None:
                ids.add(document_id)
    except (TenancyError, CutOff):
        if batch:
            yield batch  # what came before is stored
        raise
    if batch:
        yield batch


def _problem(line: int, error: TenancyError) -> dict[str, Any]:
    errors = [vars(each) for each in error.errors]
    return {"line": line, "code": error.code, "detail": error.detail, "errors": errors}


def _stopped(line: int, error: TenancyError) -> ImportStopped:
    told = _problem(line, error)
    return ImportStopped(
        f"Line {line} cannot be stored: {error.detail}",
        errors=error.errors or [FieldError("", error.code, error.detail)],
        extra={"problem": told},
    )
