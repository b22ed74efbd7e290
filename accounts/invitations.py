"""Invitations: ask somebody in by a letter, ask again, take it back.

The token is in the letter and nowhere else, not even in the answer to who invites: with it they
could choose the password of an account under somebody else's address. Whoever sent the letter last
answers for the invitation: it is worth nothing once they may not give that role any more.
"""

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts.exceptions import InvitationExpired
from accounts.grants import check_may_decide_over, check_may_grant, may_grant
from accounts.invitation_letters import send_invitation
from accounts.invitation_limits import (
    NOT_ENDED,
    check_is_no_member,
    check_letters,
    check_room,
    check_seats,
    refuse_until,
    taken,
)
from accounts.key_holders import holder_of
from accounts.memberships import lock_people
from accounts.models import ApiKey, Invitation, Membership
from accounts.principals import KeyHolder, Member, Principal
from accounts.roles import Role
from accounts.signup import check_email
from tenancy.audit import record_event
from tenancy.exceptions import (
    NotFound,
    OrganizationDeleted,
    OrganizationSuspended,
)
from tenancy.idempotency import Attempt, hold_attempt
from tenancy.models import Organization, OrganizationStatus

PREFIX = "inv_"
SECRET_BYTES = 32
RESEND_PAUSE = timedelta(minutes=1)


class InvitationState(StrEnum):
    """What has become of an invitation."""

    OPEN = "open"
    EXPIRED = "expired"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


def state_of(invitation: Invitation) -> InvitationState:
    """Return the state now; one that made room for a new one after its time has expired."""
    ended_at = invitation.revoked_at
    if invitation.accepted_at is not None:
        return InvitationState.ACCEPTED
    if ended_at is not None and ended_at < invitation.expires_at:
        return InvitationState.REVOKED
    is_open = ended_at is None and invitation.expires_at > timezone.now()
    return InvitationState.OPEN if is_open else InvitationState.EXPIRED


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_active(organization: Organization) -> None:
    """Raise OrganizationSuspended or OrganizationDeleted where nobody can be asked in."""
    if organization.status == OrganizationStatus.SUSPENDED:
        raise OrganizationSuspended
    if organization.status != OrganizationStatus.ACTIVE:
        raise OrganizationDeleted


def invitations_of(organization_id: UUID) -> QuerySet[Invitation]:
    """Return the invitations of an organization, ended ones included."""
    return Invitation.objects.filter(organization=organization_id).select_related("invited_by")


def get_invitation(organization_id: UUID, invitation_id: UUID) -> Invitation:
    """Return an invitation. Raises NotFound, also for another organization's."""
    found = invitations_of(organization_id).filter(pk=invitation_id).first()
    if found is None:
        raise NotFound("There is no such invitation.")
    return found


def invite(by: Principal, email: str, role: Role, *, attempt: Attempt | None = None) -> Invitation:
    """Make an invitation and send the letter.

    `attempt` says its id. Where a row has that already, from an attempt that did not get to its
    end, the letter is sent again; an attempt that was overtaken by then sends none. Raises
    ValidationFailed, PermissionDenied, AlreadyExists, PlanLimitReached, RateLimited,
    IdempotencyInProgress for an overtaken attempt, or what `check_active` raises.
    """
    address, attempt = check_email(email), attempt or Attempt.without_key()
    with transaction.atomic():
        organization = lock_people(by.organization_id)
        check_active(organization)
        check_may_grant(by, role)
        hold_attempt(attempt)
        begun = _find_begun(organization, attempt.resource)
        if begun is not None:
            return _finish(begun, by)
        check_room(organization, address)
        _replace_expired(organization, address)
        token = _new_token()
        invitation = _insert(
            pk=attempt.resource, organization=organization, email=address, role=role.value,
            **_sent_now(token, by), sent_count=1,
        )  # fmt: skip
        send_invitation(invitation, token)
        _record(invitation, "invitation.created", by=by.actor)
    return invitation


def resend(by: Principal, invitation_id: UUID) -> Invitation:
    """Send a new letter with a new token, and a new time to accept; the old token is dead.

    Whoever does this answers for the invitation from now on. Raises NotFound, InvitationExpired,
    PermissionDenied, AlreadyExists, RateLimited, or what `check_active` raises.
    """
    with transaction.atomic():
        organization = lock_people(by.organization_id)
        check_active(organization)
        invitation = get_invitation(organization.pk, invitation_id)
        check_may_grant(by, invitation.role)
        if not Invitation.objects.filter(pk=invitation.pk, **NOT_ENDED).exists():
            raise InvitationExpired("The invitation was accepted or revoked. Make a new one.")
        check_is_no_member(organization, invitation.email)
        check_letters(organization, invitation.email)
        check_seats(organization, but=invitation)
        _renew(invitation, by, pause=RESEND_PAUSE)
    return invitation


def revoke(by: Principal, invitation_id: UUID) -> None:
    """Take an invitation back. Raises NotFound, PermissionDenied, or InvitationExpired if ended."""
    with transaction.atomic():
        lock_people(by.organization_id)
        invitation = get_invitation(by.organization_id, invitation_id)
        check_may_decide_over(by, invitation.role)
        if not revoke_invitations(Invitation.objects.filter(pk=invitation.pk), by=by.actor):
            raise InvitationExpired("The invitation was accepted or revoked before.")


def revoke_invitations(chosen: QuerySet[Invitation], *, by: str) -> int:
    """Take invitations back and record each. Return how many had not ended."""
    revoked = []
    with transaction.atomic():
        for invitation in chosen.filter(**NOT_ENDED).select_related("organization"):
            if _not_ended(invitation).update(revoked_at=timezone.now()):
                revoked.append(invitation)
        for invitation in revoked:
            _record(invitation, "invitation.revoked", by=by)
    return len(revoked)


def close_invitations(organization: Organization) -> None:
    """End the invitations of an organization that is being deleted, which has an event itself."""
    open_ones = Invitation.objects.filter(organization=organization, **NOT_ENDED)
    open_ones.update(revoked_at=timezone.now())


def may_still_grant(invitation: Invitation) -> bool:
    """Return whether who answers for an invitation may give its role now, by the rows."""
    if invitation.invited_by_key_id is not None:
        return _key_may_grant(invitation.invited_by_key_id, invitation.role)
    rows = Membership.objects.filter(
        organization=invitation.organization_id,
        user=invitation.invited_by_id,
        user__is_active=True,
    )
    role = rows.values_list("role", flat=True).first()
    inviter = Principal(invitation.organization_id, role or "")
    return may_grant(inviter, invitation.role)


def _key_may_grant(key_id: UUID, role: str) -> bool:
    rows = ApiKey.objects.filter(pk=key_id, revoked_at=None)
    key = rows.exclude(expires_at__lte=timezone.now()).first()
    return key is not None and may_grant(holder_of(key), role)


def _new_token() -> str:
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


TOKEN_CHARACTERS = len(_new_token())


def _sent_now(token: str, by: Principal) -> dict[str, Any]:
    """Return what a row holds of a letter that is being sent."""
    now = timezone.now()
    return {
        "digest": digest_of(token),
        "sent_at": now,
        "expires_at": now + settings.ACCOUNTS_INVITATION_LIFETIME,
        "invited_by_id": by.user_id if isinstance(by, Member) else None,
        "invited_by_key_id": by.key_id if isinstance(by, KeyHolder) else None,
    }


def _replace_expired(organization: Organization, address: str) -> None:
    now = timezone.now()
    expired = Invitation.objects.filter(
        organization=organization, email=address, expires_at__lte=now, **NOT_ENDED
    )
    expired.update(revoked_at=now)


def _insert(**fields: Any) -> Invitation:
    try:
        with transaction.atomic():
            return Invitation.objects.create(**fields)
    except IntegrityError as error:
        raise taken(
            "The address has an open invitation. Send that one again, or revoke it first."
        ) from error


def _find_begun(organization: Organization, invitation_id: UUID) -> Invitation | None:
    return invitations_of(organization.pk).filter(pk=invitation_id).first()


def _finish(invitation: Invitation, by: Principal) -> Invitation:
    """Send the letter of an invitation again whose maker may have died before sending it."""
    if state_of(invitation) == InvitationState.OPEN:
        _renew(invitation, by, pause=timedelta())
    return invitation


def _not_ended(invitation: Invitation, **conditions: Any) -> QuerySet[Invitation]:
    return Invitation.objects.filter(pk=invitation.pk, **NOT_ENDED, **conditions)


def _renew(invitation: Invitation, by: Principal, *, pause: timedelta) -> None:
    """Give the invitation a new token and send it; at most one letter in each `pause`."""
    token = _new_token()
    due = _not_ended(invitation, sent_at__lte=timezone.now() - pause)
    if not due.update(**_sent_now(token, by), sent_count=F("sent_count") + 1):
        refuse_until(invitation.sent_at + pause)
    invitation.refresh_from_db()
    send_invitation(invitation, token)
    _record(invitation, "invitation.resent", by=by.actor)


def _record(invitation: Invitation, action: str, *, by: str) -> None:
    record_event(
        invitation.organization, action, by=by,
        invitation=str(invitation.pk), role=invitation.role,
    )  # fmt: skip
