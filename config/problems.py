"""Exception -> HTTP: the one status table, the one response shape (RFC 9457)."""

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from django.core.exceptions import BadRequest, SuspiciousOperation, TooManyFieldsSent
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.handlers.wsgi import WSGIRequest
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.defaults import bad_request as bad_request_page
from django.views.defaults import page_not_found
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts import exceptions as accounts
from tenancy import exceptions as tenancy
from tenancy.api.json import JsonRenderer
from tenancy.context import find_current_tenant
from tenancy.middleware import WELL_FORMED_REQUEST_ID
from tenancy.mongo.extended_json import dumps

logger = logging.getLogger("tenantry.problems")

PROBLEM_JSON = "application/problem+json"
ADMIN_SITE = "/admin/"
RETRY_AFTER_SECONDS = 1
# deadlock_detected and serialization_failure: PostgreSQL, appendix A.
COLLISION_STATES = frozenset({"40P01", "40001"})
SQLITE_LOCKED = "database is locked"  # SQLITE_BUSY, after the busy_timeout
COLLISION = "Others changed the same things at the same time. Nothing was done. Try again."
TOO_MANY_PARAMETERS = "There are more than 1,000 parameters."  # Django's default bound

# The nearest class in an exception's ancestry decides.
STATUS: dict[type[Exception], int] = {
    tenancy.TenancyError: 500,
    tenancy.InvalidInput: 422,
    tenancy.MalformedJson: 400,
    tenancy.InvalidParameter: 400,
    tenancy.CursorInvalid: 400,
    tenancy.InvalidId: 400,
    tenancy.InvalidDocument: 422,
    tenancy.PayloadTooLarge: 413,
    tenancy.UnsupportedMediaType: 415,
    tenancy.NotFound: 404,
    tenancy.Conflict: 409,
    tenancy.PreconditionFailed: 412,
    tenancy.OrganizationSuspended: 403,
    tenancy.OrganizationDeleted: 410,
    tenancy.PlanLimitReached: 403,
    tenancy.PlacementUnsupported: 422,
    tenancy.Unavailable: 503,
    tenancy.QueryTimeout: 504,
    accounts.NotAuthenticated: 401,
    accounts.PermissionDenied: 403,
    accounts.InvitationExpired: 410,
    accounts.RateLimited: 429,
    tenancy.IdempotencyKeyReused: 422,
}
# What Django and DRF raise themselves, by the code it gets here.
FOREIGN: dict[type[Exception], tuple[int, str, str]] = {
    Http404: (404, "not_found", "There is nothing here."),
    DjangoPermissionDenied: (403, "permission_denied", "This is not allowed."),
    SuspiciousOperation: (400, "malformed_request", "The request is not well-formed."),
    TooManyFieldsSent: (400, "invalid_parameter", TOO_MANY_PARAMETERS),
    BadRequest: (400, "malformed_request", "The request is not well-formed."),
    drf.NotAuthenticated: (401, "not_authenticated", accounts.NotAuthenticated.default_detail),
    drf.AuthenticationFailed: (401, "not_authenticated", accounts.NotAuthenticated.default_detail),
    drf.PermissionDenied: (403, "permission_denied", "This is not allowed."),
    drf.NotFound: (404, "not_found", "There is nothing here."),
    drf.MethodNotAllowed: (405, "method_not_allowed", "The route does not have this method."),
    drf.NotAcceptable: (406, "not_acceptable", "Answers are application/json."),
    drf.UnsupportedMediaType: (
        415, "unsupported_media_type", tenancy.UnsupportedMediaType.default_detail,
    ),
    drf.Throttled: (429, "rate_limited", accounts.RateLimited.default_detail),
    drf.ParseError: (400, "malformed_json", "The body is not well-formed."),
}  # fmt: skip
# Every code that an answer can carry, with its status; README.md lists them.
CODES_OF_RETRYABLE = frozenset({429, 503, 504})


def status_of(error: Exception, overrides: Mapping[type[Exception], int] | None = None) -> int:
    """Return the HTTP status of a domain error; `overrides` come first, class by class."""
    tables = [overrides or {}, STATUS]
    for ancestor in type(error).__mro__:
        for table in tables:
            if ancestor in table:
                return table[ancestor]
    return 500


def problem(
    request: HttpRequest, status: int, code: str, detail: str, error: Exception | None = None
) -> dict[str, Any]:
    """Return the body of a problem."""
    body: dict[str, Any] = {
        "type": f"/api/docs#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "instance": request.path,
        "request_id": getattr(request, "request_id", ""),
        "retryable": status in CODES_OF_RETRYABLE,
        "errors": [],
    }
    if isinstance(error, tenancy.TenancyError):
        body["errors"] = [vars(each) for each in error.errors]
        body |= {"hint": error.hint} if error.hint else {}
        body |= error.extra
    return body


def describe(
    error: Exception, request: HttpRequest, overrides: Mapping[type[Exception], int] | None = None
) -> dict[str, Any]:
    """Return the problem that an exception becomes; one that nobody foresaw is logged."""
    if _is_collision(error):
        error = tenancy.TenantBusy(COLLISION)
    if isinstance(error, tenancy.TenancyError):
        status = status_of(error, overrides)
        if status == 500:
            _log(error, request)
        return problem(request, status, error.code, error.detail, error)
    for ancestor in type(error).__mro__:
        if ancestor in FOREIGN:
            return problem(request, *FOREIGN[ancestor])
    _log(error, request)
    return problem(request, 500, "internal", tenancy.TenancyError.default_detail)


def _is_collision(error: Exception) -> bool:
    """Return whether the catalog gave up a transaction in favour of another: nothing was done."""
    if not isinstance(error, OperationalError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state in COLLISION_STATES or SQLITE_LOCKED in str(error)


def _log(error: Exception, request: HttpRequest) -> None:
    logger.error(
        "%s %s failed (request %s, organization %s)",
        request.method, request.path, getattr(request, "request_id", ""), find_current_tenant(),
        exc_info=error,
    )  # fmt: skip


def _headers(body: dict[str, Any], error: Exception | None) -> dict[str, str]:
    headers = {}
    if body["status"] == 401:
        headers["WWW-Authenticate"] = f'Bearer realm="tenantry", error="{body["code"]}"'
    if body["status"] == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if "retry_after" in body:
        headers["Retry-After"] = str(body["retry_after"])
    if isinstance(error, accounts.RateLimited):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, drf.Throttled):
        headers["Retry-After"] = str(max(1, ceil(vars(error)["wait"] or 0)))
    if body["status"] == 412 and body.get("current"):
        headers["ETag"] = body["current"]
    return headers


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's hook: every exception of a view becomes a problem.

    A view may have a `problem_status` table of its own: the compatibility routes do.
    """
    set_rollback()
    asked = context["request"]
    # A view that renders pages still has its problems in JSON.
    asked.accepted_renderer, asked.accepted_media_type = JsonRenderer(), JsonRenderer.media_type
    request = asked._request  # noqa: SLF001
    if isinstance(error, drf.UnsupportedMediaType):
        error = _naming_types(asked)
    body = describe(error, request, getattr(context["view"], "problem_status", None))
    return Response(
        body, status=body["status"], headers=_headers(body, error), content_type=PROBLEM_JSON
    )


def _naming_types(asked: Any) -> tenancy.UnsupportedMediaType:
    *others, last = [parser.media_type for parser in asked.parsers]
    types = f"{', '.join(others)} or {last}" if others else last
    return tenancy.UnsupportedMediaType(f"Send the body with Content-Type: {types}.")


def _plain(body: dict[str, Any]) -> HttpResponse:
    return HttpResponse(
        dumps(body), status=body["status"], headers=_headers(body, None), content_type=PROBLEM_JSON
    )


def untyped(environ: dict[str, Any]) -> dict[str, Any]:
    """Return what a request came with but its Content-Type: what is left can always be read."""
    return {**environ, "PATH_INFO": environ["tenantry.path"], "CONTENT_TYPE": ""}


def refusal(
    error: tenancy.TenancyError, environ: dict[str, Any]
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and body for a request that Django does not see."""
    asked = WSGIRequest(untyped(environ))
    given = environ.get("HTTP_X_REQUEST_ID", "")
    is_good = WELL_FORMED_REQUEST_ID.fullmatch(given)
    request_id = given if is_good else secrets.token_hex(16)
    asked.request_id = request_id  # type: ignore[attr-defined]
    body = problem(asked, status_of(error), error.code, error.detail, error)
    encoded = dumps(body)
    headers = {
        "Content-Type": PROBLEM_JSON,
        "Content-Length": str(len(encoded)),
        "X-Request-Id": request_id,
        **_headers(body, error),
    }
    return f"{body['status']} {body['title']}", list(headers.items()), encoded


def _is_page(request: HttpRequest) -> bool:
    """Return whether it is for the admin site, which people look at."""
    return request.path.startswith(ADMIN_SITE)


def _bad_page(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the page for a request whose form is not read: the page itself would look for one."""
    request._mark_post_parse_error()  # type: ignore[attr-defined] # noqa: SLF001 -- as Django does
    return bad_request_page(request, error)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a path that is no route."""
    if _is_page(request):
        return page_not_found(request, exception)
    return _plain(problem(request, *FOREIGN[Http404]))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a request that Django itself refuses."""
    if _is_page(request):
        return _bad_page(request, exception)
    kind = TooManyFieldsSent if isinstance(exception, TooManyFieldsSent) else BadRequest
    return _plain(problem(request, *FOREIGN[kind]))


def unreadable(request: HttpRequest, error: tenancy.TenancyError) -> HttpResponse:
    """Answer for a request of which Django cannot read what every request has."""
    if _is_page(request):
        return _bad_page(request, error)
    return _plain(describe(error, request))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for what failed outside of a view; Django has logged it."""
    return _plain(problem(request, 500, "internal", tenancy.TenancyError.default_detail))
