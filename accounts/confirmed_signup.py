"""Sign up where every address is confirmed first, and no answer tells whether it is known.

A letter goes out in any case: to whoever has an account that they have one, to others a token.
Until it comes back nothing is written: the token itself holds, encrypted, what was asked for. It
works once, because then there is a user with the address.
"""

import json
from functools import partial
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

from accounts.background import do_later
from accounts.exceptions import EmailTaken
from accounts.login import SignedIn
from accounts.mail import how_to_ask_for_a_password, how_to_use, send
from accounts.models import User
from accounts.sessions import Device
from accounts.signup import Account, Founding, check_sign_up, found
from accounts.throttles import may_write_to
from tenancy.encryption import decrypt_uncached, encrypt
from tenancy.exceptions import FieldError, NameTaken, Undecryptable, ValidationFailed
from tenancy.lifecycle.slugs import check_slug_is_free
from tenancy.names import clean_name, slug_of

OPEN, CONFIRMED = "open", "confirmed"
MODES = (OPEN, CONFIRMED)
ASKED = "A letter is on its way to this e-mail address: it says how to go on."
PURPOSE = "signup"
SUBJECT_CONFIRM = "Confirm your e-mail address"
SUBJECT_KNOWN = "You have an account already"


def ask_to_sign_up(organization_name: str, account: Account) -> None:
    """Check what somebody asks for, and have a letter sent to them; what it says is found later.

    A name is public, so one that is taken is told. Raises ValidationFailed, NameTaken or
    RateLimited.
    """
    slug = slug_of(clean_name(organization_name))
    founding = check_sign_up(organization_name, account)
    check_slug_is_free(slug, pointer="/organization_name")
    if may_write_to(founding.email):
        do_later(partial(_write, founding))


def confirm_sign_up(token: str, *, device: Device) -> SignedIn:
    """Create what a token holds, and sign its owner in.

    Raises ValidationFailed for a token that is not valid, too old or used, or NameTaken.
    """
    founding = _read_token(token)
    if _is_known(founding.email):
        raise _unusable_token()
    try:
        return found(founding, device=device, organization_id=uuid4(), pointer="/token")
    except (NameTaken, EmailTaken) as error:
        if _is_known(founding.email):  # by the same token, a moment ago
            raise _unusable_token() from error
        raise


def _is_known(email: str) -> bool:
    return User.objects.filter(email=email).exists()


def _write(founding: Founding) -> None:
    user = User.objects.filter(email=founding.email).first()
    if user is None:
        send(founding.email, SUBJECT_CONFIRM, _letter_with_token(founding))
    elif user.is_active:
        send(user.email, SUBJECT_KNOWN, _letter_to_known(user.email))


def _letter_with_token(founding: Founding) -> str:
    how = how_to_use(
        make_token(founding), page=settings.ACCOUNTS_CONFIRMATION_URL, route="signup/confirm"
    )
    hours = settings.ACCOUNTS_CONFIRMATION_LIFETIME.total_seconds() / 3600
    return (
        f"You ask for an account and the organization “{founding.organization_name}”. "
        f"Confirm within {hours:g} hours that this is your address.\n\n{how}\n\n"
        "If it was not you, do not confirm: whoever asked has chosen the password.\n"
    )


def _letter_to_known(email: str) -> str:
    return (
        "Somebody, hopefully you, asks for an account with this address.\n\n"
        "You have an account already: sign in with it. Or you do not know its password any "
        f"more? {how_to_ask_for_a_password(email)}\n"
    )


def make_token(founding: Founding) -> str:
    """Return a token that only this service can read, good for its lifetime."""
    until = timezone.now() + settings.ACCOUNTS_CONFIRMATION_LIFETIME
    return encrypt(json.dumps([PURPOSE, until.timestamp(), *vars(founding).values()]))


def _read_token(token: str) -> Founding:
    try:
        purpose, until, *fields = json.loads(decrypt_uncached(token))
    except (Undecryptable, ValueError, TypeError) as error:
        raise _unusable_token() from error
    if purpose != PURPOSE or until < timezone.now().timestamp():
        raise _unusable_token()
    return Founding(*fields)


def _unusable_token() -> ValidationFailed:
    message = "The token is not valid, too old, or was used: then sign in."
    return ValidationFailed(message, errors=[FieldError("/token", "invalid_token", message)])
