"""`Idempotency-Key`: a request that may be sent twice is done once, and answered twice.

    @idempotent()
    def create(self, request: Request, *, attempt: Attempt) -> Response: ...

The action makes a thing whose id is `attempt.resource`, and calls `hold_attempt` before it changes
anything. Repeated with the same key, the request gets the first answer again, with
`Idempotent-Replayed: true`; after a crash it runs again with the same `resource`, and has to find
what is there already. An attempt that was so slow that its repeat has begun is told 409. Without
the header nothing is kept. Writes of documents have `tenancy.api.once`. On all other routes the
header is ignored: there a repeat does no harm, or is the client's.
"""

import json
import re
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

from django.utils.datastructures import MultiValueDict
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.answers import Answer, Ask
from tenancy.api.json import JsonRenderer
from tenancy.api.schema import IDEMPOTENCY_KEY
from tenancy.exceptions import IdempotencyInProgress, IdempotencyKeyReused, InvalidParameter
from tenancy.idempotency import CATALOG, Attempt, Store, keyed_digest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY = re.compile(r"[ -~]{1,255}")
# What a client goes on with; everything else is made anew for each answer.
KEPT_HEADERS = (
    "Bulk-Failed",
    "Cache-Control",
    "ETag",
    "Location",
    "Referrer-Policy",
    "Schema-Violations",
)
# These say nothing of what was asked for, and waiting helps.
NOT_KEPT = frozenset({401, 429})
NOT_KEPT_CODES = frozenset({
    "operation_running", "revision_conflict", IdempotencyInProgress.code, IdempotencyKeyReused.code,
})  # fmt: skip
PARAMETER = IDEMPOTENCY_KEY

Scope = Callable[[Request], str | None]
Action = Callable[..., Response]


def by_principal(request: Request) -> str:
    """Return whose key it is: that of an actor in one organization."""
    principal: Any = request.user
    return f"{principal.actor}/{principal.organization_id}"


def idempotent(scope: Scope = by_principal, store: Store = CATALOG) -> Callable[[Action], Any]:
    """Let an action be repeated. It is given the `attempt`, with the id of what it is to make.

    `scope` says whose the key is; None if that cannot be told, for the action to refuse.
    """

    def decorate(action: Action) -> Callable[..., Response]:
        @wraps(action)
        def once(view: Any, request: Request, **parts: Any) -> Response:
            ask = ask_of(request, scope)
            if ask is None:
                return action(view, request, attempt=Attempt.without_key(), **parts)
            begun = store.begin(ask)
            if isinstance(begun, Answer):
                return Replay(begun)

            def run(attempt: Attempt) -> Response:
                return action(view, request, attempt=attempt, **parts)

            return _run(store, begun, run, view.handle_exception)

        return once

    return decorate


def ask_of(request: Request, scope: Scope, *, digest: str | None = None) -> Ask | None:
    """Return what is asked under which key, or None without one. Raises InvalidParameter.

    `digest` stands for everything that was sent; by default the body is read for it.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not KEY.fullmatch(key):
        raise InvalidParameter(f"{HEADER} is 1 to 255 printable ASCII characters.")
    whose = scope(request)
    return None if whose is None else Ask(whose, key, digest or digest_of(request, request.data))


def digest_of(request: Request, data: Any, *, but: Collection[str] = ()) -> str:
    """Return a digest of all that is asked; of the body's meaning, not of how it is spelled.

    The parameters `but` may be others in a repeat. It is keyed: a body may hold a password.
    """
    body = dict(data.lists()) if isinstance(data, MultiValueDict) else data
    query = sorted(each for each in request.query_params.lists() if each[0] not in but)
    parts = [request.method, request.path, query, body]
    return keyed_digest(json.dumps(parts, sort_keys=True, default=str))


def _run(
    store: Store,
    attempt: Attempt,
    run: Callable[[Attempt], Response],
    refuse: Callable[[Exception], Response],
) -> Response:
    """Answer, and keep the answer if it is final; otherwise the next attempt may begin.

    An answer that is not kept because the attempt was overtaken is not given: the repeat may have
    made it untrue.
    """
    is_kept = False
    try:
        try:
            response = run(attempt)
        except Exception as error:  # noqa: BLE001 -- the view makes an answer of it, or raises it
            response = refuse(error)
        if is_final(response):
            is_kept = store.finish(attempt, _kept(response))
            if not is_kept:
                response = refuse(IdempotencyInProgress())
    finally:
        if not is_kept:
            store.give_up(attempt)
    return response


def is_final(response: Response) -> bool:
    """Return whether a repeat is to get this answer again."""
    if response.status_code >= 500 or response.status_code in NOT_KEPT:
        return False
    return not response.exception or response.data.get("code") not in NOT_KEPT_CODES


def _kept(response: Response) -> Answer:
    body = JsonRenderer().render(response.data)
    return Answer(response.status_code, body, kept_headers(response))


def kept_headers(response: Response) -> dict[str, str]:
    """Return the headers that a repeat gets again."""
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    if response.status_code != 204:
        headers["Content-Type"] = response.content_type or JsonRenderer.media_type
    return headers


class Replay(Response):
    """The first answer once more, or, if it `is_first`, as it was kept."""

    def __init__(self, answer: Answer, *, is_first: bool = False) -> None:
        super().__init__(status=answer.status)
        del self["Content-Type"]  # Django's own; the kept one follows, if there is a body
        for name, value in answer.headers.items():
            self[name] = value
        if not is_first:
            self[REPLAYED] = "true"
        self._body = answer.body

    @property
    def rendered_content(self) -> bytes:  # type: ignore[override]
        """The bytes that were sent first."""
        return self._body
