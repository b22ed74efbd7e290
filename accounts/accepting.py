"""Accept an invitation: as somebody new, by the password of an account, or signed in.

Whoever has the token got the letter, so the mailbox is theirs, and by its answer they may learn
whether the address has an account: a wrong password is 401 with one and 422 or 201 without. Nobody
else learns it, and looking at the invitation tells it to nobody.
"""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import two_factor
from accounts.exceptions import (
    InvalidCredentials,
    InvitationExpired,
    PermissionDenied,
    TokenRevoked,
)
from accounts.invitation_limits import NOT_ENDED
from accounts.invitations import (
    PREFIX,
    TOKEN_CHARACTERS,
    InvitationState,
    check_active,
    digest_of,
    may_still_grant,
    state_of,
)
from accounts.login import SignedIn, check_unchanged, sign_in
from accounts.memberships import add_member, lock_people
from accounts.models import Invitation, Membership, Session, User
from accounts.passwords import check_new_password, hash_password, matches
from accounts.principals import Member
from accounts.roles import Role
from accounts.sessions import Device
from accounts.signup import insert_user
from accounts.throttles import count_login, forget_logins
from tenancy.audit import record_event
from tenancy.exceptions import NotFound


def get_open_invitation(token: str) -> Invitation:
    """Return the invitation that a token opens now.

    Raises NotFound, InvitationExpired, OrganizationSuspended or OrganizationDeleted. Once sent
    again, an invitation is not known by its former token.
    """
    invitation = _find(token)
    _check_open(invitation)
    check_active(invitation.organization)
    return invitation


def accept_by_password(
    token: str, password: str, *, name: str = "", code: str | None = None, device: Device
) -> SignedIn:
    """Join by the password of the address's account; without one an account is made with it.

    `name` is for a new account, `code` for one with a second factor. Raises what
    `get_open_invitation` does, and InvalidCredentials, TwoFactorRequired, TwoFactorInvalid,
    ValidationFailed, EmailTaken, RateLimited or PlanLimitReached: then nothing has changed.
    """
    invitation = get_open_invitation(token)
    user = User.objects.filter(email=invitation.email).first()
    if user is None:
        return _accept_as_newcomer(invitation, password, name, device)
    count_login(user.email, device.address)
    if not matches(password, user) or not user.is_active:
        record_event(None, "session.refused", by="anonymous", user=str(user.pk))
        raise InvalidCredentials(
            "This is not the password of the account with the invited address.",
            hint="Send the password of your account, or choose a new one by a letter: "
            "POST /api/v1/auth/password/forgot.",
        )
    methods = two_factor.prove(user, code)
    with transaction.atomic():
        _use(invitation, user)
        check_unchanged(user)
        two_factor.check_still_proved(user, methods)
        signed_in = _join(invitation, user, device, methods)
    forget_logins(user.email, device.address)
    return signed_in


def accept_signed_in(token: str, member: Member, *, device: Device) -> SignedIn:
    """Join as the user who is signed in, by the methods of their session.

    Raises what `get_open_invitation` does, and TokenRevoked, PermissionDenied for another address
    than the invited one, or PlanLimitReached.
    """
    invitation = get_open_invitation(token)
    user = User.objects.filter(pk=member.user_id).first()
    if user is None:
        raise TokenRevoked
    if user.email != invitation.email:
        raise PermissionDenied("The invitation is for another address than yours.")
    with transaction.atomic():
        _use(invitation, user)
        methods = _check_session(user, member.session_id)
        return _join(invitation, user, device, methods)


def _find(token: str) -> Invitation:
    found = None
    if len(token) == TOKEN_CHARACTERS and token.startswith(PREFIX) and token.isascii():
        rows = Invitation.objects.select_related("organization")
        found = rows.filter(digest=digest_of(token)).first()
    if found is None:
        raise NotFound("There is no such invitation.")
    return found


def _check_open(invitation: Invitation) -> None:
    if state_of(invitation) != InvitationState.OPEN or not may_still_grant(invitation):
        raise InvitationExpired


def _accept_as_newcomer(
    invitation: Invitation, password: str, name: str, device: Device
) -> SignedIn:
    check_new_password(password, email=invitation.email)
    user = User(email=invitation.email, name=name, password=hash_password(password))
    with transaction.atomic():
        _use(invitation, user)
        insert_user(user, pointer="")  # somebody may have signed up with the address meanwhile
        return _join(invitation, user, device, "pwd")


def _use(invitation: Invitation, user: User) -> None:
    """Use the invitation up, by compare-and-set: of many at once one gets on. In a transaction.

    A user to be inserted is named before they are there: the constraint asks at the end.
    """
    now = timezone.now()
    check_active(lock_people(invitation.organization_id))
    unused = Invitation.objects.filter(
        pk=invitation.pk, digest=invitation.digest, expires_at__gt=now, **NOT_ENDED
    )
    if not unused.update(accepted_at=now, accepted_by_id=user.pk):
        raise InvitationExpired
    if not may_still_grant(invitation):
        raise InvitationExpired


def _check_session(user: User, session_id: UUID) -> str:
    """Return the methods of a session that still holds: what was cached is not enough here."""
    check_unchanged(user)
    still = Session.objects.filter(
        pk=session_id, user=user, revoked_at=None, expires_at__gt=timezone.now()
    )
    methods = still.values_list("methods", flat=True).first()
    if methods is None:
        raise TokenRevoked
    return methods


def _join(invitation: Invitation, user: User, device: Device, methods: str) -> SignedIn:
    added = add_member(user, invitation.organization, Role(invitation.role))
    membership = Membership.objects.select_related("user", "organization").get(pk=added.pk)
    signed_in = sign_in(user, membership, device, methods=methods)
    record_event(
        invitation.organization, "invitation.accepted", by=f"user:{user.pk}",
        invitation=str(invitation.pk), role=membership.role,
    )  # fmt: skip
    return signed_in
