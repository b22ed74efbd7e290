"""`Idempotency-Key`: a request that may be sent twice is done once, and answered twice.

    @idempotent()
    def create(self, request: Request, *, attempt: Attempt) -> Response: ...

The action makes a thing whose id is `attempt.resource`, and calls `hold_attempt` before it changes
anything. Repeated with the same key, the request gets the first answer again, with
`Idempotent-Replayed: true`; after a crash it runs again with the same `resource`, and has to find
what is there already. An attempt that was so slow that its repeat has begun is told 409. Without
the header nothing is kept. On routes that are not marked so the header is ignored: there a repeat
does no harm, or is the client's.
"""

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django.utils.datastructures import MultiValueDict
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api.json import JsonRenderer
from tenancy.api.schema import header
from tenancy.exceptions import IdempotencyInProgress, InvalidParameter
from tenancy.idempotency import CATALOG, Answer, Ask, Attempt, Store, keyed_digest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY = re.compile(r"[ -~]{1,255}")
# What a client goes on with; everything else is made anew for each answer.
KEPT_HEADERS = ("Cache-Control", "ETag", "Location", "Referrer-Policy")
# These say nothing of what was asked for, and waiting helps.
NOT_KEPT = frozenset({401, 429})
NOT_KEPT_CODES = frozenset({"operation_running", IdempotencyInProgress.code})
PARAMETER = header(
    HEADER, "1 to 255 printable ASCII characters. For 24 hours a repeat gets the first answer."
)

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

    def decorate(action: Action) -> Callable[..., HttpResponse | Response]:
        @wraps(action)
        def once(view: Any, request: Request, **parts: Any) -> HttpResponse | Response:
            ask = _ask(request, scope)
            if ask is None:
                return action(view, request, attempt=Attempt.without_key(), **parts)
            begun = store.begin(ask)
            if isinstance(begun, Answer):
                return _replay(begun)

            def run(attempt: Attempt) -> Response:
                return action(view, request, attempt=attempt, **parts)

            return _run(store, begun, run, view.handle_exception)

        return once

    return decorate


def _ask(request: Request, scope: Scope) -> Ask | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not KEY.fullmatch(key):
        raise InvalidParameter(f"{HEADER} is 1 to 255 printable ASCII characters.")
    whose = scope(request)
    return None if whose is None else Ask(whose, key, _digest(request))


def _digest(request: Request) -> str:
    """Return a digest of all that is asked; of the body's meaning, not of how it is spelled.

    It is keyed: a body may hold a password.
    """
    data = request.data
    body = dict(data.lists()) if isinstance(data, MultiValueDict) else data
    query = sorted(request.query_params.lists())
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
        if _is_final(response):
            is_kept = store.finish(attempt, _kept(response))
            if not is_kept:
                response = refuse(IdempotencyInProgress())
    finally:
        if not is_kept:
            store.give_up(attempt)
    return response


def _is_final(response: Response) -> bool:
    if response.status_code >= 500 or response.status_code in NOT_KEPT:
        return False
    return not response.exception or response.data.get("code") not in NOT_KEPT_CODES


def _kept(response: Response) -> Answer:
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    headers["Content-Type"] = response.content_type or JsonRenderer.media_type
    return Answer(response.status_code, JsonRenderer().render(response.data), headers)


def _replay(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    for name, value in {**answer.headers, REPLAYED: "true"}.items():
        response[name] = value
    return response
