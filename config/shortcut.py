"""The short way for requests to the API: past the middleware that is there for browsers.

The API knows neither cookies nor operators nor files. What Django's middleware would still do for
it, a check of the host and some headers, is done here in one go, by the same middleware.
"""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

API = ("/api/v1/", "/org/", "/livez", "/readyz", "/metrics")
# Whose headers an answer of the API carries, too.
OBEYED = (SecurityMiddleware, XFrameOptionsMiddleware)
GOOD_HOSTS_KEPT = 64
Headers = dict[str, tuple[str, str]]  # as Django keeps them: by their names in lower case


class ApiShortcut:
    """Middleware that takes requests to the API past all that is listed after it."""

    def __init__(self, get_response: Any) -> None:
        self._get_response = self._view = get_response
        self._layers: list[Any] = []
        # Django wraps each layer in a function for its errors, and says so as functools does.
        while True:
            layer: Any = getattr(self._view, "__wrapped__", None)
            if not hasattr(layer, "get_response"):
                break
            self._layers.append(layer)
            self._view = layer.get_response
        self._leads_to_https = settings.SECURE_SSL_REDIRECT  # as Django's middleware: asked once
        self._ready: dict[bool, Headers] = {}
        self._good_hosts: dict[str | None, list[str]] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request; one to the API without the other middleware."""
        if not request.path_info.startswith(API):
            page: HttpResponseBase = self._get_response(request)
            return page
        is_secure = request.is_secure()
        if (self._leads_to_https and not is_secure) or not self._is_for_us(request):
            refused: HttpResponseBase = self._get_response(request)
            return refused
        answer: Any = self._view(request)
        headers = self._headers_of_any(request, is_secure=is_secure) | answer.headers._store  # noqa: SLF001 -- one step for all
        if not answer.streaming and "content-length" not in headers:
            headers["content-length"] = ("Content-Length", str(len(answer.content)))
        answer.headers._store = headers  # noqa: SLF001
        complete: HttpResponseBase = answer
        return complete

    def _is_for_us(self, request: HttpRequest) -> bool:
        """Return whether Django takes the host; one that was good is not looked at again."""
        host, allowed = request.META.get("HTTP_HOST"), settings.ALLOWED_HOSTS
        if self._good_hosts.get(host) is allowed:
            return True
        try:
            request.get_host()
        except DisallowedHost:
            return False
        if len(self._good_hosts) < GOOD_HOSTS_KEPT:
            self._good_hosts[host] = allowed
        return True

    def _headers_of_any(self, request: HttpRequest, *, is_secure: bool) -> Headers:
        """Return what the middleware says with any answer; it is asked once, with an empty one."""
        if is_secure not in self._ready:
            self._ready[is_secure] = headers_of_any(request, self._layers)
        return self._ready[is_secure]


def headers_of_any(request: HttpRequest, layers: Iterable[Any]) -> Headers:
    """Return what those of the middleware that are `OBEYED` say with any answer."""
    empty: Any = HttpResponse()
    for layer in layers:
        if isinstance(layer, OBEYED):
            empty = layer.process_response(request, empty)
    del empty["Content-Type"]
    return dict(empty.headers._store)  # noqa: SLF001 -- as Django keeps them
