"""A pause that its runner does not live to end."""

import time

import pytest
from django.utils import timezone

from tenancy import catalog, lifecycle
from tenancy.access import with_collection
from tenancy.exceptions import PlacementDisturbed
from tenancy.lifecycle import moving, switching
from tenancy.lifecycle.pause import announce_pause
from tenancy.models import Organization, Placement
from tests.conftest import ACTOR

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


def write(organization_id):
    with_collection(organization_id, "main", lambda each: each.replace(1, {"n": 1}), by=ACTOR)


def test_the_pause_of_a_move_whose_runner_died_lapses(acme):
    run = moving.begin_move(acme.id, "database", by=ACTOR)
    announce_pause(run, max_seconds=0.4)
    row = Organization.objects.get(pk=acme.id)
    while timezone.now() < row.pause_from:
        time.sleep(0.01)
    is_paused = catalog.get_tenant(acme.id, max_age=0).is_paused
    assert is_paused or timezone.now() >= row.pause_until

    write(acme.id)  # nobody goes on with the move

    assert timezone.now() >= row.pause_until
    assert Placement.objects.get(organization=acme.id).kind == "collection"


def test_a_move_takes_no_effect_once_its_pause_may_have_lapsed(acme, monkeypatch):
    write(acme.id)
    monkeypatch.setattr(switching, "COMMIT_SECONDS", 60.0)  # as if it came to the commit too late
    monkeypatch.setattr("tenancy.operations.RETRY_DELAYS_SECONDS", ())

    with pytest.raises(PlacementDisturbed, match="pause"):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    row = Organization.objects.get(pk=acme.id)
    assert (row.pause_from, row.pause_until) == (None, None)
    assert Placement.objects.get(organization=acme.id).kind == "collection"
    write(acme.id)
