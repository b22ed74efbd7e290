"""Change a password, or get a new one by a letter."""

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.utils import timezone

from accounts.background import do_later
from accounts.mail import how_to_use, send
from accounts.models import Session, User, normalize_email
from accounts.passwords import check_new_password, hash_password, tell_of_new_password
from accounts.principals import Member
from accounts.profile import check_password_of, get_account
from accounts.sessions import revoke_sessions
from accounts.throttles import forget_account, may_write_to
from accounts.traces import record_for_user
from tenancy.exceptions import FieldError, ValidationFailed

SUBJECT_RESET = "Choose a new password"


class ResetTokens(PasswordResetTokenGenerator):
    """Django's: signed, good for `PASSWORD_RESET_TIMEOUT` and until the password changes."""

    key_salt = "accounts.password_resets"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        """Return what ends a token when it changes.

        Unlike Django's not the last sign-in: somebody who has the password could keep signing in,
        and so keep its owner from ever getting another.
        """
        return f"{user.pk}{user.password}{user.email}{timestamp}"

    def _now(self) -> datetime:
        """Return the time by which machines in different time zones agree."""
        return timezone.now().replace(tzinfo=None)


_tokens = ResetTokens()


def change_password(member: Member, current: str, new: str) -> None:
    """Give whoever is signed in a new password; their other sessions end, this one goes on.

    Raises ValidationFailed, with a pointer, RateLimited, or TokenRevoked for a user who is gone.
    """
    user = get_account(member)
    check_password_of(user, current)
    check_new_password(new, email=user.email, pointer="/new_password")
    kept = Session(pk=member.session_id)
    if not _replace(user, hash_password(new), "password.changed", keep=kept):
        raise _refusal("/current_password", "wrong_password", "The password has just changed.")


def forget_password(email: str) -> None:
    """Have a letter with a token sent if there is such a user; whether there is is found later."""
    if may_write_to(email):
        do_later(partial(_offer_reset, email))


def reset_password(token: str, new: str) -> None:
    """Give the user of a token a new password; all their sessions end, and the token is used.

    Signing in still takes the second factor, if they have one. Raises ValidationFailed, with a
    pointer, or RateLimited.
    """
    user = _find_user(token)
    if user is None:
        raise _unusable_token()
    check_new_password(new, email=user.email, pointer="/new_password")
    if not _replace(user, hash_password(new), "password.reset"):
        raise _unusable_token()
    forget_account(user.email)


def _replace(user: User, new_hash: str, action: str, *, keep: Session | None = None) -> bool:
    """Put a new hash in the place of the one that was read; return False if another did."""
    with transaction.atomic():
        unchanged = User.objects.filter(pk=user.pk, password=user.password, is_active=True)
        if not unchanged.update(password=new_hash):
            return False
        ended = revoke_sessions(user=user, but=keep, reason=action.replace(".", "_"))
        record_for_user(user, action, by=f"user:{user.pk}", sessions=ended)
        tell_of_new_password(user.email)
    return True


def _offer_reset(email: str) -> None:
    user = User.objects.filter(email=normalize_email(email), is_active=True).first()
    if user is None or not user.has_usable_password():
        return
    with transaction.atomic():
        record_for_user(user, "password.reset_requested", by="anonymous")
    token = f"{user.pk.hex}-{_tokens.make_token(user)}"
    minutes = settings.PASSWORD_RESET_TIMEOUT // 60
    send(
        user.email,
        SUBJECT_RESET,
        "Somebody, hopefully you, asks for a new password for your account. "
        f"Choose one within {minutes} minutes.\n\n"
        f"{_how_to_choose(token)}\n\n"
        "If it was not you, do nothing: your password stays as it is.\n",
    )


def _how_to_choose(token: str) -> str:
    page = settings.ACCOUNTS_RESET_URL
    return how_to_use(token, page=page, route="password/reset", new_password="...")  # noqa: S106


def _find_user(token: str) -> User | None:
    """Return the active user for whom a token is good, or None."""
    identity, _, signed = token.partition("-")
    try:
        user = User.objects.filter(pk=UUID(identity), is_active=True).first()
    except ValueError:
        return None
    return user if user is not None and _tokens.check_token(user, signed) else None


def _unusable_token() -> ValidationFailed:
    return _refusal("/token", "invalid_token", "The token is not valid, too old, or was used.")


def _refusal(pointer: str, code: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(pointer, code, message)])
