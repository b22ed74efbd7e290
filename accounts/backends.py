"""How operators sign in to the admin site: with the limits and the care of every other sign-in."""

from typing import Any

from django import forms
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.exceptions import RateLimited
from accounts.models import User, normalize_email
from accounts.passwords import matches
from accounts.throttles import count_login, forget_logins
from tenancy.audit import record_event
from tenancy.middleware import client_address


class PasswordBackend(ModelBackend):
    """Django's question "whose password is this", answered in equal time and not without end."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        """Return the operator, or None. Raises forms.ValidationError, for the form that asks."""
        if username is None or password is None:
            return None
        address = client_address(request) if request is not None else None
        try:
            count_login(username, address)
            user = User.objects.filter(email=normalize_email(username)).first()
            is_right = matches(password, user)
        except RateLimited as error:
            raise forms.ValidationError(error.detail, code=error.code) from error
        may_come_in = user is not None and user.is_active and user.is_staff
        return user if is_right and may_come_in else None


@receiver(user_logged_in)
def forget_attempts(request: HttpRequest, user: User, **_: Any) -> None:
    """Begin to count anew, once somebody is signed in with all that it takes."""
    forget_logins(user.email, client_address(request))


@receiver(user_logged_in)
def record_sign_in(user: User, **_: Any) -> None:
    """Record that an operator's password was right."""
    record_operator_sign_in(user, methods="pwd")


def record_operator_sign_in(user: User, *, methods: str) -> None:
    """Record by what an operator has proved who they are: as `methods` of a session."""
    record_event(
        None, "operator.signed_in", by=f"user:{user.pk}", user=str(user.pk), methods=methods
    )


@receiver(user_login_failed)
def record_refusal(credentials: dict[str, Any], **_: Any) -> None:
    """Record that somebody was refused, whether or not there is such a user."""
    users = User.objects.filter(email=normalize_email(str(credentials.get("username", ""))))
    user = users.values_list("pk", flat=True).first()
    record_event(None, "operator.refused", by="anonymous", user=str(user) if user else None)
