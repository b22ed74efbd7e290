"""Writes of documents under an `Idempotency-Key`; the records are `tenancy.mongo.once`'s.

What is refused before MongoDB is asked, such as a body that is not valid, leaves no record: a
repeat is refused again, and the key may be used for the body that was meant.
"""

from collections.abc import Callable
from typing import TypeVar

from rest_framework.response import Response
from rest_framework.views import APIView

from tenancy.access import at_placement, is_negative
from tenancy.answers import Answer
from tenancy.api.idempotent import Replay, ask_of, is_final, kept_headers
from tenancy.api.requests import actor_of
from tenancy.catalog import Tenant
from tenancy.exceptions import IdempotencyInProgress, TenancyError
from tenancy.mongo.clients import ClusterCall
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.once import Progress, Record, RecordTaken
from tenancy.names import PlacementAddress
from tenancy.operations import fail_point

T = TypeVar("T")
Call = Callable[[TenantCollection], T]


def find_record(view: APIView, tenant: Tenant, digest: str | None = None) -> Record | None:
    """Return the record of the request's key, or None without one. No command.

    A key is that of an actor in the organization, in whatever collection.
    """
    ask = ask_of(view.request, actor_of, digest=digest)
    return None if ask is None else Record(tenant.id, ask)


class Once:
    """One request of a view under one key."""

    def __init__(self, view: APIView, record: Record) -> None:
        self._view = view
        self._record = record

    def find(self) -> Answer | Progress:
        """Return what was answered, or how far an earlier attempt has come."""
        return self._at_placement(self._record.find)

    def write(self, read: Callable[[Call[Response]], Response], act: Call[Response]) -> Response:
        """Answer with `act(documents)`, which is done together with the record of its answer.

        `read` runs a call on the collection. Two commands more than without a key, and those of
        the transaction: to find the record, and to write it.
        """

        is_done = False

        def once(documents: TenantCollection) -> Response:
            nonlocal is_done
            found = self._record.find(documents.address)
            if isinstance(found, Answer):
                return Replay(found, is_first=is_done)
            fail_point("write.begun")
            response = documents.in_transaction(lambda: self._act(documents, found, act))
            is_done = documents.is_repeatable = True  # its record is found then
            fail_point("write.committed")
            return response

        try:
            return read(once)
        except (IdempotencyInProgress, RecordTaken):
            return Replay(self._at_placement(self._record.get_answer))
        except TenancyError as error:
            return self._refuse(error, Progress(self._record))

    def work(self, found: Progress, work: Callable[[Progress], Response]) -> Response:
        """Answer with `work(progress)`, and keep the answer unless its last step has."""
        try:
            response = work(found)
        except (IdempotencyInProgress, RecordTaken):
            return Replay(self._at_placement(self._record.get_answer))
        except TenancyError as error:
            return self._refuse(error, found)
        return response if found.answer is not None else self._keep(response, found)

    def answer_of(self, response: Response) -> Answer:
        """Return what is kept of a response; it is rendered, now and for good."""
        request = self._view.request
        response.accepted_renderer = request.accepted_renderer
        response.accepted_media_type = request.accepted_media_type
        response.renderer_context = self._view.get_renderer_context()  # type: ignore[attr-defined]
        response.render()
        return Answer(response.status_code, response.content, kept_headers(response))

    def _act(self, documents: TenantCollection, found: Progress, act: Call[Response]) -> Response:
        response = act(documents)
        fail_point("write.changed")
        found.finish(documents, self.answer_of(response))
        fail_point("write.noted")
        return response

    def _refuse(self, error: TenancyError, found: Progress) -> Response:
        """Answer with a refusal, for which nothing was changed, unless another attempt did it."""
        response = self._view.handle_exception(error)
        return self._keep(response, found)

    def _keep(self, response: Response, found: Progress) -> Response:
        if not is_final(response):
            return response
        answer = self.answer_of(response)
        kept = self._at_placement(lambda address: found.keep(address, answer))
        return response if kept is answer else Replay(kept)

    def _at_placement(self, call: Callable[[PlacementAddress], T]) -> T:
        def bounded(address: PlacementAddress) -> T:
            with ClusterCall(address.uri):
                return call(address)

        return at_placement(self._record.organization_id, bounded)


def confirmed(documents: TenantCollection, result: T) -> T:
    """Return a result; that nothing was there is believed only of the current placement."""
    if is_negative(result):
        documents.confirm_placement()
    return result
