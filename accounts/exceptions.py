"""What can go wrong with people and their credentials.

TenancyError
└── AccountsError
    ├── NotAuthenticated ─ TokenExpired, TokenRevoked, InvalidCredentials
    │   └── RefreshReused, TwoFactorRequired, TwoFactorInvalid
    ├── PermissionDenied ─ TwoFactorEnrollmentRequired
    ├── InvitationExpired, RateLimited
    └── EmailTaken (an AlreadyExists), LastOwner (a Conflict)
"""

from tenancy.exceptions import AlreadyExists, Conflict, TenancyError


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
    default_detail = "This token has ended. Refresh if its session goes on, or sign in again."


class InvalidCredentials(NotAuthenticated):
    """E-mail and password do not match; which of them is wrong is not told."""

    code = "invalid_credentials"
    default_detail = "E-mail and password do not match."


class RefreshReused(NotAuthenticated):
    """A refresh token was used a second time: two have it, so neither is believed any more."""

    code = "refresh_reused"
    default_detail = "The refresh token was used before. The session has ended. Sign in again."


class TwoFactorRequired(NotAuthenticated):
    """The password was right; `extra["two_factor_token"]` is what to send along with a code."""

    code = "two_factor_required"
    default_detail = "A code of your authenticator is needed as well."


class TwoFactorInvalid(NotAuthenticated):
    """A wrong code, one that was used before, or one that comes too soon after a wrong one."""

    code = "two_factor_invalid"
    default_detail = "The code is not valid."


class PermissionDenied(AccountsError):
    """Signed in, and not allowed."""

    code = "permission_denied"
    default_detail = "Your role does not allow this."


class TwoFactorEnrollmentRequired(PermissionDenied):
    """The organization requires a second factor, and this session was opened without one."""

    code = "two_factor_enrollment_required"
    default_detail = (
        "The organization requires two factors. Set up an authenticator: "
        "POST /api/v1/auth/two-factor/totp; or sign in again with a code."
    )


class InvitationExpired(AccountsError):
    """An invitation that is too old, was revoked or was used."""

    code = "invitation_expired"
    default_detail = "The invitation is not valid any more. Ask for a new one."


class RateLimited(AccountsError):
    """Too many requests for now; `retry_after` is in seconds."""

    code = "rate_limited"
    default_detail = "Too many requests."

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class LastOwner(Conflict):
    """An organization has an owner at all times."""

    code = "last_owner"
    default_detail = "The organization would have no owner. Make another member an owner first."


class EmailTaken(AlreadyExists):
    """Another user has the e-mail address."""

    default_detail = "There is a user with this e-mail address already."
