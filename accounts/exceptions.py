"""What can go wrong with people and their credentials.

TenancyError
└── AccountsError
    ├── NotAuthenticated ─ TokenExpired, TokenRevoked, InvalidCredentials
    ├── PermissionDenied
    └── EmailTaken (an AlreadyExists)
"""

from tenancy.exceptions import AlreadyExists, TenancyError


class AccountsError(TenancyError):
    """The root of what concerns people and credentials."""


class NotAuthenticated(AccountsError):
    """No credential, or one that says nothing."""

    code = "not_authenticated"
    default_detail = "Sign in: send Authorization: Bearer <access token>."


class TokenExpired(NotAuthenticated):
    """The access token was valid and is too old."""

    code = "token_expired"
    default_detail = "The access token has expired. Sign in again."


class TokenRevoked(NotAuthenticated):
    """The session, user, membership or organization behind the token is gone."""

    code = "token_revoked"
    default_detail = "The session has ended. Sign in again."


class InvalidCredentials(NotAuthenticated):
    """E-mail and password do not match; which of them is wrong is not told."""

    code = "invalid_credentials"
    default_detail = "E-mail and password do not match."


class PermissionDenied(AccountsError):
    """Signed in, and not allowed."""

    code = "permission_denied"
    default_detail = "Your role does not allow this."


class EmailTaken(AlreadyExists):
    """Another user has the e-mail address."""

    default_detail = "There is a user with this e-mail address already."
