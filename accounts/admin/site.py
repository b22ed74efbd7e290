"""Who comes into the admin site: operators who have shown their second factor, if they need one.

Whoever has an authenticator needs it; with `ADMIN_TWO_FACTOR` everybody does. It is asked for by
each request, so that it holds for those who are signed in already.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from accounts.admin.second_factor import AuthenticatorPage, CodePage, Page, find_own_device


def is_verified(request: HttpRequest) -> bool:
    """Return whether this session has shown a code of an authenticator that still counts."""
    return getattr(request.user, "otp_device", None) is not None


def lacks_second_factor(request: HttpRequest) -> bool:
    """Return whether an operator has to show a code, or to set an authenticator up, first."""
    if is_verified(request):
        return False
    return settings.ADMIN_TWO_FACTOR or find_own_device(request) is not None


class SecondFactorGate:
    """The site's own rule of who may come in, and one more."""

    def __init__(self, site: admin.AdminSite) -> None:
        self.site = site
        self._is_operator, self._login, self._urls = site.has_permission, site.login, site.get_urls

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may see any page of the site."""
        return self._is_operator(request) and not lacks_second_factor(request)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for the password; of those whose password was right, for what else they need."""
        if request.method != "GET" or not self._is_operator(request) or is_verified(request):
            return self._login(request, extra_context)
        if not lacks_second_factor(request):
            return self._login(request, extra_context)
        wanted = request.GET.get("next", "")
        url = reverse("admin:second_factor")
        return HttpResponseRedirect(f"{url}?{urlencode({'next': wanted})}" if wanted else url)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Add the page that asks for a code, and the one that sets an authenticator up."""
        return [
            path("second-factor/", self._open(CodePage), name="second_factor"),
            path("authenticator/", self._open(AuthenticatorPage), name="authenticator"),
            *self._urls(),
        ]

    def _open(self, kind: type[Page]) -> Callable[[HttpRequest], HttpResponse]:
        """Return a view for operators who are not let in yet."""

        @never_cache
        @csrf_protect
        @sensitive_post_parameters()
        def view(request: HttpRequest) -> HttpResponse:
            if not self._is_operator(request):
                return HttpResponseRedirect(reverse("admin:login"))
            return kind(self.site, request).answer()

        return view


def demand_second_factor(site: admin.AdminSite) -> None:
    """Put the gate before a site."""
    gate = SecondFactorGate(site)
    site.has_permission = gate.has_permission  # type: ignore[method-assign]
    site.login = gate.login  # type: ignore[method-assign]
    site.get_urls = gate.get_urls  # type: ignore[method-assign]
