"""Members come in by one way, and no more of them than the plan allows."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from accounts.memberships import add_member
from accounts.models import Membership, User
from accounts.roles import Role
from tenancy.exceptions import PlanLimitReached
from tenancy.models import Plan


def person(number):
    return User.objects.create(email=f"person{number}@example.com", password="!")


def test_no_more_members_than_the_plan_allows(acme):
    Plan.objects.update(max_members=4)
    add_member(person(1), acme.organization, Role.EDITOR)

    with pytest.raises(PlanLimitReached) as caught:
        add_member(person(2), acme.organization, Role.EDITOR)

    assert caught.value.extra == {"limit": 4, "used": 4, "name": "members"}
    assert acme.organization.memberships.count() == 4


def test_who_is_a_member_stays_as_they_are(acme):
    Plan.objects.update(max_members=3)

    assert add_member(acme.users["bob"], acme.organization, Role.OWNER).role == Role.EDITOR


def test_without_a_limit_anybody_may_come(acme):
    for number in range(5):
        add_member(person(number), acme.organization, Role.VIEWER)

    assert acme.organization.memberships.count() == 8


def test_of_many_who_come_at_once_no_more_get_in(acme):
    Plan.objects.update(max_members=5)
    people = [person(number) for number in range(6)]
    barrier = Barrier(6)

    def come(user):
        barrier.wait()
        try:
            add_member(user, acme.organization, Role.VIEWER)
        except PlanLimitReached:
            return 0
        finally:
            connection.close()
        return 1

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(come, people)) == 2

    assert Membership.objects.filter(organization=acme.organization).count() == 5
