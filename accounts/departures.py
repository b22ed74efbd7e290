"""What an organization's new policy, or its end, means for its people."""

from typing import Any

from django.db import transaction
from django.dispatch import receiver

from accounts.api_keys import forget_keys, revoke_keys_of
from accounts.invitations import close_invitations
from accounts.models import ApiKey, Invitation, Membership, User
from accounts.principals import forget_members
from accounts.sessions import revoke_sessions
from tenancy.lifecycle import (
    creation_undone,
    organization_deleted,
    organization_policy_changed,
    organization_purged,
)
from tenancy.models import Organization


@receiver(organization_deleted)
def sign_everybody_out(organization: Organization, **_: Any) -> None:
    """End sessions, API keys and invitations; the memberships stay, for a restored organization."""
    revoke_sessions(organization=organization, reason="organization_deleted")
    revoke_keys_of(organization)
    close_invitations(organization)


@receiver(organization_policy_changed)
def judge_members_anew(**_: Any) -> None:
    """Read again at once what each member has proved, and what is asked of them."""
    transaction.on_commit(forget_members)


@receiver(creation_undone)
def forget_newcomers(organization: Organization, **_: Any) -> None:
    """Remove the users whom the failed creation brought along; others stay as they were."""
    _remove_members(organization, created_at__gte=organization.created_at)


@receiver(organization_purged)
def forget_people(organization: Organization, **_: Any) -> int:
    """Remove API keys, invitations and memberships, and the users who had no other one.

    Operators stay. Return how many members there were.
    """
    ApiKey.objects.filter(organization=organization).delete()
    Invitation.objects.filter(organization=organization).delete()
    transaction.on_commit(forget_keys)
    return _remove_members(organization)


def _remove_members(organization: Organization, **which: Any) -> int:
    members = list(organization.memberships.values_list("user_id", flat=True))
    Membership.objects.filter(organization=organization).delete()
    alone = User.objects.filter(pk__in=members, memberships=None, is_staff=False)
    alone.filter(**which).delete()
    transaction.on_commit(forget_members)
    return len(members)
