"""Middleware that only the admin site needs: sessions, operators, messages.

The API knows neither cookies nor operators. Each is Django's own class, so that its checks find it
among the middleware. They stand in a row: what is not of the admin site passes all of them at once.
"""

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django_otp.middleware import OTPMiddleware

ADMIN_SITE = "/admin"


class AdminOnly:
    """Put before a middleware: it works for the admin site alone."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)  # type: ignore[call-arg]
        # Django wraps each layer in a function for its errors, and says so as functools does.
        inner = getattr(get_response, "__wrapped__", None)
        self.beyond: Any = inner.beyond if isinstance(inner, AdminOnly) else get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request with the middleware, or from beyond all that are in a row with it."""
        if request.path_info.startswith(ADMIN_SITE):
            answer: HttpResponseBase = super().__call__(request)  # type: ignore[misc]
            return answer
        passed_on: HttpResponseBase = self.beyond(request)
        return passed_on


class AdminSessions(AdminOnly, SessionMiddleware):
    """The session of an operator."""


class AdminCsrf(AdminOnly, CsrfViewMiddleware):
    """Forms of the admin site carry a token; the API takes no cookie that could be ridden on."""

    def process_view(self, request: HttpRequest, *view: Any) -> Any:
        """Check the token of a form of the admin site."""
        if request.path_info.startswith(ADMIN_SITE):
            return super().process_view(request, *view)
        return None


class AdminUsers(AdminOnly, AuthenticationMiddleware):
    """`request.user`: the operator."""


class AdminTwoFactor(AdminOnly, OTPMiddleware):
    """Whether the operator has shown a second factor."""


class AdminMessages(AdminOnly, MessageMiddleware):
    """What the admin site says after an act."""
