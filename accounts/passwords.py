"""Check and hash passwords: bounded in length, in number at once, and equal in time."""

import threading

from django.conf import settings
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError

from accounts.models import User, normalize_password
from tenancy.exceptions import FieldError, ValidationFailed

PASSWORD_MAX_CHARACTERS = 128

# argon2 takes about 100 MB and a core for each computation; a storm of sign-ins shares a few.
_hashers = threading.BoundedSemaphore(settings.ACCOUNTS_HASHERS)
_dummy_hash: list[str] = []


def check_new_password(password: str, *, email: str, pointer: str = "/password") -> None:
    """Raise ValidationFailed, with every reason, unless the password may be used."""
    if len(password) > PASSWORD_MAX_CHARACTERS:
        reasons = [
            (f"The password is longer than {PASSWORD_MAX_CHARACTERS} characters.", "too_long")
        ]
    else:
        reasons = _weaknesses(normalize_password(password), email)
    if reasons:
        errors = [FieldError(pointer, code, message) for message, code in reasons]
        raise ValidationFailed("The password cannot be used.", errors=errors)


def _weaknesses(password: str, email: str) -> list[tuple[str, str]]:
    try:
        password_validation.validate_password(password, User(email=email))
    except ValidationError as error:
        return [(problem.messages[0], str(problem.code)) for problem in error.error_list]
    return []


def hash_password(password: str) -> str:
    """Return the argon2id hash, once one of a few computations at a time is free."""
    with _hashers:
        return make_password(normalize_password(password))


def matches(password: str, user: User | None) -> bool:
    """Return whether it is the user's password. Without a user the answer takes as long: False."""
    too_long = len(password) > PASSWORD_MAX_CHARACTERS
    with _hashers:
        if too_long or user is None or not user.has_usable_password():
            check_password("", _dummy())
            return False
        return check_password(normalize_password(password), user.password)


def _dummy() -> str:
    if not _dummy_hash:
        _dummy_hash.append(make_password("no user has this password"))
    return _dummy_hash[0]
