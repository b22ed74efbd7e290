"""Sign up where every address is confirmed first, and no answer tells whether it is known.

A letter goes out in any case: to whoever has an account that they have one, to others a token.
Until it comes back nothing is written: the token itself holds, encrypted, what was asked for. It
works once, because then there is a user with the address, and they belong somewhere.
"""

from functools import partial

from django.conf import settings

from accounts import letter_tokens
from accounts.background import do_later
from accounts.exceptions import AccountsError, EmailTaken, InvalidCredentials
from accounts.letter_tokens import read_token, unusable_token
from accounts.login import SignedIn
from accounts.mail import how_to_ask_for_a_password, how_to_use, send
from accounts.models import User
from accounts.returning import Returning, belongs_nowhere, found_again, prove_return
from accounts.sessions import Device
from accounts.signup import Account, Founding, check_sign_up, found
from accounts.throttles import may_write_to
from tenancy.exceptions import NameTaken, ValidationFailed
from tenancy.idempotency import Attempt
from tenancy.lifecycle.slugs import check_slug_is_free
from tenancy.names import clean_name, slug_of

OPEN, CONFIRMED = "open", "confirmed"
MODES = (OPEN, CONFIRMED)
ASKED = "A letter is on its way to this e-mail address: it says how to go on."
PURPOSE, PURPOSE_AGAIN = "signup", "signup again"
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
        do_later(partial(_write, founding, account))


def confirm_sign_up(token: str, *, device: Device) -> SignedIn:
    """Create what a token holds, and sign its owner in.

    Raises ValidationFailed for a token that is not valid, too old or used, or NameTaken.
    """
    purpose, fields = read_token(token, PURPOSE, PURPOSE_AGAIN)
    if purpose == PURPOSE_AGAIN:
        return _confirm_return(*fields, device=device)
    founding = Founding(*fields)
    if _is_known(founding.email):
        raise _unusable_token()
    try:
        return found(founding, device=device, pointer="/token")
    except (NameTaken, EmailTaken) as error:
        if _is_known(founding.email):  # by the same token, a moment ago
            raise _unusable_token() from error
        raise


def _confirm_return(
    user_id: str, password_hash: str, methods: str, name: str, *, device: Device
) -> SignedIn:
    user = User.objects.filter(pk=user_id, password=password_hash, is_active=True).first()
    if user is None or not belongs_nowhere(user):
        raise _unusable_token()
    returning, attempt = Returning(user, methods), Attempt.without_key()
    try:
        return found_again(returning, name, device=device, attempt=attempt, pointer="/token")
    except InvalidCredentials as error:
        raise _unusable_token() from error
    except NameTaken as error:
        if not belongs_nowhere(user):  # by the same token, a moment ago
            raise _unusable_token() from error
        raise


def _is_known(email: str) -> bool:
    return User.objects.filter(email=email).exists()


def _write(founding: Founding, account: Account) -> None:
    user = User.objects.filter(email=founding.email).first()
    if user is None:
        token = letter_tokens.make_token(PURPOSE, *vars(founding).values())
        send(founding.email, SUBJECT_CONFIRM, _letter_with_token(founding, token))
    elif user.is_active and belongs_nowhere(user):
        _write_to_homeless(user, founding, account)
    elif user.is_active:
        send(user.email, SUBJECT_KNOWN, _letter_to_known(user.email))


def _write_to_homeless(user: User, founding: Founding, account: Account) -> None:
    """Send a token if it was their password, and their code if they need one; else what to do."""
    try:
        proved = prove_return(user.email, account.password, account.code)
    except AccountsError:
        send(user.email, SUBJECT_KNOWN, _letter_to_known(user.email) + _HOW_TO_RETURN)
        return
    token = letter_tokens.make_token(
        PURPOSE_AGAIN, str(user.pk), proved.user.password, proved.methods,
        founding.organization_name,
    )  # fmt: skip
    send(user.email, SUBJECT_CONFIRM, _letter_with_token(founding, token, is_new=False))


def _letter_with_token(founding: Founding, token: str, *, is_new: bool = True) -> str:
    how = how_to_use(token, page=settings.ACCOUNTS_CONFIRMATION_URL, route="signup/confirm")
    wanted = f"the organization “{founding.organization_name}”"
    wish = f"an account and {wanted}" if is_new else f"{wanted}, to be owned by your account"
    warning = (
        "If it was not you, do not confirm: whoever asked has chosen the password.\n"
        if is_new
        else "If it was not you, choose another password: whoever asked knows it.\n"
    )
    return (
        f"You ask for {wish}. "
        f"Confirm within {letter_tokens.hours()} hours that this is your address.\n\n{how}\n\n"
        + warning
    )


def _letter_to_known(email: str) -> str:
    return (
        "Somebody, hopefully you, asks for an account with this address.\n\n"
        "You have an account already: sign in with it. Or you do not know its password any "
        f"more? {how_to_ask_for_a_password(email)}\n"
    )


_HOW_TO_RETURN = (
    "\nYour account belongs to no organization. To create one, sign up again with the password of "
    "your account, and with a “code” if you have an authenticator.\n"
)


def _unusable_token() -> ValidationFailed:
    return unusable_token("The token is not valid, too old, or was used: then sign in.")
