"""Lock a user out, and let them in again: an operator's act, which deletes nothing."""

from functools import partial

from django.db import transaction

from accounts.models import User
from accounts.principals import forget_members
from accounts.sessions import end_admin_sessions, revoke_sessions
from accounts.traces import record_for_user


def lock_user(user: User, *, by: str) -> bool:
    """Refuse a user every credential of theirs from now on. Return False if that was so before."""
    with transaction.atomic():
        if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
            return False
        revoke_sessions(user=user, reason="locked")
        end_admin_sessions(pk=user.pk)
        record_for_user(user, "user.locked", by=by)
    return True


def unlock_user(user: User, *, by: str) -> bool:
    """Let a user sign in again. Return False if they could."""
    with transaction.atomic():
        if not User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
            return False
        transaction.on_commit(partial(forget_members, user_id=user.pk))
        record_for_user(user, "user.unlocked", by=by)
    return True
