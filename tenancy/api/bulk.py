"""Many documents changed by one request."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, NoReturn

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.access import foresee
from tenancy.api import schema_bulk as schema
from tenancy.api.bulk_body import BulkOrder, ManyOrder, read_bulk, read_many
from tenancy.api.once import find_record
from tenancy.api.requests import actor_of, check_parameters, json_body, pointing_into
from tenancy.api.views import DataViewSet
from tenancy.exceptions import (
    BulkAborted,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    OutcomeUnknown,
    TenancyError,
)
from tenancy.incarnations import SameCollection
from tenancy.mongo.bulk import BULK_MAX_OPERATIONS
from tenancy.mongo.bulk_plan import Inserts, Outcome, located
from tenancy.mongo.document_rules import format_id
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.many import Affected, Preview
from tenancy.mongo.once import Progress, RecordTaken

BULK_BODY_MAX_BYTES = 16 * 1_048_576
# So many operations are done under one operation timeout; inserts alone go faster.
STEP_OPERATIONS = 250
FAILED = "Bulk-Failed"
STATUS = {"created": 201, "changed": 200, "deleted": 204}
# What the problem of a whole answer has, and that of an operation need not repeat.
_OF_ANSWERS = ("type", "title", "status", "instance", "request_id", "retryable", "errors")
PARTLY = "Some of the operations were done, the others perhaps not."
REPEAT = "Repeat the request with the same Idempotency-Key: it goes on from where it stopped."


@extend_schema(tags=["documents"])
class BulkViewSet(DataViewSet):
    """Bulk operations, update-many, delete-many."""

    body_max_bytes = BULK_BODY_MAX_BYTES
    body_hint = "Send the operations in several requests, or use the import."
    required = {
        "bulk": "documents.write",
        "update_many": "documents.write",
        "delete_many": "documents.write",
    }

    @extend_schema(**schema.BULK)
    def bulk(self, request: Request, collection: str) -> Response:
        """Do up to 1,000 operations."""
        check_parameters(request)
        order = read_bulk(json_body(request), max_bytes=self.tenant.max_document_bytes)
        if not order.is_atomic:
            work = partial(self._work, collection, order)
            return self.write_in_steps(collection, work, creates=order.creates)
        return self._all_or_nothing(collection, order)

    @extend_schema(**schema.UPDATE_MANY)
    def update_many(self, request: Request, collection: str) -> Response:
        """Patch every document that a filter finds."""
        check_parameters(request)
        order = read_many(json_body(request), patches=True)
        return self._change_many(collection, order)

    @extend_schema(**schema.DELETE_MANY)
    def delete_many(self, request: Request, collection: str) -> Response:
        """Delete every document that a filter finds."""
        check_parameters(request)
        order = read_many(json_body(request), patches=False)
        return self._change_many(collection, order)

    def _all_or_nothing(self, collection: str, order: BulkOrder) -> Response:
        """Do all in one transaction; what is going to fail does not make a collection first."""
        numbered = list(enumerate(order.changes))
        try:
            by = actor_of(self.request)
            foresee(self.tenant.id, collection, lambda new: new.foresee_atomic(numbered), by=by)
        except BulkAborted as error:
            return self.write_in_steps(collection, partial(_abort, error), creates=False)
        return self.write(
            collection,
            lambda documents: documents.bulk_atomically(numbered),
            lambda outcomes: _answer(self._items(order, outcomes)),
            creates=order.creates,
        )

    def _change_many(self, collection: str, order: ManyOrder) -> Response:
        if order.is_dry_run:
            find_record(self, self.tenant)  # nothing is kept, but a key has to be one
            found = self.read(collection, lambda documents: documents.preview_many(order.query))
            return _foretold(found, order.max_affected)
        bound = order.max_affected

        def change(documents: TenantCollection) -> Affected:
            if order.patch is None:
                return documents.delete_many(order.query, max_affected=bound)
            with pointing_into("/patch"):
                return documents.update_many(order.query, order.patch, max_affected=bound)

        verb = "deleted" if order.patch is None else "changed"
        return self.write(
            collection,
            change,
            lambda done: Response({"matched": done.matched, verb: done.changed, "dry_run": False}),
            creates=False,
        )

    def _work(self, collection: str, order: BulkOrder, progress: Progress) -> Response:
        same = SameCollection(self.tenant.id, collection, progress.state.get("of"))
        try:
            while len(progress.state.get("results", ())) < len(order.changes):
                if progress.is_kept:
                    same.check()
                step = partial(self._step, order, progress, same.incarnation)
                self.read(collection, step)
        except (IdempotencyInProgress, IdempotencyKeyReused, RecordTaken):
            raise
        except TenancyError as error:
            if not progress.state:
                raise
            raise OutcomeUnknown(PARTLY, hint=REPEAT) from error
        return _answer(progress.state["results"])

    def _step(
        self,
        order: BulkOrder,
        progress: Progress,
        incarnation: int | None,
        documents: TenantCollection,
    ) -> None:
        """Do the next operations; what was done is in the progress, whatever happens then."""

        def note(outcomes: Mapping[int, Outcome]) -> None:
            results = [*progress.state.get("results", ()), *self._items(order, outcomes)]
            progress.advance(documents, {"results": results, "of": incarnation})

        inserts = order.changes
        if isinstance(inserts, Inserts) and not progress.is_kept and not progress.state:
            documents.insert_together(inserts, note)
            return
        done = {each["index"] for each in progress.state.get("results", ())}
        todo = [each for each in enumerate(order.changes) if each[0] not in done]
        is_plain = not progress.is_kept and all(each.op == "insert" for _, each in todo)
        length = BULK_MAX_OPERATIONS if is_plain else STEP_OPERATIONS
        documents.bulk(todo[:length], note, in_steps=progress.is_kept)

    def _items(self, order: BulkOrder, outcomes: Mapping[int, Outcome]) -> list[dict[str, Any]]:
        """Return the results of operations, as the answer has them."""
        return [
            {
                "index": number, "op": each.op, "status": STATUS[each.effect],
                "id": format_id(each.document_id), "rev": each.revision,
            }
            if each.revision is not None
            else self._item_without_document(order, number, each)
            for number, each in outcomes.items()
        ]  # fmt: skip

    def _item_without_document(
        self, order: BulkOrder, number: int, outcome: Outcome
    ) -> dict[str, Any]:
        """Return the result of an operation that failed, or that left nothing."""
        item: dict[str, Any] = {"index": number, "op": outcome.op}
        if outcome.error is None:
            return item | {"status": STATUS[outcome.effect], "id": format_id(outcome.document_id)}
        handler, context = self.get_exception_handler(), self.get_exception_handler_context()
        problem = handler(outcome.error, context).data
        errors = [vars(each) for each in located(number, order.changes[number], outcome.error)]
        item["status"] = problem["status"]
        if order.named[number] and outcome.document_id is not None:
            item["id"] = format_id(outcome.document_id)
        kept = {name: problem[name] for name in problem if name not in _OF_ANSWERS}
        return item | {"problem": kept | {"errors": errors}}


def _abort(error: BulkAborted, _: Progress) -> NoReturn:
    raise error


def _answer(items: Iterable[dict[str, Any]]) -> Response:
    """Return 200, or 207 if some of the operations failed."""
    results = sorted(items, key=itemgetter("index"))
    seen = Counter(map(itemgetter("status"), results))
    counts = {effect: seen[status] for effect, status in STATUS.items()}
    counts["failed"] = len(results) - sum(counts.values())
    answer = Response({"results": results, "counts": counts})
    if counts["failed"]:
        answer.status_code = 207
        answer[FAILED] = str(counts["failed"])
    return answer


def _foretold(found: Preview, max_affected: int) -> Response:
    return Response({
        "matched": found.matched,
        "within_max_affected": found.matched <= max_affected,
        "ids": found.ids,
        "dry_run": True,
    })  # fmt: skip
