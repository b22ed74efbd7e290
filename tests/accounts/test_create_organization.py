"""create_organization: an organization, with or without its owner, in one act."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Membership, User
from accounts.passwords import matches
from accounts.roles import Role
from tenancy import lifecycle
from tenancy.models import Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs_mongod]

GOOD = "correct horse 9 battery"


@pytest.fixture(autouse=True)
def no_given_password(monkeypatch, quick, mongo):
    monkeypatch.delenv("TENANTRY_OWNER_PASSWORD", raising=False)


def create(*arguments):
    out = StringIO()
    call_command("create_organization", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments):
    with pytest.raises(CommandError) as caught:
        create(*arguments)
    assert caught.value.returncode == 1
    return str(caught.value)


def test_organization_without_an_owner_has_no_people(mongo, naming):
    text = create("Acme")

    row = Organization.objects.get()
    namespace = row.placement.namespace
    assert text.startswith(f"Created “Acme”: slug acme, namespace {namespace}.")
    assert "no people yet" in text
    assert mongo.list_collection_names() == [namespace]
    assert not Membership.objects.exists()


def test_owner_gets_a_generated_password_that_is_shown_once():
    answer = json.loads(create("Acme", "--owner", " Alice@Example.com ", "--json"))

    membership = Membership.objects.get()
    assert (membership.user.email, membership.role) == ("alice@example.com", Role.OWNER)
    assert str(membership.organization_id) == answer["id"]
    assert matches(answer["owner"]["password"], membership.user)
    assert len(answer["owner"]["password"]) >= 20


def test_generated_password_is_in_the_text():
    text = create("Acme", "--owner", "alice@example.com")

    password = text.partition("with the password ")[2].partition(" ")[0]
    assert matches(password, User.objects.get())


def test_owner_gets_the_given_password_and_it_is_not_shown(monkeypatch):
    monkeypatch.setenv("TENANTRY_OWNER_PASSWORD", GOOD)

    text = create("Acme", "--owner", "alice@example.com", "--json")

    assert matches(GOOD, User.objects.get())
    assert GOOD not in text
    assert json.loads(text)["owner"]["password"] is None


def test_weak_given_password_is_refused_with_the_reason_and_nothing_is_created(monkeypatch):
    monkeypatch.setenv("TENANTRY_OWNER_PASSWORD", "short")

    assert "at least 10 characters" in refused("Acme", "--owner", "alice@example.com")

    assert (Organization.objects.count(), User.objects.count()) == (0, 0)


def test_existing_user_becomes_the_owner_and_keeps_the_password(monkeypatch):
    alice = User.objects.create_user("alice@example.com", GOOD)
    monkeypatch.setenv("TENANTRY_OWNER_PASSWORD", "another horse 7 staple")

    text = create("Acme", "--owner", "ALICE@example.com")

    assert Membership.objects.get().user == alice
    assert matches(GOOD, User.objects.get())
    assert "who had an account" in text


def test_inactive_user_cannot_become_an_owner():
    User.objects.create_user("alice@example.com", GOOD, is_active=False)

    assert "not active" in refused("Acme", "--owner", "alice@example.com")

    assert Organization.objects.count() == 0


def test_owner_without_an_address_is_refused():
    assert refused("Acme", "--owner", "alice") == "This is not an e-mail address."
    assert refused("Acme", "--owner", "") == "This is not an e-mail address."


def test_taken_name_leaves_no_owner_behind():
    lifecycle.create_organization("Acme", by="command:test")

    assert "taken" in refused("ACME", "--owner", "alice@example.com")

    assert (Organization.objects.count(), User.objects.count()) == (1, 0)


def test_creation_is_in_the_audit_as_the_command():
    create("Acme")

    event = Organization.objects.get().audit_events.get(action="organization.created")
    assert event.actor == "command:create_organization"
