"""Whose an `Idempotency-Key` is before there is anybody: that of an e-mail address."""

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request

from accounts.models import normalize_email
from tenancy.idempotency import keyed_digest


def by_email(request: Request) -> str | None:
    """Return whose key a sign-up has: a digest of the address; None without one."""
    body: Any = request.data
    if not isinstance(body, Mapping):
        return None
    email = body.get("email", body.get("admin_email"))
    if not isinstance(email, str):
        return None
    return f"signup:{keyed_digest(normalize_email(email))}"
