"""What a client holds between the password and the code: signed, for five minutes, no credential.

It says whose password was right and which organization was asked for. Without a code of the
authenticator it opens nothing, and a change of the password ends it.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.exceptions import NotAuthenticated, TokenExpired, TokenRevoked
from accounts.models import User

LIFETIME_SECONDS = 300
TOKEN_MAX_CHARACTERS = 1_000
_SALT = "accounts.two_factor_tokens"


@dataclass(frozen=True)
class HalfSignedIn:
    """Whose password was right, and which organization they want: a slug, an id, or None."""

    user: User
    organization: str | None


def make_token(user: User, organization: str | None) -> str:
    """Return a token for a user with the right password."""
    content = {"u": str(user.pk), "p": _mark_of(user), "o": organization}
    return signing.dumps(content, salt=_SALT)


def read_token(token: str) -> HalfSignedIn:
    """Return what a token says. Raises NotAuthenticated, TokenExpired or TokenRevoked."""
    try:
        content: dict[str, Any] = signing.loads(token, salt=_SALT, max_age=LIFETIME_SECONDS)
    except signing.SignatureExpired:
        raise TokenExpired("The two_factor_token has expired. Sign in again.") from None
    except signing.BadSignature:
        message = "The two_factor_token is not valid. Sign in again."
        raise NotAuthenticated(message) from None
    user = User.objects.filter(pk=UUID(content["u"]), is_active=True).first()
    if user is None or not constant_time_compare(content["p"], _mark_of(user)):
        raise TokenRevoked
    return HalfSignedIn(user, content["o"])


def _mark_of(user: User) -> str:
    """Return what changes with the password and tells nothing of it."""
    return salted_hmac(_SALT, user.password, algorithm="sha256").hexdigest()
