"""How many invitations and letters there may be, so that nobody is pestered in our name."""

from datetime import datetime, timedelta
from math import ceil
from typing import NoReturn

from django.db.models import Sum
from django.utils import timezone

from accounts.exceptions import RateLimited
from accounts.models import Invitation, Membership
from tenancy.exceptions import AlreadyExists, FieldError, PlanLimitReached
from tenancy.models import Organization

OPEN_MAX_INVITATIONS = 100  # of one organization
MADE_MAX_A_DAY = 500  # by one organization
LETTERS_MAX_TO_AN_ADDRESS = 10  # from one organization, within LETTERS_PERIOD
LETTERS_PERIOD = timedelta(days=7)
NOT_ENDED = {"accepted_at": None, "revoked_at": None}


def check_room(organization: Organization, address: str) -> None:
    """Raise unless the organization may invite the address now. Call with its row locked.

    Raises AlreadyExists, RateLimited or PlanLimitReached.
    """
    check_is_no_member(organization, address)
    check_letters(organization, address)
    mine = Invitation.objects.filter(organization=organization)
    today = mine.filter(created_at__gt=timezone.now() - timedelta(days=1))
    if today.count() >= MADE_MAX_A_DAY:
        refuse_until(today.earliest("created_at").created_at + timedelta(days=1))
    used = mine.filter(**NOT_ENDED, expires_at__gt=timezone.now()).count()
    if used >= OPEN_MAX_INVITATIONS:
        raise PlanLimitReached(
            f"There are {used} open invitations. Revoke some, or wait until they are accepted.",
            extra={"limit": OPEN_MAX_INVITATIONS, "used": used, "name": "invitations"},
        )
    check_seats(organization)


def check_seats(organization: Organization, *, but: Invitation | None = None) -> None:
    """Raise PlanLimitReached if members and open invitations, except one, are all the plan allows.

    Call with the organization's row locked. Who accepts is counted again.
    """
    limit = organization.plan.max_members
    if limit is None:
        return
    open_ones = Invitation.objects.filter(
        organization=organization, **NOT_ENDED, expires_at__gt=timezone.now()
    )
    waiting = (open_ones if but is None else open_ones.exclude(pk=but.pk)).count()
    members = Membership.objects.filter(organization=organization).count()
    if members + waiting >= limit:
        raise PlanLimitReached(
            f"The plan allows {limit:,} members: there are {members:,}, and {waiting:,} open "
            "invitations.",
            extra={"limit": limit, "used": members + waiting, "name": "members"},
        )


def check_is_no_member(organization: Organization, address: str) -> None:
    """Raise AlreadyExists if there is a member with this address."""
    if Membership.objects.filter(organization=organization, user__email=address).exists():
        raise taken("Who has this address is a member already.")


def check_letters(organization: Organization, address: str) -> None:
    """Raise RateLimited if the address had its share: whatever was revoked and made anew."""
    since = timezone.now() - LETTERS_PERIOD
    rows = Invitation.objects.filter(organization=organization, email=address, sent_at__gt=since)
    if (rows.aggregate(sent=Sum("sent_count"))["sent"] or 0) >= LETTERS_MAX_TO_AN_ADDRESS:
        refuse_until(rows.earliest("sent_at").sent_at + LETTERS_PERIOD)


def refuse_until(moment: datetime) -> NoReturn:
    """Raise RateLimited with the seconds until then, at least one."""
    seconds = max(1, ceil((moment - timezone.now()).total_seconds()))
    raise RateLimited("Too many invitations were sent. Wait.", retry_after=seconds)


def taken(message: str) -> AlreadyExists:
    """Return the refusal of an address."""
    return AlreadyExists(message, errors=[FieldError("/email", "already_exists", message)])
