"""Letters about an account whose address has changed."""

from accounts.mail import send_later


def tell_of_new_email(old: str, new: str) -> None:
    """Write to both addresses that one is in the place of the other."""
    send_later(old, "Your e-mail address was changed", _CHANGED_OLD)
    send_later(new, "Your e-mail address was changed", _CHANGED_NEW)


_CHANGED_OLD = (
    "Hello,\n\nthe e-mail address of your account was changed: you sign in with another one from "
    "now on. Every other session has ended.\n\nIf this was not you, tell your operator at once.\n"
)
_CHANGED_NEW = (
    "Hello,\n\nthis is the e-mail address of your account from now on: sign in with it.\n\n"
    "If you know of no account, tell the operator of the service.\n"
)
