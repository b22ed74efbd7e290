"""Somebody with an account that belongs nowhere any more founds an organization, by signing up.

Without this they could neither sign in, for they are a member of no organization, nor sign up, for
their address is taken.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts import two_factor
from accounts.exceptions import InvalidCredentials, TwoFactorRequired
from accounts.login import SignedIn, check_unchanged, sign_in
from accounts.memberships import add_member, existing_memberships
from accounts.models import Membership, User
from accounts.passwords import matches
from accounts.roles import Role
from accounts.sessions import Device
from tenancy.idempotency import Attempt, hold_attempt
from tenancy.lifecycle import create_organization
from tenancy.models import Organization, OrganizationStatus


@dataclass(frozen=True)
class Returning:
    """A user, as read when they proved by these methods who they are."""

    user: User
    methods: str


def belongs_nowhere(user: User, *, but: UUID | None = None) -> bool:
    """Return whether a user can sign in to no organization, except perhaps one.

    A deleted one is only for its owners, who can sign in to it, restore it, or found another.
    """
    ended = Q(organization__status=OrganizationStatus.DELETING) & ~Q(role=Role.OWNER)
    return not existing_memberships(user).exclude(ended).exclude(organization=but).exists()


def prove_return(
    email: str, password: str, code: str | None, *, founded: UUID | None = None
) -> Returning:
    """Return the user with this address and password who belongs nowhere, except where `founded`.

    Takes as long whatever of it is wrong. Raises InvalidCredentials, TwoFactorRequired or
    TwoFactorInvalid. Call it outside of a transaction, and count it as an attempt to sign in.
    """
    user = User.objects.filter(email=email).first()
    if not matches(password, user) or user is None or not user.is_active:
        raise InvalidCredentials
    if not belongs_nowhere(user, but=founded):
        raise InvalidCredentials
    if code is None and two_factor.find_device(user.pk) is not None:
        raise TwoFactorRequired(hint="Sign up again, with “code” beside the password.")
    return Returning(user, two_factor.prove(user, code))


def found_again(
    returning: Returning, name: str, *, device: Device, attempt: Attempt, pointer: str
) -> SignedIn:
    """Create an organization with the user as its owner, and sign them in.

    Of many at once for one user one succeeds. Raises InvalidCredentials if the account has changed
    or belongs somewhere by now, or what `create_organization` does.
    """
    user = returning.user

    def add_owner(organization: Organization) -> None:
        _check_still(returning)
        if not belongs_nowhere(user, but=attempt.resource):
            raise InvalidCredentials
        add_member(user, organization, Role.OWNER)
        hold_attempt(attempt)

    organization = create_organization(
        name,
        by=f"user:{user.pk}",
        on_reserve=add_owner,
        pointer=pointer,
        organization_id=attempt.resource,
    )
    rows = Membership.objects.select_related("user", "organization")
    membership = rows.filter(user=user, organization=organization).first()
    if membership is None:  # they have left it since, or it was never theirs
        raise InvalidCredentials
    with transaction.atomic():
        _check_still(returning)
        hold_attempt(attempt)
        return sign_in(user, membership, device, methods=returning.methods)


def _check_still(returning: Returning) -> None:
    """Raise InvalidCredentials unless what was proved is so; the user's row stays locked."""
    check_unchanged(returning.user)
    two_factor.check_still_proved(returning.user, returning.methods)
