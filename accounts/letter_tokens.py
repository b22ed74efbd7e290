"""Tokens in letters that hold what is to be done once the letter came back, for this service alone.

Nothing is written before: the token says it all, encrypted, with what it is for and until when.
"""

import json
from typing import Any

from django.conf import settings
from django.utils import timezone

from tenancy.encryption import decrypt_uncached, encrypt
from tenancy.exceptions import FieldError, Undecryptable, ValidationFailed

UNUSABLE = "The token is not valid, too old, or was used."


def make_token(purpose: str, *fields: Any) -> str:
    """Return a token that holds JSON values, good for ACCOUNTS_CONFIRMATION_LIFETIME."""
    until = timezone.now() + settings.ACCOUNTS_CONFIRMATION_LIFETIME
    return encrypt(json.dumps([purpose, until.timestamp(), *fields]))


def read_token(token: str, *purposes: str) -> tuple[str, list[Any]]:
    """Return which of the purposes a token is for, and what it holds.

    Raises ValidationFailed for one that is for something else, not valid or too old.
    """
    try:
        purpose, until, *fields = json.loads(decrypt_uncached(token))
    except (Undecryptable, ValueError, TypeError) as error:
        raise unusable_token() from error
    if purpose not in purposes or until < timezone.now().timestamp():
        raise unusable_token()
    return purpose, fields


def unusable_token(message: str = UNUSABLE) -> ValidationFailed:
    """Return the refusal of a token."""
    return ValidationFailed(message, errors=[FieldError("/token", "invalid_token", message)])


def hours() -> str:
    """Return for how many hours a token is good, for a letter."""
    return f"{settings.ACCOUNTS_CONFIRMATION_LIFETIME.total_seconds() / 3600:g}"
