"""Many who reach for an organization's people at once, in a process of the product: for whatever
catalog it has. Prints what each race came to, as JSON."""

import json
import threading
import uuid
from collections import Counter
from functools import partial

from django.contrib.auth.hashers import make_password
from django.db import connection

from accounts.login import log_in, sign_in
from accounts.memberships import add_member
from accounts.models import Membership, User
from accounts.ownership import (
    change_role,
    found_organization,
    leave_organization,
    remove_member,
    transfer_ownership,
)
from accounts.principals import Member
from accounts.profile import delete_account
from accounts.refreshing import refresh
from accounts.roles import Role
from accounts.sessions import Device
from tenancy import lifecycle
from tenancy.exceptions import TenancyError
from tenancy.models import Organization
from tests.patience import wait_long_for_locks

PASSWORD = "correct horse 9 battery"
HASH = make_password(PASSWORD)


def at_once(*acts):
    """Return what became of each act: "done", the code of its refusal, or what broke."""
    barrier, outcomes = threading.Barrier(len(acts)), [""] * len(acts)

    def run(number):
        barrier.wait(60)
        try:
            acts[number]()
            outcomes[number] = "done"
        except TenancyError as error:
            outcomes[number] = error.code
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test shows it
            outcomes[number] = f"broken: {type(error).__name__}: {error}"
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def person():
    return User.objects.create(email=f"{uuid.uuid4().hex}@example.com", password=HASH)


def organization(owner):
    return lifecycle.create_organization(
        f"Race {uuid.uuid4().hex[:12]}",
        by="command:test",
        on_reserve=lambda row: add_member(owner, row, Role.OWNER),
    )


def member(row):
    session = sign_in(row.user, row, Device()).session
    return Member(
        row.organization_id, row.role, user_id=row.user_id, membership_id=row.pk,
        session_id=session.pk,
    )  # fmt: skip


ACTS = {
    "demote": lambda own, other: partial(change_role, member(own), other.pk, Role.VIEWER),
    "step down": lambda own, _: partial(change_role, member(own), own.pk, Role.ADMIN),
    "remove": lambda own, other: partial(remove_member, member(own), other.pk),
    "leave": lambda own, _: partial(leave_organization, member(own)),
    "transfer": lambda own, other: partial(transfer_ownership, member(own), other.pk),
    "delete": lambda own, _: partial(delete_account, member(own), current_password=PASSWORD),
}


def owners_race(rounds):
    """Return what came of every pair of acts by two owners, and after how many none was left."""
    outcomes, orphans = Counter(), 0
    ann, ben = person(), person()
    row = organization(ann)
    pairs = [(one, other) for one in ACTS for other in ACTS]
    for number in range(rounds):
        one, other = pairs[number % len(pairs)]
        ann, ben = (User.objects.filter(pk=each.pk).first() or person() for each in (ann, ben))
        for user in (ann, ben):
            Membership.objects.update_or_create(
                user=user, organization=row, defaults={"role": Role.OWNER}
            )
        own = Membership.objects.get(user=ann, organization=row)
        others = Membership.objects.get(user=ben, organization=row)
        outcomes.update(at_once(ACTS[one](own, others), ACTS[other](others, own)))
        orphans += not Membership.objects.filter(organization=row, role=Role.OWNER).exists()
    return {"outcomes": outcomes, "orphans": orphans}


def departures_race(rounds):
    """Delete an account while its user signs in, goes on, and is taken into other organizations."""
    outcomes, left = Counter(), 0
    owner = person()
    here, there = organization(owner), organization(owner)
    for _ in range(rounds):
        user = person()
        own = add_member(user, here, Role.EDITOR)
        token = sign_in(user, own, Device()).refresh.token
        outcomes.update(
            at_once(
                ACTS["delete"](own, own),
                partial(log_in, user.email, PASSWORD, organization=None, device=Device()),
                partial(refresh, token),
                partial(join, user, there),
            )
        )
        left += User.objects.filter(pk=user.pk).exists()
    return {"outcomes": outcomes, "left": left}


def join(user, row):
    """Take a user into an organization, as somebody does who has just looked them up."""
    known = User.objects.filter(pk=user.pk).first()
    if known is not None:
        add_member(known, Organization.objects.get(pk=row.pk), Role.VIEWER)


def founders_race(threads):
    """Return how many organizations one user got who founds them at once, at a limit of 20."""
    owner = person()
    row = organization(owner)
    own = Membership.objects.get(user=owner, organization=row)
    for _ in range(18):
        add_member(owner, organization(person()), Role.OWNER)
    acts = [
        partial(found_organization, member(own), f"Founded {uuid.uuid4().hex[:12]}")
        for _ in range(threads)
    ]
    outcomes = Counter(at_once(*acts))
    return {"outcomes": outcomes, "owned": owner.memberships.filter(role=Role.OWNER).count()}


def run():
    """Return the report of every race."""
    wait_long_for_locks()
    return json.dumps(
        {
            "owners": owners_race(72),
            "departures": departures_race(8),
            "founders": founders_race(6),
        }
    )
