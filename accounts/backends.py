"""How operators sign in to the admin site: with the limits and the care of every other sign-in."""

from typing import Any

from django import forms
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.exceptions import RateLimited
from accounts.models import User, normalize_email
from accounts.passwords import matches
from accounts.throttles import count_login, forget_logins
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
        """Return the user, or None. Raises forms.ValidationError, for the form that asks."""
        if username is None or password is None:
            return None
        address = client_address(request) if request is not None else None
        try:
            count_login(username, address)
            user = User.objects.filter(email=normalize_email(username)).first()
            is_right = matches(password, user)
        except RateLimited as error:
            raise forms.ValidationError(error.detail, code=error.code) from error
        return user if is_right and user is not None and user.is_active else None


@receiver(user_logged_in)
def forget_attempts(request: HttpRequest, user: User, **_: Any) -> None:
    """Begin to count anew, once somebody is signed in with all that it takes."""
    forget_logins(user.email, client_address(request))
