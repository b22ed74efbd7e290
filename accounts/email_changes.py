"""Another address where every address is confirmed first, and no answer tells whether it is known.

As with a sign-up a letter goes out in any case, and holds what was asked for: see
`accounts.confirmed_signup`. The password is asked for before, so the letter alone changes nothing.
"""

from functools import partial
from uuid import UUID

from django.conf import settings

from accounts.background import do_later
from accounts.exceptions import EmailTaken, TokenRevoked
from accounts.letter_tokens import hours, make_token, read_token, unusable_token
from accounts.mail import send
from accounts.models import User
from accounts.principals import Member
from accounts.profile import check_password_of, get_account, replace_email
from accounts.signup import check_email
from accounts.throttles import may_write_to

ASKED = "A letter is on its way to the new e-mail address: it says how to go on."
PURPOSE = "email"
SUBJECT_CONFIRM = "Confirm your new e-mail address"
SUBJECT_KNOWN = "There is an account with your e-mail address"


def ask_to_change_email(member: Member, email: str, *, current_password: str) -> bool:
    """Have a letter sent to a new address; what it says is found later. False if it is not new.

    Raises ValidationFailed for no address or a wrong password, TokenRevoked or RateLimited.
    """
    address, user = check_email(email), get_account(member)
    check_password_of(user, current_password)
    if address == user.email:
        return False
    if may_write_to(address):
        do_later(partial(_write, user, address))
    return True


def confirm_email(member: Member, token: str) -> None:
    """Make the change that a token holds; every other session ends, and both addresses hear of it.

    Raises ValidationFailed for a token that is not valid, too old, used, another user's, from
    before the last change of the password, or for an address that somebody has by now.
    """
    _, (user_id, email, password_hash, address) = read_token(token, PURPOSE)
    if UUID(user_id) != member.user_id:
        raise unusable_token("The token is for another account than the one you are signed in to.")
    try:
        replace_email(member, User(pk=UUID(user_id), email=email, password=password_hash), address)
    except (EmailTaken, TokenRevoked) as error:
        raise unusable_token() from error


def _write(user: User, address: str) -> None:
    known = User.objects.filter(email=address).first()
    if known is None:
        token = make_token(PURPOSE, str(user.pk), user.email, user.password, address)
        send(address, SUBJECT_CONFIRM, _letter_with_token(token))
    elif known.is_active:
        send(address, SUBJECT_KNOWN, _LETTER_TO_KNOWN)


def _letter_with_token(token: str) -> str:
    url = f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/me/email/confirm"
    return (
        "You want this to be the e-mail address of your account. "
        f"Confirm within {hours()} hours that it is yours.\n\n"
        f"Signed in, send it to POST {url} with this token:\n\n{token}\n\n"
        "If it was not you, do nothing.\n"
    )


_LETTER_TO_KNOWN = (
    "Somebody, hopefully you, wants this to be the address of another account.\n\n"
    "You have an account with this address already, and an address is for one account: sign in "
    "with it, or delete it first.\n\nIf it was not you, do nothing: your account stays as it is.\n"
)
