"""Clusters are looked at, added, changed and removed; nobody sees a URI or waits for one."""

import os
import threading
import time

import pytest
from django.urls import reverse

from tenancy import encryption, lifecycle
from tenancy.admin import examinations
from tenancy.models import AuditEvent, Cluster, Organization, Placement, Plan
from tenancy.mongo.cluster_probe import Examination
from tests.environment import SECOND_URI
from tests.tenancy.admin.conftest import end_examinations, operator_who_may, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

CLUSTERS = "/admin/tenancy/cluster/"
ADD = f"{CLUSTERS}add/"
NOWHERE = "mongodb://tenant:s3cret-w0rd@127.0.0.1:1/?serverSelectionTimeoutMS=200"
EMPTY = {"region": "", "database": "", "dedicated_to": "", "ceiling": "", "note": ""}


def page_url(row):
    return reverse("admin:tenancy_cluster_change", args=[row.pk])


def traits_url(row):
    return reverse("admin:tenancy_cluster_traits", args=[row.pk])


def removal_url(row):
    return reverse("admin:tenancy_cluster_removal", args=[row.pk])


def sealed(alias, uri=NOWHERE, **traits):
    return Cluster.objects.create(alias=alias, uri_encrypted=encryption.encrypt(uri), **traits)


def test_the_list_shows_who_lives_there_and_how_full_it_is(operator, initech, second_cluster):
    Cluster.objects.filter(pk=second_cluster.pk).update(region="eu", ceiling=1)

    page = text_of(operator.get(CLUSTERS))

    assert page.count("Yes, in ") == 2
    assert "1 collection" in page
    assert "of 1, " in page
    assert "100 %" not in page or "full" in page
    assert 'aria-label="Collections and indexes: ' in page
    assert 'aria-label="Open files: ' in page


def test_the_page_shows_facts_problems_and_organizations(operator, initech):
    default = Cluster.objects.get()

    page = text_of(operator.get(page_url(default)))

    for shown in ("replica set", "round trip", "oplog", "connections", "org_initech"):
        assert shown in page
    assert reverse("admin:tenancy_organization_change", args=[initech.pk]) in page
    assert f"placement__cluster__id__exact={default.pk}" in page


def test_a_cluster_that_is_down_says_so_and_its_uri_nowhere(operator, initech):
    row = sealed("away", region="us")

    for url in (CLUSTERS, page_url(row), traits_url(row), removal_url(row), "/admin/"):
        shown = text_of(operator.get(url))
        assert "s3cret" not in shown
        assert "127.0.0.1:1" not in shown
        assert row.uri_encrypted not in shown
    examinations.look_at([row], wait_seconds=30)
    assert "It was not reached." in text_of(operator.get(page_url(row)))
    assert "No. It was not reached" in text_of(operator.get(CLUSTERS))


def test_a_cluster_that_does_not_answer_keeps_no_page_waiting(operator, initech, monkeypatch):
    asked, answer = [], threading.Event()

    def examine(uri):
        asked.append(uri)
        answer.wait(30)
        return Examination(problems=("It was not reached.",))

    monkeypatch.setattr(examinations, "examine_cluster", examine)
    monkeypatch.setattr(examinations, "WAIT_SECONDS", 0.2)
    rows = [sealed(f"silent-{n}", f"mongodb://127.0.0.1:1/{n}") for n in range(4)]
    began = time.monotonic()

    for _ in range(3):
        assert examinations.NOT_YET in text_of(operator.get(CLUSTERS))

    assert time.monotonic() - began < 4
    assert len(asked) == len(rows) + 1  # each once, the default one included
    answer.set()


def test_nobody_waits_twice_for_a_cluster_that_is_down(initech, monkeypatch):
    row, answer = sealed("away"), threading.Event()
    away = Examination(problems=("It was not reached.",))
    monkeypatch.setattr(examinations, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(examinations, "examine_cluster", lambda uri: away)
    examinations.look_at([row], wait_seconds=10)
    monkeypatch.setattr(examinations, "examine_cluster", lambda uri: answer.wait(30) and away)
    began = time.monotonic()

    look = examinations.look_at([row], wait_seconds=10)[row.pk]

    assert time.monotonic() - began < 5
    assert look.problems == away.problems
    answer.set()


def test_an_answer_is_kept_for_some_seconds(operator, initech, monkeypatch):
    asked = []
    examine = examinations.examine_cluster
    monkeypatch.setattr(
        examinations, "examine_cluster", lambda uri: asked.append(1) or examine(uri)
    )
    row = Cluster.objects.get()

    for _ in range(3):
        examinations.look_at([row], wait_seconds=10)

    assert len(asked) == 1


def test_what_breaks_an_examination_is_not_repeated(initech, monkeypatch, caplog):
    def explode(uri):
        raise ValueError(uri)

    monkeypatch.setattr(examinations, "examine_cluster", explode)
    row = sealed("odd")

    look = examinations.look_at([row], wait_seconds=10)[row.pk]

    assert look.problems == (examinations.BROKEN,)
    assert "s3cret" not in caplog.text
    assert "ValueError" in caplog.text


def test_examinations_under_way_are_bounded(initech, monkeypatch):
    places = threading.BoundedSemaphore(1)
    answer = threading.Event()
    monkeypatch.setattr(examinations, "_places", places)
    monkeypatch.setattr(
        examinations, "examine_cluster", lambda uri: answer.wait(30) and Examination()
    )
    rows = [sealed(f"silent-{n}", f"mongodb://127.0.0.1:1/{n}") for n in range(3)]

    looks = examinations.look_at(rows, wait_seconds=0.1)

    threads = [each for each in threading.enumerate() if each.name == "examination"]
    assert (len(threads), len(looks)) == (1, 3)
    monkeypatch.setattr(examinations, "_places", threading.BoundedSemaphore(1))
    answer.set()
    end_examinations()
    assert places.acquire(blocking=False)  # given back to where it was taken


def test_a_list_of_clusters_costs_the_same_for_many(
    operator, initech, django_assert_max_num_queries, monkeypatch
):
    monkeypatch.setattr(examinations, "examine_cluster", lambda uri: Examination())
    for n in range(30):
        owner = Organization.objects.create(
            name=f"N {n}", slug=f"n-{n}", status="active", plan=Plan.objects.get()
        )
        row = sealed(f"c-{n}", dedicated_to=owner)
        Placement.objects.create(
            organization=owner, kind="database", cluster=row, namespace=f"org_{owner.pk.hex}"
        )

    with django_assert_max_num_queries(12):
        operator.get(CLUSTERS)


def test_a_cluster_is_added_through_the_lifecycle(operator, root, initech):
    given = EMPTY | {"alias": "second", "uri": os.environ[SECOND_URI], "region": "eu"}

    answer = operator.post(ADD, given | {"dedicated_to": "initech", "ceiling": "500"})

    row = Cluster.objects.get(alias="second")
    assert answer.url == page_url(row)
    assert (row.region, row.ceiling, row.accepts_new) == ("eu", 500, False)
    assert row.dedicated_to == initech
    event = AuditEvent.objects.get(action="cluster.added")
    assert event.actor == f"user:{root.pk}"


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"alias": "Not Good"}, "alias", "An alias is 1 to 48"),
        ({"alias": "default"}, "uri", "is MONGODB_URI"),
        ({"alias": ""}, "alias", "This field is required"),
        ({"region": "<b>"}, "region", "A region is up to 48"),
        ({"database": "admin"}, "database", "cannot be the database"),
        ({"dedicated_to": "nobody"}, "dedicated_to", "There is no organization “nobody”."),
        ({"ceiling": "0"}, "ceiling", "greater than or equal to 1"),
        ({"uri": ""}, "uri", "This field is required"),
        ({"uri": "http://s3cret@x/"}, "uri", "is no MongoDB URI"),
        ({"uri": NOWHERE}, "uri", "It was not reached"),
        ({"uri": "mongodb://s3cret\x00@x/"}, "uri", "Null characters"),
        ({"uri": "mongodb://s3cret" + "x" * 9_000}, "uri", "at most 8192"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(operator, initech, given, field, said):
    whole = EMPTY | {"alias": "second", "uri": os.environ[SECOND_URI]} | given

    page = operator.post(ADD, whole)

    assert page.status_code == 200
    assert said in str(page.context["form"].errors[field])
    assert "s3cret" not in text_of(page)
    assert os.environ[SECOND_URI] not in text_of(page)
    assert Cluster.objects.count() == 1


def test_a_cluster_that_is_away_is_added_by_force(operator, initech):
    operator.post(ADD, EMPTY | {"alias": "away", "uri": NOWHERE, "force": "on"})

    assert Cluster.objects.filter(alias="away").exists()


def test_the_uri_is_typed_into_a_password_field(operator, second_cluster):
    for url in (ADD, traits_url(second_cluster)):
        page = text_of(operator.get(url))
        assert '<input type="password" name="uri"' in page
        assert os.environ[SECOND_URI] not in page


def test_a_change_without_a_uri_keeps_it(operator, second_cluster):
    given = EMPTY | {"region": "eu", "accepts_new": "on", "note": "for the EU", "uri": ""}

    answer = operator.post(traits_url(second_cluster), given)

    row = Cluster.objects.get(pk=second_cluster.pk)
    assert answer.url == page_url(row)
    assert (row.region, row.note, row.accepts_new) == ("eu", "for the EU", True)
    assert encryption.decrypt(row.uri_encrypted) == os.environ[SECOND_URI]


def test_a_change_that_is_wrong_for_who_lives_there_is_refused(operator, initech, hooli):
    default = Cluster.objects.get()
    given = EMPTY | {"accepts_new": "on", "dedicated_to": "initech"}

    page = operator.post(traits_url(default), given)

    assert "Other organizations live there." in str(page.context["form"].errors["dedicated_to"])
    assert Cluster.objects.get().dedicated_to is None


def test_a_new_uri_is_examined(operator, second_cluster):
    given = EMPTY | {"accepts_new": "on", "uri": NOWHERE}

    page = operator.post(traits_url(second_cluster), given)

    assert "It was not reached" in str(page.context["form"].errors["uri"])
    row = Cluster.objects.get(pk=second_cluster.pk)
    assert encryption.decrypt(row.uri_encrypted) == os.environ[SECOND_URI]


def test_a_cluster_is_removed_by_its_alias_typed(operator, root, second_cluster):
    page = operator.post(removal_url(second_cluster), {"alias": "default"})
    assert "The alias is “second”." in text_of(page)
    assert Cluster.objects.filter(pk=second_cluster.pk).exists()

    assert operator.post(removal_url(second_cluster), {"alias": "second"}).url == CLUSTERS
    assert not Cluster.objects.filter(pk=second_cluster.pk).exists()
    assert AuditEvent.objects.get(action="cluster.removed").actor == f"user:{root.pk}"
    assert operator.post(removal_url(second_cluster), {"alias": "second"}).status_code == 404


def test_a_cluster_with_organizations_is_not_removed(operator, second_cluster):
    row = lifecycle.create_organization("Initech", by="command:test")
    Placement.objects.filter(organization=row).update(cluster=second_cluster)

    page = operator.post(removal_url(second_cluster), {"alias": "second"})

    assert "1 organizations live on the cluster “second”." in text_of(page)


def test_the_default_cluster_stays(operator, initech):
    default = Cluster.objects.get()

    page = operator.post(removal_url(default), {"alias": "default"})

    assert "stays: it is the one of MONGODB_URI" in text_of(page)
    assert "Remove" not in [tool.label for tool in operator.get(page_url(default)).context["tools"]]


def test_a_get_changes_nothing(operator, second_cluster):
    before = Cluster.objects.values().get(pk=second_cluster.pk)
    for url in (traits_url(second_cluster), removal_url(second_cluster)):
        operator.get(url, {"alias": "second", "region": "us", "uri": NOWHERE})
    operator.get(ADD, {"alias": "x", "uri": NOWHERE})

    assert Cluster.objects.values().get(pk=second_cluster.pk) == before
    assert Cluster.objects.count() == 2


def test_each_act_on_a_cluster_needs_its_permission(second_cluster):
    viewer = operator_who_may("view_cluster", "change_organization")
    urls = [traits_url(second_cluster), removal_url(second_cluster), ADD]

    assert viewer.get(page_url(second_cluster)).context["tools"] == []
    for url in urls:
        assert viewer.get(url).status_code == 403
        assert viewer.post(url, {"alias": "second"}).status_code == 403
    changer = operator_who_may("change_cluster")
    assert changer.get(traits_url(second_cluster)).status_code == 200
    assert changer.post(removal_url(second_cluster), {"alias": "second"}).status_code == 403
    assert Cluster.objects.count() == 2
