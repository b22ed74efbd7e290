"""Go on with a session: new tokens for a refresh token, in this organization or another."""

from functools import partial

from django.db import transaction
from django.utils import timezone

from accounts import refresh_tokens
from accounts.exceptions import TokenRevoked
from accounts.login import SignedIn
from accounts.memberships import choose_membership
from accounts.models import Membership, Session
from accounts.principals import forget_members
from accounts.tokens import make_access_token
from tenancy.audit import record_event
from tenancy.exceptions import OrganizationNotFound
from tenancy.models import Organization


def refresh(token: str, *, organization: str | None = None) -> SignedIn:
    """Return new tokens of the session; naming another of one's organizations switches to it.

    Nothing is used up when it raises: OrganizationNotFound, OrganizationDeleted, or what
    `refresh_tokens.get_session` raises.
    """
    session = refresh_tokens.get_session(token)
    with transaction.atomic():
        issued = refresh_tokens.rotate(session, token)
        # Once the session is locked: who is removed from now on finds it where it then is.
        membership = _membership(session, organization)
        left, session.organization = session.organization, membership.organization
        session.last_seen_at = timezone.now()
        session.save(update_fields=["organization", "last_seen_at"])
        if left != membership.organization:
            _record_switch(session, left)
            transaction.on_commit(partial(forget_members, session_id=session.pk))
    return SignedIn(session, membership, make_access_token(session, membership), issued)


def _membership(session: Session, organization: str | None) -> Membership:
    if not session.user.is_active:
        raise TokenRevoked
    named = organization if organization is not None else str(session.organization_id)
    try:
        return choose_membership(session.user, named)
    except OrganizationNotFound:
        if organization is None:
            raise TokenRevoked from None  # a member no more
        raise


def _record_switch(session: Session, left: Organization) -> None:
    """Record in both organizations where the session has gone, and whence it has come."""
    by, said = f"user:{session.user_id}", {"session": str(session.pk)}
    for organization in sorted((left, session.organization), key=lambda each: each.pk):
        if organization == left:
            record_event(organization, "session.left", by=by, **said)
        else:
            record_event(organization, "session.entered", by=by, **said)
