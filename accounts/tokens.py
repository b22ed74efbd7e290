"""Access tokens: a JWT through simplejwt's codec, with claims parsed into typed ids at the edge."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

from accounts.exceptions import NotAuthenticated, TokenExpired
from accounts.models import Membership, Session
from accounts.signing import SigningBackend, signing_backend

TOKEN_MAX_CHARACTERS = 2_048
KEPT_MAX_TOKENS = 20_000
WHOLE_NUMBERS = ("ep", "iat", "nbf", "exp")


@dataclass(frozen=True)
class Claims:
    """What a valid access token says; the rows behind it have the last word."""

    user_id: UUID
    organization_id: UUID
    membership_id: UUID
    session_id: UUID
    membership_epoch: int


class SignedToken(AccessToken):
    """simplejwt's access token, signed with the keys there are now."""

    def get_token_backend(self) -> SigningBackend:
        """Return the codec."""
        return signing_backend()


def access_token_seconds() -> int:
    """Return how long an access token lives."""
    return int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())


def make_access_token(session: Session, membership: Membership) -> str:
    """Return a signed access token. It holds no name, address, collection or URI."""
    token = SignedToken()
    token["nbf"] = token["iat"]
    token["sub"] = str(membership.user_id)
    token["org"] = str(membership.organization_id)
    token["mid"] = str(membership.pk)
    token["sid"] = str(session.pk)
    token["role"] = membership.role
    token["ep"] = membership.epoch
    token["amr"] = session.methods.split()
    return str(token)


def read_access_token(raw: str) -> Claims:
    """Return the claims of a token. Raises TokenExpired or NotAuthenticated, nothing else.

    A token that was found good is taken for good, while the keys are the same, until it expires:
    its signature is what costs most in a request. The rows behind it are asked as ever.
    """
    if len(raw) > TOKEN_MAX_CHARACTERS:
        raise NotAuthenticated("The access token is not valid.")
    encoded = raw.encode(errors="surrogatepass")
    key = (signing_backend(), hashlib.sha256(encoded).digest())
    kept = _verified.get(key)
    if kept is None:
        kept = _verify(encoded)
        _keep(key, kept)
    if kept.expires_at <= time.time() - api_settings.LEEWAY:
        raise TokenExpired
    return kept.claims


class _Verified(NamedTuple):
    claims: Claims
    expires_at: int


_verified: dict[tuple[SigningBackend, bytes], _Verified] = {}


def _keep(key: tuple[SigningBackend, bytes], verified: _Verified) -> None:
    if len(_verified) >= KEPT_MAX_TOKENS:
        _verified.clear()
    _verified[key] = verified


def _verify(raw: bytes) -> _Verified:
    try:
        token: Any = SignedToken(raw)  # type: ignore[arg-type]
        return _Verified(_parse(token), token["exp"])
    except ExpiredTokenError as error:
        raise TokenExpired from error
    except (TokenError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise NotAuthenticated("The access token is not valid.") from error


def _parse(token: Any) -> Claims:
    for name in WHOLE_NUMBERS:
        if type(token[name]) is not int:
            raise TypeError(name)
    return Claims(
        user_id=_uuid(token["sub"]),
        organization_id=_uuid(token["org"]),
        membership_id=_uuid(token["mid"]),
        session_id=_uuid(token["sid"]),
        membership_epoch=token["ep"],
    )


def _uuid(value: object) -> UUID:
    if not isinstance(value, str):
        raise TypeError("an id is a string")
    return UUID(value)
