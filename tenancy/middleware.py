"""The one middleware: attaches a request id and a lazy tenant. It decides nothing."""

import random
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string

from tenancy import catalog
from tenancy.answers import add_headers
from tenancy.context import Origin, current_tenant, origin_context, tenant_context

ADDRESSES_KEPT = 1_024
REQUEST_ID_BITS = 128  # told apart, not kept secret
WELL_FORMED_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _request_id(request: HttpRequest) -> str:
    given = request.META.get("HTTP_X_REQUEST_ID", "")  # not `headers`: that copies all of them
    return (
        given
        if WELL_FORMED_REQUEST_ID.fullmatch(given)
        else f"{random.getrandbits(REQUEST_ID_BITS):032x}"
    )


def client_address(request: HttpRequest) -> str | None:
    """Return from where a request comes. See `address_in`."""
    return address_in(request.META)


def address_in(environ: Mapping[str, Any]) -> str | None:
    """Return from where a request comes: what the proxy in front says, if there is one.

    A proxy adds the address it sees at the end; what stands before that, anybody could write.
    Where it says none that can be read, such as `unknown`, it is the proxy's own.
    """
    direct = _read_address(environ.get("REMOTE_ADDR") or "")
    if not settings.TENANTRY_BEHIND_PROXY:
        return direct
    return _read_address(environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2]) or direct


@lru_cache(maxsize=ADDRESSES_KEPT)
def _read_address(text: str) -> str | None:
    """Return the address in `1.2.3.4`, `1.2.3.4:55123`, `2001:db8::1` or `[2001:db8::1]:443`.

    A zone, as of `fe80::1%eth0`, means something on this machine alone and is left out.
    """
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


class TenantMiddleware:
    """Attach `request.request_id` and `request.tenant`, the tenant of the credential.

    What a part of the product puts into `request.answer_headers` is on the answer, good or bad.

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
        origin = Origin(request_id, client_address(request))
        with origin_context(origin), tenant_context(lambda: self._resolve_claim(request)):
            response = self._get_response(request)
        add_headers(
            response, {"X-Request-Id": request_id, **getattr(request, "answer_headers", {})}
        )
        return response
