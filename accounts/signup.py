"""Sign up; and change one's own account."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid5

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.db import IntegrityError, transaction

from accounts import two_factor
from accounts.account_letters import tell_of_new_email
from accounts.exceptions import EmailTaken, InvalidCredentials, TokenRevoked
from accounts.login import SignedIn, check_unchanged, sign_in
from accounts.memberships import add_member
from accounts.models import EMAIL_MAX_CHARACTERS, Membership, User, normalize_email
from accounts.passwords import check_new_password, hash_password, matches, tell_of_new_password
from accounts.principals import Member
from accounts.returning import found_again, prove_return
from accounts.roles import Role
from accounts.sessions import Device, revoke_sessions
from accounts.standing import check_still_allowed
from accounts.throttles import login_attempt
from tenancy.audit import record_event
from tenancy.exceptions import AlreadyExists, FieldError, NameTaken, ValidationFailed
from tenancy.idempotency import Attempt, hold_attempt
from tenancy.lifecycle import create_organization
from tenancy.models import Organization
from tenancy.names import clean_name, slug_of

# From the id of an organization to that of the user who founds it.
OWNER = "owner"
CREATED_BEFORE = "The organization was created before, and its owner's account was changed since."


@dataclass(frozen=True)
class Account:
    """What a new user says of themselves."""

    email: str
    password: str = field(repr=False)
    name: str = ""
    code: str | None = field(default=None, repr=False)


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


@dataclass(frozen=True)
class Founding:
    """An organization that may be created, and the user who will own it; both were checked."""

    organization_name: str
    email: str
    password_hash: str = field(repr=False)
    name: str = ""


def sign_up(
    organization_name: str, account: Account, *, device: Device, attempt: Attempt
) -> SignedIn:
    """Create an organization with its owner, and sign the owner in: all of it or nothing.

    In another attempt at the same it makes nothing twice, and signs the same owner in, unless they
    have changed their account meanwhile. Raises ValidationFailed, NameTaken or EmailTaken;
    TenantBusy while somebody else is at it, or IdempotencyInProgress if overtaken by them.

    The address may be that of an account without any organization, and the password its own: that
    counts as an attempt to sign in. It raises RateLimited, TwoFactorRequired or TwoFactorInvalid.
    """
    founding = check_sign_up(organization_name, account)
    try:
        return found(founding, device=device, attempt=attempt, password=account.password)
    except NameTaken:
        raise
    except AlreadyExists as refusal:
        if User.objects.filter(pk=uuid5(attempt.resource, OWNER)).exists():
            raise  # made by an earlier attempt at the same
        try:
            return _found_again(founding, account, device=device, attempt=attempt)
        except InvalidCredentials:
            raise refusal from None


def _found_again(
    founding: Founding, account: Account, *, device: Device, attempt: Attempt
) -> SignedIn:
    """Found it for the account that has the address. Raises InvalidCredentials."""
    with login_attempt(founding.email):
        returning = prove_return(
            founding.email, account.password, account.code, founded=attempt.resource
        )
        return found_again(
            returning, founding.organization_name, device=device, attempt=attempt,
            pointer="/organization_name",
        )  # fmt: skip


def check_sign_up(organization_name: str, account: Account) -> Founding:
    """Check and normalize what somebody says; nothing is read of others. Raises ValidationFailed.

    The password is hashed at the end. Raises RateLimited while too many are being hashed.
    """
    pointer = "/organization_name"
    slug_of(clean_name(organization_name, pointer=pointer), pointer=pointer)
    address = check_email(account.email)
    check_new_password(account.password, email=address)
    return Founding(organization_name, address, hash_password(account.password), account.name)


def found(
    founding: Founding,
    *,
    device: Device,
    attempt: Attempt | None = None,
    pointer: str = "/organization_name",
    password: str = "",
) -> SignedIn:
    """Do what `sign_up` promises with what was checked. Raises NameTaken or EmailTaken.

    `password` is for another attempt, where that of the first may be another one by now.
    Of a name and an address that are both taken the name is told: the address is not looked at.
    """
    attempt = attempt or Attempt.without_key()
    owner = User(
        pk=uuid5(attempt.resource, OWNER), email=founding.email, name=founding.name,
        password=founding.password_hash,
    )  # fmt: skip

    def add_owner(organization: Organization) -> None:
        insert_user(owner)
        add_member(owner, organization, Role.OWNER)
        hold_attempt(attempt)

    organization = create_organization(
        founding.organization_name,
        by=f"user:{owner.pk}",
        on_reserve=add_owner,
        pointer=pointer,
        organization_id=attempt.resource,
    )
    membership = _find_unchanged(owner, organization, password)
    with transaction.atomic():
        try:
            check_unchanged(membership.user)
            two_factor.check_still_proved(membership.user, two_factor.FIRST_METHODS)
        except InvalidCredentials as error:
            raise AlreadyExists(CREATED_BEFORE) from error
        hold_attempt(attempt)
        return sign_in(membership.user, membership, device)


def _find_unchanged(owner: User, organization: Organization, password: str) -> Membership:
    """Return the owner's membership, if the password still is theirs. Raises AlreadyExists.

    A row with this very hash, which no other has, was made by this call.
    """
    rows = Membership.objects.select_related("user", "organization")
    found = rows.filter(user=owner, organization=organization, user__is_active=True).first()
    if found is not None and (
        found.user.password == owner.password or matches(password, found.user)
    ):
        return found
    raise AlreadyExists(CREATED_BEFORE)


def insert_user(user: User, *, pointer: str = "/email") -> None:
    """Insert a user. Raises EmailTaken: the unique constraint decides."""
    with one_user_for_an_address(pointer):
        user.save(force_insert=True)


@contextmanager
def one_user_for_an_address(pointer: str) -> Iterator[None]:
    """Raise EmailTaken if what is done inside would give two users one address."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        problem = FieldError(pointer, "already_exists", EmailTaken.default_detail)
        raise EmailTaken(errors=[problem]) from error


@dataclass(frozen=True)
class AccountChange:
    """A user's own new e-mail and password; None: as before. `user` is as it was read before."""

    user: User
    email: str | None
    password_hash: str | None
    member: Member | None = None

    @property
    def _new(self) -> dict[str, str]:
        wanted = {"email": self.email, "password": self.password_hash}
        return {field: value for field, value in wanted.items() if value is not None}

    def apply(self, organization: Organization) -> None:
        """Change the row; every session of the user ends. Call in a transaction.

        Raises EmailTaken, or TokenRevoked if the account was changed since it was read or the
        session has ended: hashing took its time, and this may be whom a new password shut out.
        """
        if not self._new:
            return
        self._check_unchanged()
        with one_user_for_an_address("/email"):
            User.objects.filter(pk=self.user.pk).update(**self._new)
        revoke_sessions(user=self.user)
        self._tell()
        record_event(
            organization, "user.changed", by=f"user:{self.user.pk}",
            email="email" in self._new, password="password" in self._new,
        )  # fmt: skip

    def _check_unchanged(self) -> None:
        as_read = {"password": self.user.password, "email": self.user.email, "is_active": True}
        rows = User.objects.select_for_update(no_key=True).filter(pk=self.user.pk, **as_read)
        if rows.first() is None:
            raise TokenRevoked
        if self.member is not None:
            check_still_allowed(self.member)

    def _tell(self) -> None:
        """Write to the user, at both addresses if there are two."""
        if self.email is not None and self.email != self.user.email:
            tell_of_new_email(self.user.email, self.email)
        if self.password_hash is not None:
            tell_of_new_password(self.user.email)

    def take_back(self, organization: Organization) -> None:
        """Put back what was there, unless it was changed once more. The sessions stay ended."""
        before = {field: getattr(self.user, field) for field in self._new}
        with transaction.atomic(), one_user_for_an_address("/email"):
            if User.objects.filter(pk=self.user.pk, **self._new).update(**before):
                record_event(organization, "user.change_undone", by=f"user:{self.user.pk}")
