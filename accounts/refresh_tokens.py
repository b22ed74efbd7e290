"""Refresh tokens: opaque, kept as digests, each good for one successor.

A token is used by one conditional UPDATE, in the transaction that inserts its successor: of many
who come at once one wins. The successor is made from the token and a salt that the winner wrote,
so whoever shows the same token within `REPEAT_SECONDS` (a second tab, a lost answer) gets the same
successor. Later than that two parties have the token: the session ends for both.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.exceptions import NotAuthenticated, RefreshReused, TokenExpired, TokenRevoked
from accounts.models import RefreshToken, Session
from accounts.sessions import revoke_sessions
from tenancy.audit import record_event

PREFIX = "rt_"
SECRET_BYTES = 32
TOKEN_CHARACTERS = len(PREFIX) + 2 * SECRET_BYTES
REPEAT_SECONDS = 10
REUSED = "refresh_reused"


@dataclass(frozen=True)
class Issued:
    """A refresh token in clear: it is given to the client and not kept."""

    token: str
    expires_at: datetime

    @property
    def expires_in(self) -> int:
        """Return its remaining life in whole seconds."""
        return max(0, int((self.expires_at - timezone.now()).total_seconds()))


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue(session: Session) -> Issued:
    """Return the first refresh token of a session."""
    return _keep(session, PREFIX + secrets.token_hex(SECRET_BYTES))


def rotate(session: Session, token: str) -> Issued:
    """Use a token that `get_session` has found; return its successor. Call in a transaction.

    Raises TokenRevoked if the token lapsed meanwhile.
    """
    now, salt = timezone.now(), secrets.token_hex(SECRET_BYTES)
    still_open = Session.objects.select_for_update(no_key=True).filter(
        pk=session.pk, revoked_at=None
    )
    if still_open.first() is None:
        raise TokenRevoked
    # Of columns of this row alone: a condition on another table would be a subquery, which
    # PostgreSQL does not look at again after it has waited for the winner.
    unused = RefreshToken.objects.filter(pk=digest_of(token), used_at=None, expires_at__gt=now)
    if unused.update(used_at=now, salt=salt):
        return _keep(session, _successor(token, salt))
    used = RefreshToken.objects.get(pk=digest_of(token))
    if used.used_at is None or _is_late(used):
        raise TokenRevoked
    successor = _successor(token, used.salt)
    return Issued(successor, RefreshToken.objects.get(pk=digest_of(successor)).expires_at)


def get_session(token: str) -> Session:
    """Return the session of a token that may be used now, or was used a moment ago.

    One that was used earlier ends the session. Raises NotAuthenticated, TokenExpired, TokenRevoked
    or RefreshReused.
    """
    row = _find(token)
    session = row.session
    if session.revoked_at is not None:
        raise RefreshReused if session.revoked_for == REUSED else TokenRevoked
    if _is_late(row):
        _end(session)
        raise RefreshReused
    if min(row.expires_at, session.expires_at) <= timezone.now():
        raise TokenExpired("The refresh token has expired. Sign in again.")
    return session


def _find(token: str) -> RefreshToken:
    row = None
    if len(token) == TOKEN_CHARACTERS and token.startswith(PREFIX):
        rows = RefreshToken.objects.select_related("session__user", "session__organization")
        row = rows.filter(pk=digest_of(token)).first()
    if row is None:
        raise NotAuthenticated("The refresh token is not valid. Sign in again.")
    return row


def _is_late(row: RefreshToken) -> bool:
    """Return whether the token was used, and longer ago than a repeat may come."""
    if row.used_at is None:
        return False
    return row.used_at + timedelta(seconds=REPEAT_SECONDS) < timezone.now()


def _end(session: Session) -> None:
    """End a session of which two parties have a token, and leave a trace."""
    with transaction.atomic():
        if revoke_sessions(pk=session.pk, reason=REUSED):
            record_event(
                session.organization, "session.refresh_reused",
                by=f"user:{session.user_id}", session=str(session.pk),
            )  # fmt: skip


def _successor(token: str, salt: str) -> str:
    return PREFIX + hmac.new(token.encode(), salt.encode(), hashlib.sha256).hexdigest()


def _keep(session: Session, token: str) -> Issued:
    until = min(session.expires_at, timezone.now() + settings.ACCOUNTS_REFRESH_LIFETIME)
    RefreshToken.objects.create(digest=digest_of(token), session=session, expires_at=until)
    return Issued(token, until)
