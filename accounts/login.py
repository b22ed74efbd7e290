"""Sign in: by password and, where there is one, a second factor."""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts import refresh_tokens, two_factor
from accounts.exceptions import InvalidCredentials
from accounts.memberships import choose_membership
from accounts.models import Membership, Session, User, normalize_email
from accounts.passwords import matches, renew_hash
from accounts.sessions import Device, open_session
from accounts.throttles import count_login, forget_logins
from accounts.tokens import make_access_token
from tenancy.audit import record_event
from tenancy.exceptions import OrganizationNotFound


@dataclass(frozen=True)
class SignedIn:
    """A session, and the newest tokens of it."""

    session: Session
    membership: Membership
    access_token: str
    refresh: refresh_tokens.Issued


def sign_in(
    user: User, membership: Membership, device: Device, *, methods: str = "pwd"
) -> SignedIn:
    """Open a session in an organization. Call it when it is certain who the user is."""
    with transaction.atomic():
        session = open_session(membership, device, methods=methods)
        issued = refresh_tokens.issue(session)
        User.objects.filter(pk=user.pk).update(last_login=timezone.now())
        record_event(
            membership.organization, "session.opened", by=f"user:{user.pk}",
            session=str(session.pk), methods=methods,
        )  # fmt: skip
    return SignedIn(session, membership, make_access_token(session, membership), issued)


def log_in(
    email: str, password: str, *, organization: str | None, device: Device, code: str | None = None
) -> SignedIn:
    """Sign a user in to one of their organizations: the named one, or the first.

    `organization` is a slug or an id. Raises InvalidCredentials, whatever of it is wrong,
    TwoFactorRequired, TwoFactorInvalid, PermissionDenied, OrganizationDeleted or RateLimited.
    """
    count_login(email, device.address)
    user = User.objects.filter(email=normalize_email(email)).first()
    if not matches(password, user) or user is None or not user.is_active:
        _record_refusal(user)
        raise InvalidCredentials
    renew_hash(password, user)
    # Which organizations one is in is told to nobody who has no more than the password.
    methods = two_factor.prove(user, code, organization=organization)
    return finish_log_in(user, organization, device, methods=methods)


def finish_log_in(
    user: User, organization: str | None, device: Device, *, methods: str
) -> SignedIn:
    """Sign in a user who has proved who they are, unless what proved it has changed meanwhile."""
    membership = choose_named(user, organization)
    with transaction.atomic():
        check_unchanged(user)
        two_factor.check_still_proved(user, methods)
        signed_in = sign_in(user, membership, device, methods=methods)
    forget_logins(user.email, device.address)
    return signed_in


def choose_named(user: User, organization: str | None) -> Membership:
    """Return the membership to sign in to; one that is not there is no more than a wrong guess."""
    try:
        return choose_membership(user, organization)
    except OrganizationNotFound as error:
        raise InvalidCredentials from error


def _record_refusal(user: User | None) -> None:
    """Record it with and without a user: so it takes as long."""
    named = str(user.pk) if user is not None else None
    record_event(None, "session.refused", by="anonymous", user=named)


def check_unchanged(user: User) -> None:
    """Raise unless the password still is the one that was checked: that took its time."""
    same = User.objects.select_for_update(no_key=True).filter(
        pk=user.pk, password=user.password, is_active=True
    )
    if same.first() is None:
        raise InvalidCredentials
