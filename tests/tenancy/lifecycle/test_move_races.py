"""What is chosen for a move may be gone a moment later."""

import os

import pytest

from tenancy import encryption, lifecycle
from tenancy.exceptions import ValidationFailed
from tenancy.lifecycle import moving
from tenancy.models import Cluster, Placement
from tests.conftest import ACTOR
from tests.environment import SECOND_URI

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


@pytest.fixture
def taken_meanwhile(acme, globex, second_cluster, monkeypatch):
    """Two closed clusters; the first one that is chosen becomes globex's own right after that."""
    sealed = encryption.encrypt(f"{os.environ[SECOND_URI]}&appName=third")
    Cluster.objects.create(alias="third", uri_encrypted=sealed, accepts_new=False)
    own, chosen = moving.choose_target, []

    def choose_and_lose(*arguments):
        target = own(*arguments)
        if not chosen:
            rows = Cluster.objects.filter(alias=target.cluster)
            rows.update(dedicated_to=globex.organization)
        chosen.append(target.cluster)
        return target

    monkeypatch.setattr(moving, "choose_target", choose_and_lose)
    return chosen


def test_another_cluster_is_chosen_when_the_first_was_taken_meanwhile(acme, taken_meanwhile):
    lifecycle.move_organization(acme.id, "cluster", by=ACTOR)

    assert len(set(taken_meanwhile)) == 2
    assert Placement.objects.get(organization=acme.id).cluster.alias == taken_meanwhile[1]


def test_a_cluster_that_was_named_is_not_replaced_by_another(acme, taken_meanwhile):
    with pytest.raises(ValidationFailed, match="another organization's own"):
        lifecycle.move_organization(acme.id, "cluster", cluster="second", by=ACTOR)

    assert Placement.objects.get(organization=acme.id).kind == "collection"
