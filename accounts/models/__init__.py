"""People, what they may do where, and every credential they can show. Fields and constraints."""

from accounts.models.api_keys import ApiKey
from accounts.models.invitations import Invitation
from accounts.models.people import (
    EMAIL_MAX_CHARACTERS,
    Membership,
    User,
    UserManager,
    normalize_email,
    normalize_password,
)
from accounts.models.sessions import RefreshToken, Session
from accounts.models.two_factor import RecoveryCode, TotpDevice

__all__ = [
    "EMAIL_MAX_CHARACTERS",
    "ApiKey",
    "Invitation",
    "Membership",
    "RecoveryCode",
    "RefreshToken",
    "Session",
    "TotpDevice",
    "User",
    "UserManager",
    "normalize_email",
    "normalize_password",
]
