"""What an organization's new policy, or its end, means for its people."""

from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.dispatch import receiver

from accounts.api_keys import forget_keys, revoke_keys_of
from accounts.invitations import close_invitations
from accounts.models import ApiKey, Invitation, Membership, RefreshToken, Session, User
from accounts.principals import forget_members
from accounts.sessions import revoke_sessions
from tenancy.lifecycle import (
    creation_undone,
    organization_deleted,
    organization_policy_changed,
    organization_purged,
)
from tenancy.models import Organization

LOG_BATCH = 500


@receiver(organization_deleted)
def sign_everybody_out(organization: Organization, **_: Any) -> None:
    """End sessions, API keys and invitations; the memberships stay, for a restored organization."""
    revoke_sessions(organization=organization, reason="organization_deleted")
    revoke_keys_of(organization)
    close_invitations(organization)


@receiver(organization_policy_changed)
def judge_members_anew(organization: Organization, **_: Any) -> None:
    """Read again at once what each member has proved, and what is asked of them."""
    forget_members(organization_id=organization.pk)


@receiver(creation_undone)
def forget_newcomers(organization: Organization, **_: Any) -> None:
    """Remove the users whom the failed creation brought along; others stay as they were."""
    _remove_members(organization, created_at__gte=organization.created_at)


@receiver(organization_purged)
def forget_people(organization: Organization, **_: Any) -> int:
    """Remove API keys, invitations, sessions, memberships, and the users who had no other one.

    Operators stay. What the admin site's own log calls all these is blanked. Return how many
    members there were.
    """
    _blank_log(Organization, [organization.pk])
    for model in (ApiKey, Invitation, Membership, Session):
        rows = model._base_manager.filter(organization=organization)  # noqa: SLF001
        _blank_log(model, list(rows.values_list("pk", flat=True)))
    ApiKey.objects.filter(organization=organization).delete()
    Invitation.objects.filter(organization=organization).delete()
    _remove_sessions(organization)
    forget_keys(organization_id=organization.pk)
    return _remove_members(organization)


def _remove_sessions(organization: Organization) -> None:
    """Remove sessions and their refresh tokens, once none of them is just going on."""
    rows = Session.objects.filter(organization=organization)
    list(rows.select_for_update().order_by("pk").values_list("pk"))
    RefreshToken.objects.filter(session__organization=organization).delete()
    rows.delete()


def _remove_members(organization: Organization, **which: Any) -> int:
    members = list(organization.memberships.values_list("user_id", flat=True))
    Membership.objects.filter(organization=organization).delete()
    alone = User.objects.filter(pk__in=members, memberships=None, is_staff=False, **which)
    _blank_log(User, list(alone.values_list("pk", flat=True)))
    alone.delete()
    forget_members(organization_id=organization.pk)
    return len(members)


def _blank_log(model: type[Model], keys: list[UUID]) -> None:
    """Leave in the admin site's log who did something when, but not what it was called."""
    entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(model))
    for start in range(0, len(keys), LOG_BATCH):
        batch = [str(key) for key in keys[start : start + LOG_BATCH]]
        entries.filter(object_id__in=batch).update(object_repr="", change_message="")
