"""Where organizations are placed: by region, plan, kind and room."""

import pytest

from tenancy import lifecycle
from tenancy.exceptions import ClusterFull, ClusterUnavailable, ValidationFailed
from tenancy.lifecycle import capacity, placing
from tenancy.lifecycle.capacity import Capacity
from tenancy.lifecycle.placing import PlaceTaken, check_residency, choose_place, take_place
from tenancy.models import Cluster, Operation, Organization, OrganizationStatus, Plan
from tests.conftest import ACTOR

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick", "mongo")]

UNREACHABLE = "mongodb://127.0.0.1:1/?directConnection=true"


@pytest.fixture
def plan(mongo):
    return Plan.objects.create(code="p")


@pytest.fixture
def fullness(monkeypatch):
    """How full each cluster is, by its alias; an exception is raised."""
    shares = {}

    def capacity_of(cluster):
        share = shares.get(cluster.alias, 0.0)
        if isinstance(share, Exception):
            raise share
        return Capacity(int(share * 100), 100)

    monkeypatch.setattr(placing, "capacity_of", capacity_of)
    monkeypatch.setattr(placing, "assert_capacity", lambda cluster, *_: capacity_of(cluster))
    return shares


def make(alias, **fields):
    return Cluster.objects.create(alias=alias, **fields)


def chosen(*arguments, **options):
    return choose_place(*arguments, **options)[1].alias


def place(name, **wish):
    return lifecycle.create_organization(name, by=ACTOR, **wish)


def test_least_full_cluster_is_chosen(plan, fullness):
    make("a"), make("b"), make("c")
    fullness.update(a=0.5, b=0.2, c=0.3)

    assert choose_place(plan) == ("collection", Cluster.objects.get(alias="b"))


def test_clusters_that_are_closed_or_anothers_own_are_not_chosen(plan, fullness, acme):
    make("a", accepts_new=False), make("b", dedicated_to=acme.organization), make("c")
    Cluster.objects.filter(alias="default").update(accepts_new=False)

    assert chosen(plan) == "c"
    assert chosen(plan, organization=acme.organization) in {"b", "c"}


def test_region_is_kept_to(plan, fullness):
    make("a"), make("b", region="eu"), make("c", region="us")
    fullness.update(b=0.9)

    assert chosen(plan, "eu") == "b"
    with pytest.raises(ValidationFailed, match="no cluster in region “mars”"):
        choose_place(plan, "mars")


def test_region_of_the_plan_is_kept_to(fullness):
    make("a"), make("b", region="eu"), make("c", region="us")
    plan = Plan(code="p", region="eu")

    assert chosen(plan) == chosen(plan, "eu") == "b"
    with pytest.raises(ValidationFailed, match="plan “p” is for region “eu” only"):
        choose_place(plan, "us")


def test_region_without_an_open_cluster_says_so(plan, fullness):
    make("a"), make("b", region="eu", accepts_new=False)

    with pytest.raises(ClusterFull, match="no cluster in region “eu” that takes new"):
        choose_place(plan, "eu")


def test_kind_is_the_plans_unless_another_is_wanted(fullness):
    make("a")
    plan = Plan(code="p", default_kind="shared")

    assert choose_place(plan)[0] == "shared"
    assert choose_place(plan, kind="database")[0] == "database"


def test_cluster_that_is_not_reached_is_passed_over(plan, fullness):
    make("a"), make("b")
    fullness.update(a=ClusterUnavailable(), b=0.99)

    assert chosen(plan) == "b"
    fullness.update(b=ClusterUnavailable())
    with pytest.raises(ClusterUnavailable):
        choose_place(plan)


def test_cluster_that_was_not_reached_is_asked_last_for_a_while(plan, fullness, monkeypatch):
    make("a"), make("b")
    fullness.update(a=ClusterUnavailable(), b=0.99)
    choose_place(plan)
    fullness.update(a=0.0)

    assert chosen(plan) == "b"
    monkeypatch.setattr(placing, "UNREACHED_SECONDS", 0.0)
    assert chosen(plan) == "a"


# --- A cluster of one's own ---------------------------------------------------------------------


def test_own_cluster_is_an_empty_one_and_kept_ones_come_first(plan, fullness, acme):
    make("a"), make("b", accepts_new=False)
    fullness.update(b=0.9)

    assert chosen(plan, kind="cluster") == "b"
    Cluster.objects.get(alias="b").delete()
    assert chosen(plan, kind="cluster") == "a"
    Cluster.objects.get(alias="a").delete()
    with pytest.raises(ClusterFull, match="one organization's own"):
        choose_place(plan, kind="cluster")


def test_organization_gets_its_own_cluster_and_nobody_else_comes_there(second_cluster):
    acme = place("Acme", kind="cluster")

    second_cluster.refresh_from_db()
    assert acme.placement.cluster == second_cluster
    assert second_cluster.dedicated_to == acme
    assert place("Globex").placement.cluster.alias == "default"
    with pytest.raises(ClusterFull):
        place("Umbrella", kind="cluster")
    assert chosen(acme.plan, kind="cluster", organization=acme) == "second"


def test_own_cluster_is_free_again_when_the_creation_failed(second_cluster, monkeypatch):
    from tenancy.lifecycle import creation

    def fail(*_):
        raise ClusterUnavailable

    monkeypatch.setattr(creation.provisioning, "create_collection", fail)
    with pytest.raises(ClusterUnavailable):
        place("Acme", kind="cluster")

    second_cluster.refresh_from_db()
    assert second_cluster.dedicated_to is None


def test_cluster_of_a_purged_organization_is_free(plan, fullness, acme):
    make("a", dedicated_to=acme.organization, accepts_new=False)
    Organization.objects.filter(pk=acme.id).update(
        status=OrganizationStatus.PURGED, slug=None, name=""
    )

    assert chosen(plan, kind="cluster") == "a"


# --- Creation -----------------------------------------------------------------------------------


def test_organization_is_made_where_its_region_is(second_cluster, second_client, mongo, settings):
    Cluster.objects.filter(pk=second_cluster.pk).update(region="eu")

    row = place("Acme", region="eu")

    assert (row.region, row.placement.cluster.alias) == ("eu", "second")
    there = second_client[settings.TENANCY_DATABASE]
    assert there.list_collection_names() == [row.placement.namespace]
    assert mongo.list_collection_names() == []


@pytest.mark.parametrize("kind", ["shared", "collection", "database", "cluster"])
def test_every_kind_is_created(kind, second_cluster, naming):
    row = place("Acme", kind=kind)

    assert (row.status, row.placement.kind) == (OrganizationStatus.ACTIVE, kind)


def test_plan_decides_what_is_not_said(second_cluster):
    Cluster.objects.filter(pk=second_cluster.pk).update(region="eu")
    Plan.objects.create(code="tiny", default_kind="shared", region="eu")

    row = place("Acme", plan="tiny")

    assert (row.plan.code, row.region, row.placement.kind) == ("tiny", "eu", "shared")


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [({"plan": "gold"}, "/plan"), ({"region": "mars"}, "/region")],
)
def test_place_that_cannot_be_leaves_nothing_behind(wish, pointer):
    with pytest.raises(ValidationFailed) as caught:
        place("Acme", **wish)

    assert caught.value.errors[0].pointer == pointer
    assert (Organization.objects.count(), Operation.objects.count()) == (0, 0)


def test_other_place_is_chosen_when_the_first_one_is_gone(second_cluster, monkeypatch):
    from tenancy.lifecycle import creation

    lost = []

    def take(kind, cluster, organization):
        if not lost:
            lost.append(cluster)
            raise PlaceTaken
        take_place(kind, cluster, organization)

    monkeypatch.setattr(creation, "take_place", take)

    assert place("Acme").status == OrganizationStatus.ACTIVE


def test_chosen_cluster_that_was_closed_meanwhile_is_not_taken(acme, second_cluster):
    Cluster.objects.filter(pk=second_cluster.pk).update(accepts_new=False)

    with pytest.raises(PlaceTaken):
        take_place("collection", second_cluster, acme.organization)


# --- Residency ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "of_cluster", "may"),
    [("eu", "eu", True), ("eu", "us", False), ("eu", "", False), ("", "us", True)],
)
def test_data_stays_in_its_region(region, of_cluster, may):
    organization, cluster = Organization(region=region), Cluster(alias="x", region=of_cluster)

    if may:
        check_residency(organization, cluster)
    else:
        with pytest.raises(ValidationFailed, match="bound to region “eu”"):
            check_residency(organization, cluster)


def test_own_cluster_of_another_is_no_place(acme, globex):
    own = make("own", dedicated_to=acme.organization)

    check_residency(acme.organization, own)
    with pytest.raises(ValidationFailed, match="another organization's own"):
        check_residency(globex.organization, own)


def test_unreachable_cluster_refuses_and_nothing_is_left_behind(mongo, settings):
    capacity.forget_loads()
    settings.MONGODB_URI = UNREACHABLE

    with pytest.raises(ClusterUnavailable):
        place("Acme")

    assert (Organization.objects.count(), Operation.objects.count()) == (0, 0)
