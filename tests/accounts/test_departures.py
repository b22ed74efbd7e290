"""What the end of an organization means for its people."""

import pytest

from accounts.models import Membership, User
from accounts.roles import Role
from tenancy import lifecycle
from tenancy.exceptions import NameTaken
from tenancy.models import Operation
from tenancy.operations import resume_operations
from tests.conftest import ACTOR

pytestmark = pytest.mark.usefixtures("quick")


def fail_to_create(mongo, owner: User) -> None:
    mongo["org_acme"].insert_one({"_id": "foreign"})

    def add_owner(organization):
        owner.save()
        Membership.objects.create(user=owner, organization=organization, role=Role.OWNER)

    with pytest.raises(NameTaken):
        lifecycle.create_organization("Acme", by=ACTOR, on_reserve=add_owner)


def test_user_of_a_failed_creation_is_gone(mongo):
    fail_to_create(mongo, User(email="new@example.com"))

    assert not User.objects.exists()


def test_user_who_was_there_before_a_failed_creation_stays(mongo):
    before = User.objects.create(email="before@example.com")

    fail_to_create(mongo, before)

    assert User.objects.get() == before
    assert not Membership.objects.exists()


def test_purge_forgets_people_but_not_those_of_other_organizations(acme, globex):
    Membership.objects.create(
        user=acme.users["bob"], organization=globex.organization, role=Role.EDITOR
    )

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    Operation.objects.open().update(not_before=acme.organization.created_at)
    resume_operations()

    left = set(User.objects.values_list("email", flat=True))
    assert left == {"bob@example.com", "charlie@example.com"}


def test_operator_is_kept_when_an_organization_is_purged(acme):
    User.objects.filter(pk=acme.users["alice"].pk).update(is_staff=True)

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    Operation.objects.open().update(not_before=acme.organization.created_at)
    resume_operations()

    assert list(User.objects.values_list("email", flat=True)) == ["alice@example.com"]
