"""Sign up and sign in."""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.exceptions import EmailTaken, InvalidCredentials, PermissionDenied
from accounts.models import EMAIL_MAX_CHARACTERS, Membership, Session, User, normalize_email
from accounts.passwords import check_new_password, hash_password, matches
from accounts.roles import Role
from accounts.sessions import Device, open_session, revoke_sessions
from accounts.tokens import make_access_token
from tenancy.audit import record_event
from tenancy.exceptions import FieldError, OrganizationDeleted, ValidationFailed
from tenancy.lifecycle import create_organization
from tenancy.models import Organization, OrganizationStatus
from tenancy.names import clean_name, slug_of


@dataclass(frozen=True)
class SignedIn:
    """A session that was just opened, and its first access token."""

    session: Session
    membership: Membership
    access_token: str


def check_email(email: str, *, pointer: str = "/email") -> str:
    """Return the normalized address. Raises ValidationFailed."""
    address = normalize_email(email)
    try:
        validate_email(address)
        MaxLengthValidator(EMAIL_MAX_CHARACTERS)(address)
    except ValidationError as error:
        message = "This is not an e-mail address."
        raise ValidationFailed(
            message, errors=[FieldError(pointer, "invalid_email", message)]
        ) from error
    return address


def sign_up(
    organization_name: str, email: str, password: str, *, name: str = "", device: Device
) -> SignedIn:
    """Create an organization with its owner, and sign the owner in: all of it or nothing.

    Raises ValidationFailed, NameTaken or EmailTaken.
    """
    pointer = "/organization_name"
    slug_of(clean_name(organization_name, pointer=pointer), pointer=pointer)
    address = check_email(email)
    check_new_password(password, email=address)
    owner = User(email=address, name=name, password=hash_password(password))

    def add_owner(organization: Organization) -> None:
        insert_user(owner)
        Membership.objects.create(user=owner, organization=organization, role=Role.OWNER)

    organization = create_organization(
        organization_name, by=f"user:{owner.pk}", on_reserve=add_owner, pointer=pointer
    )
    return sign_in(owner, Membership.objects.get(user=owner, organization=organization), device)


def insert_user(user: User, *, pointer: str = "/email") -> None:
    """Insert or update a user. Raises EmailTaken: the unique constraint decides."""
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        problem = FieldError(pointer, "already_exists", EmailTaken.default_detail)
        raise EmailTaken(errors=[problem]) from error


def sign_in(user: User, membership: Membership, device: Device) -> SignedIn:
    """Open a session in an organization."""
    with transaction.atomic():
        session = open_session(membership, device)
        User.objects.filter(pk=user.pk).update(last_login=timezone.now())
    return SignedIn(session, membership, make_access_token(session, membership))


def log_in(email: str, password: str, *, organization: str | None, device: Device) -> SignedIn:
    """Sign a user in to one of their organizations: the named one, or the first.

    `organization` is a slug or an id. Raises InvalidCredentials, whatever of it is wrong, or
    OrganizationDeleted.
    """
    user = User.objects.filter(email=normalize_email(email)).first()
    if not matches(password, user) or user is None or not user.is_active:
        raise InvalidCredentials
    return sign_in(user, _choose_membership(user, organization), device)


def memberships_of(user: User) -> list[Membership]:
    """Return a user's memberships, the oldest first; at most 100."""
    rows = user.memberships.select_related("organization")
    return list(rows.exclude(organization__status=OrganizationStatus.PURGED)[:100])


def _choose_membership(user: User, organization: str | None) -> Membership:
    memberships = memberships_of(user)
    if not memberships:
        raise PermissionDenied("You are a member of no organization.")
    wanted = [
        membership
        for membership in memberships
        if organization in {None, membership.organization.slug, str(membership.organization_id)}
    ]
    if not wanted:
        raise InvalidCredentials
    for membership in wanted:
        if membership.organization.status != OrganizationStatus.DELETING:
            return membership
    raise OrganizationDeleted


def change_own_account(
    user: User, organization: Organization, *, email: str | None, password_hash: str | None
) -> None:
    """Change one's own e-mail and password; every session of the user ends.

    Call in a transaction. Raises EmailTaken.
    """
    if email is not None:
        user.email = email
    if password_hash is not None:
        user.password = password_hash
    insert_user(user)
    revoke_sessions(user=user)
    record_event(
        organization, "user.changed", by=f"user:{user.pk}",
        email=email is not None, password=password_hash is not None,
    )  # fmt: skip
