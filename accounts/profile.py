"""One's own account: change it, or end it."""

from uuid import UUID

from django.db import transaction

from accounts.account_letters import tell_of_new_email
from accounts.ended_invitations import forget_address
from accounts.exceptions import LastOwner, PermissionDenied, TokenRevoked
from accounts.mail import send_later
from accounts.member_counts import forget_member_count
from accounts.memberships import existing_memberships, lock_people
from accounts.models import Invitation, Membership, RefreshToken, Session, User
from accounts.ownership import is_only_owner
from accounts.passwords import matches
from accounts.principals import Member, forget_members
from accounts.sessions import end_admin_sessions, revoke_sessions
from accounts.signup import check_email, one_user_for_an_address
from accounts.throttles import login_attempt
from tenancy.audit import record_event
from tenancy.exceptions import FieldError, OrganizationNotFound, RevisionConflict, ValidationFailed
from tenancy.models import Organization

ATTEMPTS = 3


def get_account(member: Member) -> User:
    """Return the user who is signed in. Raises TokenRevoked if they are gone."""
    user = User.objects.filter(pk=member.user_id, is_active=True).first()
    if user is None:
        raise TokenRevoked
    return user


def change_name(member: Member, name: str) -> None:
    """Give oneself another name. Raises TokenRevoked."""
    with transaction.atomic():
        if not User.objects.filter(pk=member.user_id).exclude(name=name).update(name=name):
            return
        _record(member, name=True)


def change_email(member: Member, email: str, *, current_password: str) -> None:
    """Give oneself another address: every other session ends, and both addresses hear of it.

    Raises ValidationFailed for no address or a wrong password, or EmailTaken.
    """
    address = check_email(email)
    user = get_account(member)
    check_password_of(user, current_password)
    if address != user.email:
        replace_email(member, user, address)


def replace_email(member: Member, user: User, address: str) -> None:
    """Put an address in the place of the one that was read with the user. Tell both.

    Raises EmailTaken, or TokenRevoked if the address or the password is another by now.
    """
    with transaction.atomic():
        with one_user_for_an_address("/email"):
            # The password may have changed while it was being checked.
            same = User.objects.filter(pk=user.pk, email=user.email, password=user.password)
            if not same.update(email=address):
                raise TokenRevoked
        own = Session(pk=member.session_id)
        revoke_sessions(user=user, but=own, reason="email_changed")
        end_admin_sessions(pk=user.pk)
        tell_of_new_email(user.email, address)
        _record(member, email=True)


def delete_account(member: Member, *, current_password: str) -> None:
    """Remove the user who is signed in, their memberships and sessions; the audit keeps ids.

    Raises ValidationFailed for a wrong password, PermissionDenied for an operator, or LastOwner
    with every organization that would be left without an owner.
    """
    user = get_account(member)
    check_password_of(user, current_password)
    if user.is_staff:
        raise PermissionDenied("You are an operator: another operator has to remove you.")
    for _ in range(ATTEMPTS):
        if _try_to_delete(user):
            send_later(user.email, "Your account was deleted", _DELETED)
            return
    raise RevisionConflict("Your memberships were changed at the same time. Try again.")


def check_password_of(user: User, password: str) -> None:
    """Raise ValidationFailed unless it is the password that the user has now; or RateLimited."""
    with login_attempt(user.email):
        if not matches(password, user):
            message = "This is not your password."
            error = FieldError("/current_password", "wrong_password", message)
            raise ValidationFailed(message, errors=[error])


def _try_to_delete(user: User) -> bool:
    """Remove the user; return False if they came into another organization at this moment.

    Organizations are locked before the user, as everywhere: the two are compared afterwards.
    """
    with transaction.atomic():
        organizations = _lock_organizations(user)
        row = User.objects.select_for_update().filter(pk=user.pk, password=user.password)
        if not row.filter(is_active=True, is_staff=False).exists():
            raise TokenRevoked
        memberships = list(existing_memberships(user))
        if {each.organization_id for each in memberships} - set(organizations):
            return False
        _check_leaves_no_organization_alone(memberships)
        _delete(user, memberships)
    return True


def _lock_organizations(user: User) -> dict[UUID, Organization]:
    ids = existing_memberships(user).order_by("organization_id")
    found = {}
    for organization_id in ids.values_list("organization_id", flat=True):
        try:
            found[organization_id] = lock_people(organization_id)
        except OrganizationNotFound:  # its creation was undone
            continue
    return found


def _check_leaves_no_organization_alone(memberships: list[Membership]) -> None:
    alone = [each.organization for each in memberships if is_only_owner(each)]
    if alone:
        errors = [
            FieldError("", "last_owner", f"You are the only owner of “{each.name}” ({each.slug}).")
            for each in alone
        ]
        raise LastOwner(
            "An organization would have no owner.",
            errors=errors,
            hint="Make another member an owner, or delete the organization with “purge”.",
        )


def _delete(user: User, memberships: list[Membership]) -> None:
    """Remove everything of a user, once no session of theirs is just going on."""
    list(Session.objects.select_for_update().filter(user=user).order_by("pk").values_list("pk"))
    RefreshToken.objects.filter(session__user=user).delete()
    Session.objects.filter(user=user).delete()
    Invitation.objects.filter(accepted_by=user).delete()  # they hold an address of theirs
    forget_address(user.email)
    user_id = str(user.pk)
    User.objects.filter(pk=user.pk).delete()
    forget_members(user_id=user.pk)
    for each in sorted(memberships, key=lambda row: str(row.organization_id)):
        forget_member_count(each.organization_id)
        record_event(
            each.organization, "user.deleted", by=f"user:{user_id}",
            user=user_id, membership=str(each.pk), role=each.role,
        )  # fmt: skip


def _record(member: Member, **changed: bool) -> None:
    organization = Organization.objects.get(pk=member.organization_id)
    record_event(organization, "user.changed", by=member.actor, **changed)


_DELETED = "Hello,\n\nyour account, its memberships and its sessions are removed, as you asked.\n"
