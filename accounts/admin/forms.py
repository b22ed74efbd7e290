"""What operators type about users: addresses in their one spelling, passwords by our rules.

A password set here opens the API, and one set there opens this site: both are normalized alike.
"""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.forms import AdminPasswordChangeForm as DjangoOwnPasswordForm
from django.contrib.auth.forms import AdminPasswordChangeForm, BaseUserCreationForm
from django.db import transaction

from accounts.exceptions import RateLimited
from accounts.models import User, normalize_email
from accounts.passwords import check_new_password, hash_password, matches
from accounts.sessions import revoke_sessions
from accounts.traces import record_for_user
from tenancy.exceptions import ValidationFailed

if TYPE_CHECKING:
    _NewUserForm = BaseUserCreationForm[User]
    _UserForm = forms.ModelForm[User]
    _PasswordForm = AdminPasswordChangeForm[User]
else:
    _NewUserForm, _UserForm = BaseUserCreationForm, forms.ModelForm
    _PasswordForm = AdminPasswordChangeForm


class PasswordRules:
    """What Django's password forms do by our rules: check and hash."""

    cleaned_data: dict[str, Any]
    _hash = ""

    def validate_password_for_user(
        self,
        user: User,
        password_field_name: str = "password2",  # noqa: S107
    ) -> None:
        """Put every reason against the password on its field; hash one that may be used."""
        password = self.cleaned_data.get(password_field_name)
        if not password or not self._is_usable():
            return
        try:
            check_new_password(password, email=user.email)
            self._hash = hash_password(password)
        except ValidationFailed as error:
            for problem in error.errors:
                self.add_error(password_field_name, problem.message)  # type: ignore[attr-defined]
        except RateLimited as error:
            self.add_error(password_field_name, error.detail)  # type: ignore[attr-defined]

    def set_password_and_save(
        self,
        user: User,
        password_field_name: str = "password1",  # noqa: S107 -- the name of a field
        commit: bool = True,  # noqa: FBT001, FBT002 -- Django's signature
    ) -> User:
        """Take the hash; with `commit` save it, and nothing else of the user."""
        if self._is_usable():
            user.password = self._hash
        else:
            user.set_unusable_password()
        if commit:
            with transaction.atomic():
                if User.objects.filter(pk=user.pk).update(password=user.password):
                    self.follow_up(user)
        return user

    def follow_up(self, user: User) -> None:
        """Do what another password asks for, in the transaction that saves it."""
        raise NotImplementedError

    def _is_usable(self) -> bool:
        """Return False where an operator chose that the user has no password at all."""
        return bool(self.cleaned_data.get("set_usable_password", True))


class AddressRules:
    """Addresses are compared in their one spelling."""

    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        """Return the one spelling."""
        return normalize_email(self.cleaned_data["email"])


class NewUserForm(AddressRules, PasswordRules, _NewUserForm):
    """A new user: an address and a password."""

    class Meta:
        model = User
        fields = ["email", "name"]


class UserForm(AddressRules, _UserForm):
    """A user without the password, which has a page of its own."""

    class Meta:
        model = User
        fields = ["email", "name", "is_active", "is_staff", "is_superuser"]


class PasswordForm(PasswordRules, _PasswordForm):
    """A new password for somebody, or none, by the word of an operator."""

    def __init__(self, *args: Any, by: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._by = by

    def follow_up(self, user: User) -> None:
        """Sign the user out everywhere, and record who did it."""
        revoke_sessions(user=user)
        record_for_user(user, "password.set", by=self._by, usable=self._is_usable())


class OwnPasswordForm(PasswordRules, DjangoOwnPasswordForm):
    """A new password for the operator who is signed in."""

    def follow_up(self, user: User) -> None:
        """Sign the user out everywhere, and record it as their own act."""
        revoke_sessions(user=user)
        record_for_user(user, "password.changed", by=f"user:{user.pk}")

    def clean_old_password(self) -> str:
        """Refuse anything but the password that holds now."""
        given: str = self.cleaned_data["old_password"]
        try:
            is_right = matches(given, self.user)
        except RateLimited as error:
            raise forms.ValidationError(error.detail, code=error.code) from error
        if not is_right:
            raise forms.ValidationError(self.error_messages["password_incorrect"])
        return given
