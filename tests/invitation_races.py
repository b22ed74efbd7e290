"""Many acts on one invitation at once, in a process of the product: for whatever catalog it has."""

import json
import threading
from collections import Counter
from datetime import timedelta
from functools import partial
from unittest.mock import patch

from django.contrib.auth.hashers import make_password
from django.db import connection
from django.utils import timezone

from accounts import accepting
from accounts.accepting import accept_by_password
from accounts.invitations import invite, resend, revoke
from accounts.login import log_in, sign_in
from accounts.memberships import add_member
from accounts.models import Invitation, Membership, Session, User
from accounts.principals import Member
from accounts.roles import Role
from accounts.sessions import Device
from tenancy import lifecycle
from tenancy.models import Organization, Plan
from tests.patience import wait_long_for_locks

THREADS = 16
PASSWORD = "a new pass-phrase 2"
TOKENS = {}


def at_once(calls):
    """Return how often each outcome came: `done`, or the name of an error."""
    barrier = threading.Barrier(len(calls))
    outcomes = []

    def run(call):
        barrier.wait(60)
        try:
            call()
            outcomes.append("done")
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test shows it
            outcomes.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return dict(Counter(outcomes))


def make_owner(name):
    """Return the owner of a new organization as somebody who makes a request."""
    owner = User.objects.create(
        email=f"{name.lower()}@example.com", password=make_password(PASSWORD)
    )
    lifecycle.create_organization(
        name, by="command:test", on_reserve=lambda row: add_member(owner, row, Role.OWNER)
    )
    membership = owner.memberships.get()
    session = sign_in(owner, membership, Device()).session
    return Member(
        membership.organization_id, Role.OWNER, user_id=owner.pk, membership_id=membership.pk,
        session_id=session.pk,
    )  # fmt: skip


def ask(owner, email):
    """Invite somebody; return the row and the token."""
    row = invite(owner, email, Role.EDITOR)
    return row, TOKENS[email]


def join(token, password=PASSWORD):
    accept_by_password(token, password, device=Device())


def accept_at_once(owner, number):
    """Many accept one token, as somebody new in even rounds."""
    email = f"new{number}@example.com"
    _, token = ask(owner, email)
    if number % 2:
        User.objects.create(email=email, password=make_password(None))
    outcomes = at_once([partial(join, token)] * THREADS)
    members = Membership.objects.filter(user__email=email).count()
    sessions = Session.objects.filter(user__email=email).count()
    return {**outcomes, "members": members, "sessions": sessions}


def revoke_and_accept(owner, number):
    """One revokes while others accept: of the two outcomes, one."""
    email = f"revoked{number}@example.com"
    row, token = ask(owner, email)
    revoking = partial(revoke, owner, row.pk)
    outcomes = at_once([revoking, *[partial(join, token)] * 5])
    row.refresh_from_db()
    is_member = Membership.objects.filter(user__email=email).exists()
    ended = (row.accepted_at is not None, row.revoked_at is not None)
    return {**outcomes, "consistent": ended == (is_member, not is_member)}


def invite_at_once(owner, number):
    """Many invite one address."""
    email = f"wanted{number}@example.com"
    outcomes = at_once([partial(invite, owner, email, Role.VIEWER)] * 8)
    return {**outcomes, "rows": Invitation.objects.filter(email=email).count()}


def resend_at_once(owner, number):
    """Many send one letter again."""
    row, _ = ask(owner, f"again{number}@example.com")
    Invitation.objects.filter(pk=row.pk).update(sent_at=timezone.now() - timedelta(hours=1))
    outcomes = at_once([partial(resend, owner, row.pk)] * 8)
    row.refresh_from_db()
    return {**outcomes, "sent": row.sent_count}


def fill_at_once(owner, number):
    """Many accept an invitation each, and the plan has room for one of them."""
    emails = [f"full{number}-{each}@example.com" for each in range(6)]
    tokens = [ask(owner, email)[1] for email in emails]
    used = Membership.objects.filter(organization=owner.organization_id).count()
    Plan.objects.update(max_members=used + 1)
    outcomes = at_once([partial(join, token) for token in tokens])
    Plan.objects.update(max_members=None)
    still_open = Invitation.objects.filter(email__in=emails, accepted_at=None, revoked_at=None)
    result = {**outcomes, "open": still_open.count()}
    still_open.update(revoked_at=timezone.now())
    return result


def log_in_and_accept(owner, number):
    """Somebody signs in while they accept: neither waits for the other for ever."""
    other = make_owner(f"Other{number}")
    email = f"other{number}@example.com"
    _, token = ask(owner, email)
    signing_in = partial(log_in, email, PASSWORD, organization=None, device=Device())
    outcomes = at_once([partial(join, token), *[signing_in] * 7])
    return {**outcomes, "members": Membership.objects.filter(user=other.user_id).count()}


def delete_and_accept(_, number):
    """An organization is deleted while somebody joins: nobody is signed in to it afterwards."""
    owner = make_owner(f"Doomed{number}")
    _, token = ask(owner, f"late{number}@example.com")
    deleting = partial(lifecycle.delete_organization, owner.organization_id, by="command:test")
    outcomes = at_once([deleting, *[partial(join, token)] * 3])
    left = Session.objects.filter(organization=owner.organization_id, revoked_at=None).count()
    status = Organization.objects.get(pk=owner.organization_id).status
    return {"errors": sorted(outcomes), "open_sessions": left, "status": status}


SCENES = [
    accept_at_once, revoke_and_accept, invite_at_once, resend_at_once, fill_at_once,
    log_in_and_accept, delete_and_accept,
]  # fmt: skip


def keep_token(invitation, token):
    """Be the letter."""
    TOKENS[invitation.email] = token


def run(rounds):
    """Return, as JSON, what came of so many rounds of each scene."""
    wait_long_for_locks()
    with (
        patch("accounts.invitations.send_invitation", keep_token),
        patch.object(accepting, "hash_password", lambda password: "!"),
        patch.object(accepting, "matches", lambda password, user: True),
        patch("accounts.login.matches", lambda password, user: True),
    ):
        owner = make_owner("Race")
        found = {
            scene.__name__: [scene(owner, number) for number in range(rounds)] for scene in SCENES
        }
    return json.dumps(found)
