"""Everyday acts of one organization, two kinds at once, in a process of the product.

Returns, as JSON, what broke: a deadlock is the catalog's way to say that two acts take their locks
in different orders.
"""

import itertools
import json
import uuid
from functools import partial

from accounts.api_keys import KeyTerms, change_key, create_key, rotate_key
from accounts.invitations import invite, revoke
from accounts.locking import lock_user, unlock_user
from accounts.login import log_in, sign_in
from accounts.models import ApiKey, Membership, Session
from accounts.ownership import change_role
from accounts.principals import Member
from accounts.roles import Role
from accounts.sessions import Device, end_sessions
from tenancy.lifecycle import (
    Preferences,
    change_organization,
    rename_organization,
    resume_organization,
    suspend_organization,
)
from tests.ownership_races import PASSWORD, at_once, organization, person

REPEATS = 6
BY = "command:test"
_numbers = itertools.count()


class Office:
    """An organization with an owner who is signed in, a second member, and two keys."""

    def __init__(self):
        self.owner, self.other = person(), person()
        self.row = organization(self.owner)
        self.own = Membership.objects.get(user=self.owner)
        self.others = Membership.objects.create(
            user=self.other, organization=self.row, role=Role.EDITOR
        )
        self.member = self._member(sign_in(self.owner, self.own, Device()).session)
        terms = KeyTerms("robot", "viewer")
        self.keys = [create_key(self.member, terms).row.pk for _ in range(2)]

    def _member(self, session: Session) -> Member:
        return Member(
            self.row.pk, Role.OWNER, user_id=self.owner.pk, membership_id=self.own.pk,
            session_id=session.pk,
        )  # fmt: skip

    def log_in(self):
        log_in(self.owner.email, PASSWORD, organization=str(self.row.pk), device=Device())

    def log_out(self):
        session = sign_in(self.owner, self.own, Device()).session
        end_sessions(self._member(session), pk=session.pk)

    def make_key(self):
        made = create_key(self.member, KeyTerms("robot", "viewer")).row
        ApiKey.objects.filter(pk=made.pk).delete()

    def change_key(self):
        change_key(self.member, self.keys[0], {"name": f"robot {next(_numbers)}"})

    def rotate_key(self):
        rotate_key(self.member, self.keys[1], overlap_seconds=0)

    def invite(self):
        made = invite(self.member, f"{uuid.uuid4().hex}@example.com", Role.VIEWER)
        revoke(self.member, made.pk)

    def change_role(self):
        role = (Role.VIEWER, Role.EDITOR)[next(_numbers) % 2]
        change_role(self.member, self.others.pk, role)

    def prefer(self):
        change_organization(self.row.pk, Preferences(settings={"n": next(_numbers)}), by=BY)

    def suspend(self):
        suspend_organization(self.row.pk, by=BY)
        resume_organization(self.row.pk, by=BY)

    def rename(self):
        rename_organization(self.row.pk, f"Race {uuid.uuid4().hex[:12]}", by=BY)

    def lock(self):
        lock_user(self.other, by=BY)
        unlock_user(self.other, by=BY)


PAIRS = [
    ("make_key", "log_in"), ("make_key", "log_out"), ("make_key", "rotate_key"),
    ("make_key", "invite"), ("prefer", "log_in"), ("prefer", "change_key"), ("prefer", "invite"),
    ("suspend", "log_out"), ("suspend", "rotate_key"), ("rename", "invite"), ("invite", "log_in"),
    ("change_role", "invite"), ("lock", "change_role"), ("rename", "log_out"),
]  # fmt: skip


def _repeat(act, times):
    for _ in range(times):
        act()


def run():
    """Return what broke in each pair."""
    office, broken = Office(), {}
    for names in PAIRS:
        acts = [
            partial(_repeat, getattr(office, name), 1 if name == "rename" else REPEATS)
            for name in names
        ]
        found = [each for each in at_once(*acts, *acts) if each.startswith("broken")]
        if found:
            broken[" + ".join(names)] = found
        resume = office.row.__class__.objects.filter(pk=office.row.pk)
        resume.update(status="active")
    return json.dumps(broken)
