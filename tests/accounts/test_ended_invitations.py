"""Invitations that ended are forgotten: after a while, or with the account of their address."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import ended_invitations
from accounts.ended_invitations import prune_invitations
from accounts.models import Invitation
from tenancy.lifecycle.signals import housekeeping
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("quick")

ME = "/api/v1/me"


def ago(**delta):
    return timezone.now() - timedelta(**delta)


def make(cast, email="mary@example.com", **changes):
    """Make an invitation that is open until tomorrow, unless the changes say otherwise."""
    fields = {"sent_at": timezone.now(), "expires_at": ago(days=-1)} | changes
    number = Invitation.objects.count()
    return Invitation.objects.create(
        organization=cast.organization, email=email, role="viewer", digest=f"{cast.slug}{number}",
        **fields,
    ).pk  # fmt: skip


def left():
    return set(Invitation.objects.values_list("pk", flat=True))


def test_what_ended_long_ago_goes_and_the_rest_stays(acme):
    make(acme, "a@example.com", accepted_at=ago(days=91))
    make(acme, "b@example.com", revoked_at=ago(days=91))
    make(acme, "c@example.com", expires_at=ago(days=91))
    stay = {
        make(acme, "d@example.com", accepted_at=ago(days=89)),
        make(acme, "e@example.com", revoked_at=ago(days=89)),
        make(acme, "f@example.com", expires_at=ago(days=89)),
        make(acme, "g@example.com"),
    }

    assert prune_invitations() == 3

    assert left() == stay


def test_housekeeping_prunes_a_bounded_number(acme, monkeypatch):
    monkeypatch.setattr(ended_invitations, "BATCH_ROWS", 2)
    monkeypatch.setattr(ended_invitations, "HOUSEKEEPING_MAX_BATCHES", 2)
    for number in range(5):
        make(acme, f"p{number}@example.com", expires_at=ago(days=91))

    housekeeping.send(None)
    assert len(left()) == 1

    housekeeping.send(None)
    assert not left()


def test_one_that_is_sent_again_at_that_moment_stays(acme, monkeypatch):
    pk = make(acme, expires_at=ago(days=91))
    chosen = Invitation.objects.filter
    calls = []

    def filter_and_renew(*args, **kwargs):
        if kwargs:  # the batch is chosen, and about to be removed
            calls.append(kwargs)
            chosen(pk=pk).update(expires_at=ago(days=-7))
        return chosen(*args, **kwargs)

    monkeypatch.setattr(Invitation.objects, "filter", filter_and_renew)

    assert prune_invitations(max_batches=1) == 0
    assert calls
    assert left() == {pk}


def test_address_of_a_deleted_user_stays_in_no_ended_invitation(acme, globex, bob):
    for changes in ({"accepted_at": ago(days=1)}, {"revoked_at": ago(days=1)}):
        make(globex, "bob@example.com", **changes)
    make(acme, "bob@example.com", expires_at=ago(days=1))
    offer = make(globex, "bob@example.com")
    others = make(globex, "vera@example.com", revoked_at=ago(days=1))

    assert bob.delete(ME, {"current_password": PASSWORD}).status_code == 204

    assert left() == {offer, others}
