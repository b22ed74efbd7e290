"""Django's WSGI handler, with a shorter way for requests to the API.

Around every request Django tells whoever listens that it begins and ends. Of its own listeners two
empty caches that this service has not; the third looks after the connections to the catalog, which
most requests do not touch: that is done here, with less ado.
"""

import time
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.cache import close_caches
from django.core.exceptions import TooManyFieldsSent
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.urls import get_resolver
from django.utils.functional import cached_property
from django.utils.log import log_response

from config.problems import TOO_MANY_PARAMETERS, unreadable, untyped
from config.shortcut import API
from tenancy.admission import connections_of_seat
from tenancy.exceptions import InvalidParameter

EMPTY_QUERY = QueryDict()
NO_CONTENT_TYPE = "The header Content-Type cannot be read. Leave its parameters out."
# What Django lets escape where a Content-Type names no encoding, or parts that contradict each
# other; and for a query that is read along with it.
UNREADABLE = (ValueError, LookupError, TypeError, TooManyFieldsSent)
ROUTES_KEPT, KNOWN_MAX_CHARACTERS = 2_048, 256


def look_after_connections() -> None:
    """Close those of the connections at hand that are broken or have served long enough."""
    seated = connections_of_seat()
    opened = connections.all(initialized_only=True) if seated is None else seated.values()
    each: Any
    for each in tuple(opened):
        if each.connection is None:
            continue
        each.health_check_done = False
        has_lapsed = each.close_at is not None and time.monotonic() >= each.close_at
        if has_lapsed or each.errors_occurred or not each.autocommit:
            each.close_if_unusable_or_obsolete()


class ReadRequest(WSGIRequest):
    """A request as Django reads it; where it cannot, `obstacle` says why and there is no type."""

    obstacle: InvalidParameter | None = None

    def __init__(self, environ: dict[str, Any]) -> None:
        try:
            super().__init__(environ)
            self._check_encoding()
        except UNREADABLE:
            super().__init__(untyped(environ))
            is_long = _is_too_long(environ.get("QUERY_STRING", ""))
            self.obstacle = InvalidParameter(TOO_MANY_PARAMETERS if is_long else NO_CONTENT_TYPE)

    def _check_encoding(self) -> None:
        """Raise one of `UNREADABLE` for an encoding that is not one of text, as base64."""
        if self.encoding is not None:
            b"aaaa".decode(self.encoding)


def _is_too_long(query: str) -> bool:
    try:
        QueryDict(query)
    except TooManyFieldsSent:
        return True
    return False


class ApiRequest(ReadRequest):
    """A request to the API; most have no query. It is read as UTF-8, whatever is said."""

    def _check_encoding(self) -> None:
        """Let any pass."""

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]  # noqa: N802 -- Django's name
        """The parameters of the query."""
        query = self.environ.get("QUERY_STRING", "")
        return QueryDict(query.encode("latin-1")) if query else EMPTY_QUERY


class Handler(WSGIHandler):
    """The application that the web server calls, in each of its threads."""

    request_class = ReadRequest

    def __init__(self) -> None:
        super().__init__()
        self._find_route = get_resolver(settings.ROOT_URLCONF).resolve
        # Django tries one route after the other. What leads nowhere is not kept.
        self._find_known_route = lru_cache(ROUTES_KEPT)(self._find_route)
        request_finished.disconnect(close_caches)
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)
        request_finished.disconnect(reset_urlconf)  # there is one
        if not settings.DEBUG:  # it forgets the queries that are only remembered there
            request_started.disconnect(reset_queries)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> HttpResponseBase:
        """Answer a request."""
        look_after_connections()
        if not environ["tenantry.path"].startswith(API):
            return super().__call__(environ, start_response)
        request_started.send(sender=type(self), environ=environ)
        response: Any = self.get_response(ApiRequest(environ))
        response._handler_class = type(self)  # noqa: SLF001 -- as Django does
        headers = list(response.headers._store.values())  # noqa: SLF001 -- as they are kept
        headers += [("Set-Cookie", each.output(header="")) for each in response.cookies.values()]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        answer: HttpResponseBase = response
        return answer

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request through the middleware."""
        if request.path_info.startswith(API):
            response: Any = self._middleware_chain(request)  # type: ignore[attr-defined]
            response._resource_closers.append(request.close)  # noqa: SLF001 -- as Django does
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                log_response(
                    "%s: %s", response.reason_phrase, request.path,
                    response=response, request=request,
                )  # fmt: skip
        else:
            response = super().get_response(request)
        response._resource_closers.append(look_after_connections)  # noqa: SLF001
        answer: HttpResponseBase = response
        return answer

    def _get_response(self, request: ReadRequest) -> HttpResponseBase:
        """Call the view. Those of the API have no middleware of their own, nor transactions."""
        if request.obstacle is not None:
            return unreadable(request, request.obstacle)
        if not request.path_info.startswith(API):
            page: HttpResponseBase = super()._get_response(request)  # type: ignore[misc]
            return page
        path = request.path_info
        find = self._find_known_route if len(path) <= KNOWN_MAX_CHARACTERS else self._find_route
        match = request.resolver_match = find(path)
        made: Any = match.func(request, *match.args, **match.kwargs)
        answer: HttpResponseBase = made.render() if hasattr(made, "render") else made
        return answer
