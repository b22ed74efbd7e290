"""The WSGI entry point that granian serves: who comes in, and in which order.

Around Django there is a gate (see `tenancy.admission`): a request that finds no room is answered
here, without Django, catalog or MongoDB. Health routes have gates of their own: one for those that
ask catalog and MongoDB, which may not answer, and one for those that tell of the process alone.
"""

import gc
import os
from collections.abc import Iterable, Iterator
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.db import connections
from django.http import HttpResponse

from tenancy import lanes
from tenancy.admission import Gate, Seat, SeatedConnections, bodies_at_once, sit
from tenancy.board import BOARD
from tenancy.connection_balance import BALANCE
from tenancy.exceptions import Overloaded, TenancyError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from config.bodies import Bodies  # noqa: E402 -- Django must be ready
from config.handler import Handler  # noqa: E402
from config.problems import refusal  # noqa: E402 -- Django must be ready
from config.shortcut import OBEYED, headers_of_any  # noqa: E402

StartResponse = Any  # of PEP 3333
Environ = dict[str, Any]

HEALTH = frozenset({"/readyz", "/metrics"})
ALIVE = frozenset({"/livez", "/health"})
HEALTH_SEATS, HEALTH_PLACES = 2, 16

LAYERS = [layer(lambda _: HttpResponse()) for layer in OBEYED]  # what they say they say here, too

_django = Handler()
vars(connections)["_connections"] = SeatedConnections(vars(connections)["_connections"])

# A page of documents is thousands of new objects. Python would look through all of Django for
# rubbish again and again while it is read: what is there before the first request stays anyway.
NEW_OBJECTS_BEFORE_COLLECTION = 50_000
gc.collect()
gc.freeze()
gc.set_threshold(NEW_OBJECTS_BEFORE_COLLECTION)


def _gate(seats: int, places: int) -> Gate:
    return Gate(seats=seats, places=places, patience_seconds=settings.TENANTRY_QUEUE_SECONDS)


GATE = _gate(settings.TENANTRY_THREADS, settings.TENANTRY_QUEUE)
HEALTH_GATE = _gate(HEALTH_SEATS, HEALTH_PLACES)
ALIVE_GATE = _gate(HEALTH_SEATS, HEALTH_PLACES)
BODIES = Bodies(bodies_at_once(settings.TENANTRY_QUEUE))


def figures() -> tuple[int, ...]:
    """Return what `/metrics` says of this process: the columns of the board."""
    shed = GATE.shed + BODIES.places.refused
    return GATE.in_work, GATE.waiting, GATE.beside, shed, lanes.count(), BALANCE.connections, 1


BOARD.keep_showing(figures)


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request; keep its path as it came: Django puts its own reading in its place."""
    environ["tenantry.path"] = path = environ.get("PATH_INFO", "")
    gate = HEALTH_GATE if path in HEALTH else ALIVE_GATE if path in ALIVE else GATE
    if environ.get("CONTENT_LENGTH") and (error := BODIES.fetch(environ)):
        return _send_away(error, environ, start_response)
    seat = gate.enter()
    if seat is None:
        BODIES.drain(environ)
        return _send_away(Overloaded(), environ, start_response)
    if BOARD.is_stopping or BALANCE.sends_away():
        start_response = _closing(start_response)
    is_done = True
    sit(seat)
    try:
        response = _django(environ, start_response)
        if isinstance(response, HttpResponse):
            body = response.content
            response.close()
            return [body]
        gate.let_out(seat)
        if seat.is_beside:
            BODIES.drain(environ)
        is_done = False
        return Stream(response, seat)
    finally:
        if is_done:
            sit(None)
            gate.leave(seat)
            BODIES.drain(environ)


class Stream:
    """An answer that is made while it is sent: its request keeps its seat until it is closed."""

    def __init__(self, response: Any, seat: Seat) -> None:
        self._response, self._seat = response, seat

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        """End the request. The server calls it once, in the thread that has made the answer."""
        try:
            self._response.close()
        finally:
            sit(None)
            self._seat.gate.leave(self._seat)


def _send_away(error: TenancyError, environ: Environ, start_response: StartResponse) -> list[bytes]:
    status, headers, body = refusal(error, environ)
    obeyed = headers_of_any(WSGIRequest({**environ, "CONTENT_TYPE": ""}), LAYERS)
    start_response(status, [*headers, *obeyed.values()])
    return [body]


def _closing(start_response: StartResponse) -> StartResponse:
    """Tell the client not to use its connection again: it would find it closed."""

    def start(status: str, headers: list[tuple[str, str]]) -> Any:
        return start_response(status, [*headers, ("Connection", "close")])

    return start
