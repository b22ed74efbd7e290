"""Create an account for the admin site."""

import argparse
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from accounts.authenticators import Offer, enable, offer_authenticator
from accounts.models import User
from accounts.operators import create_operator, promote_user
from accounts.two_factor import find_device
from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.management.reporting import Report, ReportingCommand

PASSWORD_VARIABLE = "TENANTRY_OPERATOR_PASSWORD"  # noqa: S105 -- a name, not a password
GENERATED_PASSWORD_BYTES = 18
PASSWORD_FILE_MAX_CHARACTERS = 1_000
PICTURE_SAMPLE = "\u2588\u2580\u2584"  # what a QR code is drawn with


@dataclass(frozen=True)
class SecondFactor:
    """An authenticator that counts already, and the recovery codes: to be shown once."""

    offer: Offer
    codes: list[str]


class Command(ReportingCommand):
    """Create an operator, or make a user one."""

    help = (
        "Create an operator, a superuser unless --no-superuser is given. The password comes from "
        f"{PASSWORD_VARIABLE} or --password-file; else one is generated and printed once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address, the powers and the second factor."""
        parser.add_argument("email", help="The e-mail address to sign in with.")
        parser.add_argument(
            "--superuser", action=argparse.BooleanOptionalAction, default=True,
            help="Whether the operator may do everything, also make others operators.",
        )  # fmt: skip
        parser.add_argument("--password-file", metavar="FILE", help="A file with the password.")
        parser.add_argument(
            "--promote", action="store_true",
            help="Make the user with this address an operator; the password stays.",
        )  # fmt: skip
        parser.add_argument(
            "--two-factor", action="store_true",
            help="Set an authenticator up, too: print its QR code and recovery codes, once.",
        )  # fmt: skip

    def act(self, *, email: str, promote: bool, superuser: bool, **options: Any) -> Report:
        """Create or promote, then set up the authenticator."""
        generated = None
        if promote:
            user = promote_user(email, superuser=superuser, by=self.actor)
        else:
            given = _given_password(options["password_file"])
            generated = None if given else secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
            password = given or generated or ""
            user = create_operator(email, password, superuser=superuser, by=self.actor)
        factor = self._enroll(user) if options["two_factor"] else None
        text = _introduce(user, generated, is_new=not promote)
        if options["two_factor"]:
            text += "\n" + _explain(factor, picture=_can_print(self.stdout, PICTURE_SAMPLE))
        return Report(_represent(user, generated, factor, is_new=not promote), text)

    def _enroll(self, user: User) -> SecondFactor | None:
        """Return a new second factor, or None if the user has one, which stays."""
        if find_device(user.pk) is not None:
            return None
        offer = offer_authenticator(user)
        return SecondFactor(offer, enable(offer.device, by=self.actor))


def _given_password(path: str | None) -> str | None:
    given = os.environ.get(PASSWORD_VARIABLE) or None
    if path is None:
        return given
    if given is not None:
        raise _wrong(f"Give the password by {PASSWORD_VARIABLE} or --password-file, not by both.")
    try:
        with Path(path).open(encoding="utf-8") as file:
            password = file.read(PASSWORD_FILE_MAX_CHARACTERS).rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise _wrong("The password file cannot be read as UTF-8 text.") from error
    if not password:
        raise _wrong("The password file is empty.")
    return password


def _wrong(message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError("/password_file", "invalid", message)])


def _introduce(user: User, generated: str | None, *, is_new: bool) -> str:
    kind = "a superuser" if user.is_superuser else "an operator without permissions as yet"
    if not is_new:
        return f"{user.email} is {kind} now. The password is as before."
    if generated is None:
        return f"Created {user.email}, {kind}, with the given password."
    return f"Created {user.email}, {kind}, with the password {generated} (shown only now)."


def _can_print(output: Any, sample: str) -> bool:
    """Return whether a terminal has these characters: the password must not be lost with them."""
    try:
        sample.encode(getattr(output, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _explain(factor: SecondFactor | None, *, picture: bool) -> str:
    if factor is None:
        return "There is an authenticator already; it stays."
    return (
        f"{factor.offer.to_text() if picture else ''}\n{factor.offer.uri}\n\n"
        "Scan this with an authenticator app. Recovery codes, shown only now:\n  "
        + "\n  ".join(factor.codes)
    )


def _represent(
    user: User, generated: str | None, factor: SecondFactor | None, *, is_new: bool
) -> dict[str, Any]:
    shown = factor and {
        "otpauth_uri": factor.offer.uri,
        "secret": factor.offer.secret,
        "recovery_codes": factor.codes,
    }
    return {
        "id": str(user.pk),
        "email": user.email,
        "is_new": is_new,
        "is_superuser": user.is_superuser,
        "password": generated,
        "two_factor": shown,
    }
