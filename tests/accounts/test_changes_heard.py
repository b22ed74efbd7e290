"""Each kind of what is cached is read again when another process says that it changed."""

import uuid

import pytest

from accounts.api_keys import get_key_holder, issue_key, revoke_key
from accounts.key_terms import KeyTerms
from accounts.member_counts import count_members
from accounts.models import Membership
from tenancy import catalog, invalidation
from tenancy.invalidation import Message, hear
from tenancy.lifecycle import settings_of
from tenancy.models import Organization
from tests.conftest import ACTOR

ORGANIZATION = "/api/v1/organization"


@pytest.fixture(autouse=True)
def for_an_hour(settings):
    settings.TENANCY_CATALOG_TTL = settings.ACCOUNTS_ROW_TTL = 3_600


def say(kind, **ids):
    assert hear("here", Message("elsewhere", kind, ids).write()) is True


@pytest.mark.parametrize("everything", [False, True])
def test_an_organization_is_read_again(acme, everything):
    catalog.get_tenant(acme.id)
    Organization.objects.filter(pk=acme.id).update(region="elsewhere")
    say("tenants", organization_id=uuid.uuid4())
    assert catalog.get_tenant(acme.id).region != "elsewhere"

    say("everything") if everything else say("tenants", organization_id=acme.id)

    assert catalog.get_tenant(acme.id).region == "elsewhere"


@pytest.mark.parametrize("by", ["user_id", "organization_id", "membership_id", None])
def test_a_member_is_read_again(acme, bob, by):
    assert bob.get(ORGANIZATION).status_code == 200
    row = Membership.objects.get(user=acme.users["bob"])
    Membership.objects.filter(pk=row.pk).update(epoch=row.epoch + 1)
    say("members", user_id=acme.users["alice"].pk)
    assert bob.get(ORGANIZATION).status_code == 200
    ids = {"user_id": row.user_id, "organization_id": acme.id, "membership_id": row.pk}

    say("members", **({} if by is None else {by: ids[by]}))

    assert bob.get(ORGANIZATION).status_code == 401


@pytest.mark.parametrize("by", ["key_id", "organization_id", None])
def test_a_key_is_read_again(acme, by):
    issued = issue_key(acme.id, KeyTerms("Robot", "editor"), by=ACTOR)
    get_key_holder(issued.secret)
    type(issued.row).objects.filter(pk=issued.row.pk).update(role="viewer")
    say("api_keys", key_id=uuid.uuid4())
    assert get_key_holder(issued.secret).role == "editor"
    ids = {"key_id": issued.row.pk, "organization_id": acme.id}

    say("api_keys", **({} if by is None else {by: ids[by]}))

    assert get_key_holder(issued.secret).role == "viewer"


def test_members_are_counted_again(acme):
    assert count_members(acme.id) == 3
    Membership.objects.filter(user=acme.users["vera"]).delete()
    assert count_members(acme.id) == 3

    say("member_counts", organization_id=acme.id)

    assert count_members(acme.id) == 2


@pytest.mark.parametrize("by", ["organization_id", None])
def test_settings_are_read_again(acme, globex, settings, by):
    settings.TENANCY_CATALOG_TTL = 60
    assert settings_of(acme.id) == {}
    Organization.objects.filter(pk=acme.id).update(settings={"theme": "dark"})
    say("settings", organization_id=globex.id)
    assert settings_of(acme.id) == {}

    say("settings", **({} if by is None else {by: acme.id}))

    assert settings_of(acme.id) == {"theme": "dark"}


def test_what_is_revoked_for_one_leaves_others_in_the_cache(acme, django_assert_num_queries):
    one, other = (issue_key(acme.id, KeyTerms(name, "editor"), by=ACTOR) for name in "ab")
    get_key_holder(one.secret)
    get_key_holder(other.secret)

    revoke_key(acme.id, one.row.pk, by=ACTOR)

    with django_assert_num_queries(0):
        get_key_holder(other.secret)


def test_every_kind_that_others_are_told_of_is_known():
    assert set(invalidation._changes) == {
        "tenants", "members", "api_keys", "member_counts", "settings",
    }  # fmt: skip
