"""Open and end sessions. `accounts.principals` reads what a session is worth."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import Membership, Session, User
from accounts.principals import Member, forget_members
from accounts.signup_answers import forget_signup_answers
from accounts.tokens import Claims
from tenancy.audit import record_event
from tenancy.models import Organization

USER_AGENT_MAX_CHARACTERS = 200
# What tells which cached members a condition on sessions is about; others only narrow it.
MEMBER_ATTRIBUTES = {"pk": "session_id", "user": "user_id", "organization": "organization_id"}
LIST_MAX_SESSIONS = 200


@dataclass(frozen=True)
class Device:
    """Where a sign-in came from."""

    user_agent: str = ""
    address: str | None = None


def open_session(membership: Membership, device: Device, *, methods: str = "pwd") -> Session:
    """Open a session for a user in one organization; `methods` say how they proved who they are."""
    now = timezone.now()
    return Session.objects.create(
        user_id=membership.user_id,
        organization_id=membership.organization_id,
        methods=methods,
        user_agent=device.user_agent[:USER_AGENT_MAX_CHARACTERS],
        address=device.address,
        last_seen_at=now,
        expires_at=now + settings.ACCOUNTS_SESSION_LIFETIME,
    )


def revoke_sessions(*, reason: str = "revoked", but: Session | None = None, **which: Any) -> int:
    """End the sessions that match, such as `user=...` or `organization=...`. Return how many.

    `but` is one to be kept: that of whoever asks.
    """
    chosen = Session.objects.filter(revoked_at=None, **which)
    if but is not None:
        chosen = chosen.exclude(pk=but.pk)
    ended = chosen.update(revoked_at=timezone.now(), revoked_for=reason)
    about = {
        MEMBER_ATTRIBUTES[name]: getattr(value, "pk", value)
        for name, value in which.items()
        if name in MEMBER_ATTRIBUTES
    }
    transaction.on_commit(partial(forget_members, **about))
    if "user_id" in about:
        forget_signup_answers(about["user_id"])
    return ended


def end_admin_sessions(**which: Any) -> None:
    """End sessions at the admin site: of the users that match, such as `pk=...`, or of all."""
    User.objects.filter(**which).update(session_epoch=F("session_epoch") + 1)


def open_sessions_of(user_id: UUID) -> list[Session]:
    """Return a user's open sessions, the one seen last first; at most `LIST_MAX_SESSIONS`."""
    rows = Session.objects.filter(user=user_id, revoked_at=None, expires_at__gt=timezone.now())
    newest = Coalesce("last_seen_at", "created_at").desc()
    return list(rows.select_related("organization").order_by(newest, "-pk")[:LIST_MAX_SESSIONS])


def end_sessions(member: Member, **which: Any) -> int:
    """End sessions of a user by their own wish, and record it. Return how many."""
    with transaction.atomic():
        ended = revoke_sessions(user=member.user_id, reason="logout", **which)
        if not which:
            end_admin_sessions(pk=member.user_id)
        if ended:
            organization = Organization.objects.get(pk=member.organization_id)
            record_event(organization, "session.ended", by=member.actor, sessions=ended)
    return ended


def end_own_session(claims: Claims) -> None:
    """End the session that a token is of, though the token does not hold any more."""
    with transaction.atomic():
        own = Session.objects.filter(pk=claims.session_id, user=claims.user_id)
        session = own.select_related("organization").first()
        if session is not None and revoke_sessions(pk=session.pk, reason="logout"):
            by = f"user:{claims.user_id}"
            record_event(session.organization, "session.ended", by=by, sessions=1)


def revoke_with_trace(chosen: QuerySet[Session], *, by: str) -> int:
    """End sessions by the word of an operator; each of their organizations' audits says so.

    Return how many were open.
    """
    with transaction.atomic():
        still_open = chosen.filter(revoked_at=None, expires_at__gt=timezone.now())
        counted = Counter(still_open.values_list("organization", flat=True))
        ended = still_open.update(revoked_at=timezone.now(), revoked_for="operator")
        transaction.on_commit(forget_members)
        for organization in Organization.objects.filter(pk__in=counted).order_by("pk"):
            record_event(organization, "session.revoked", by=by, sessions=counted[organization.pk])
    return ended
