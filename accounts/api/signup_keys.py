"""Whose an `Idempotency-Key` is before there is anybody: that of an e-mail address."""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request

from accounts.signup_answers import scope_of_signup


def by_email(request: Request) -> str | None:
    """Return whose key a sign-up has: a digest of the address; None without one."""
    body: Any = request.data
    if not isinstance(body, Mapping):
        return None
    email = body.get("email", body.get("admin_email"))
    if not isinstance(email, str):
        return None
    return scope_of_signup(email)
