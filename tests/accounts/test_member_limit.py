"""How many members a plan allows: seen by everybody, and held against invitations, too."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Invitation, Membership
from tenancy import catalog
from tenancy.models import Plan
from tests.http import refused

pytestmark = pytest.mark.usefixtures("quick")

USAGE, ORGANIZATION = "/api/v1/organization/usage", "/api/v1/organization"
INVITATIONS = f"{ORGANIZATION}/invitations"


def allow(members):
    Plan.objects.update(max_members=members)
    catalog.clear_cache()


def invite(client, who):
    return client.post(INVITATIONS, {"email": f"{who}@example.org", "role": "viewer"})


def seen_by(client):
    usage, organization = client.get(USAGE).json(), client.get(ORGANIZATION).json()
    shown = (usage["members"], usage["limits"]["members"])
    assert (organization["usage"]["members"], organization["limits"]["members"]) == shown
    return shown


def test_members_are_shown_beside_what_the_plan_allows(acme, vera):
    assert seen_by(vera) == (3, None)

    allow(5)

    assert seen_by(vera) == (3, 5)


def test_count_follows_who_comes_and_goes(acme, alice, bob, settings):
    settings.ACCOUNTS_ROW_TTL = 60
    assert seen_by(alice) == (3, None)

    assert bob.post("/api/v1/organization/leave").status_code == 204
    assert seen_by(alice) == (2, None)
    vera = Membership.objects.get(user=acme.users["vera"])
    assert alice.delete(f"{ORGANIZATION}/members/{vera.pk}").status_code == 204

    assert seen_by(alice) == (1, None)


def test_invitation_is_refused_where_nobody_could_accept_it(acme, alice):
    allow(4)
    assert invite(alice, "first").status_code == 201

    problem = refused(invite(alice, "second"), 403, "plan_limit_reached")

    assert (problem["limit"], problem["used"], problem["name"]) == (4, 4, "members")
    assert "1 open invitation" in problem["detail"]
    assert Invitation.objects.count() == 1


def test_invitation_that_was_taken_back_makes_room(acme, alice):
    allow(4)
    made = invite(alice, "first").json()

    alice.delete(f"{INVITATIONS}/{made['id']}")

    assert invite(alice, "second").status_code == 201


def test_expired_invitation_is_not_sent_again_into_a_full_organization(acme, alice):
    made = invite(alice, "first").json()
    early = acme.organization.created_at
    Invitation.objects.update(sent_at=early, expires_at=early)
    allow(3)

    refused(alice.post(f"{INVITATIONS}/{made['id']}/resend"), 403, "plan_limit_reached")


def test_open_invitation_is_sent_again_though_it_took_the_last_seat(acme, alice):
    allow(4)
    made = invite(alice, "first").json()
    Invitation.objects.update(sent_at=timezone.now() - timedelta(minutes=2))

    assert alice.post(f"{INVITATIONS}/{made['id']}/resend").status_code == 200
