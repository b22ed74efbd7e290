"""The one middleware: attaches a request id and a lazy tenant. It decides nothing.

After the answer is made it reads what nobody has read of the body: the server closes a connection
with an unread body, and a client that keeps its connections would lose its next request.
"""

import re
import uuid
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string

from tenancy import catalog
from tenancy.context import current_tenant, tenant_context

DRAIN_MAX_BYTES = 1_048_576
DRAIN_CHUNK_BYTES = 65_536
WELL_FORMED_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _request_id(request: HttpRequest) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if WELL_FORMED_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _drain(request: HttpRequest) -> None:
    """Read what is left of a body, up to a bound; a client that has gone is no error."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length.strip("0"):
        return
    left = DRAIN_MAX_BYTES
    with suppress(OSError, ValueError):  # UnreadablePostError is an OSError
        while left > 0 and (chunk := request.read(min(left, DRAIN_CHUNK_BYTES))):
            left -= len(chunk)


class TenantMiddleware:
    """Attach `request.request_id` and `request.tenant`, the tenant of the credential.

    The tenant is looked up when somebody asks for it, by the claim that the function named in
    `TENANCY_CLAIM_RESOLVER` finds in the request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._resolve_claim = import_string(settings.TENANCY_CLAIM_RESOLVER)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with the tenant ambient."""
        request_id = _request_id(request)
        request.request_id = request_id  # type: ignore[attr-defined]
        request.tenant = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: catalog.get_tenant(current_tenant())
        )
        with tenant_context(lambda: self._resolve_claim(request)):
            response = self._get_response(request)
        _drain(request)
        response["X-Request-Id"] = request_id
        return response
