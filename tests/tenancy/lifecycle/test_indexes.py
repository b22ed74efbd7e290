"""Indexes are declared in the catalog, then built; who dies in between has lost nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tenancy import catalog, lifecycle
from tenancy.exceptions import (
    AlreadyExists,
    ClusterFull,
    CollectionNotFound,
    Conflict,
    NotFound,
    OperationRunning,
    OutcomeUnknown,
    PlacementUnsupported,
    PlanLimitReached,
    ValidationFailed,
)
from tenancy.journal import begin_operation
from tenancy.lifecycle import indexes as acts
from tenancy.lifecycle.index_rules import checked_spec
from tenancy.lifecycle.renaming import RENAME
from tenancy.models import AuditEvent, Index
from tenancy.mongo import provisioning
from tenancy.mongo.indexes import IndexSpec
from tests.conftest import ACTOR
from tests.placements import place

STATUS = IndexSpec("", (("status", 1),))
EMAIL = IndexSpec("", (("email", 1),), unique=True)


def declare(cast, spec=STATUS, collection="main"):
    return lifecycle.declare_index(cast.id, collection, spec, by=ACTOR)


def built(mongo, name="org_acme"):
    return sorted(set(mongo[name].index_information()) - {"_id_"})


def declared():
    return list(Index.objects.values_list("name", flat=True))


def test_an_index_is_in_the_catalog_and_in_mongodb(acme, mongo):
    spec, created = declare(acme)

    assert (spec.name, created) == ("status_1", True)
    assert declared() == built(mongo) == ["status_1"]
    assert AuditEvent.objects.filter(action="index.created").count() == 1


def test_the_very_same_one_is_there_already(acme, mongo):
    declare(acme)

    assert declare(acme) == (checked_spec(STATUS), False)
    assert declared() == ["status_1"]


def test_another_one_in_its_place_is_refused(acme, mongo):
    declare(acme)

    for keys, name in (((("status", 1),), "mine"), ((("other", 1),), "status_1")):
        with pytest.raises(AlreadyExists):
            declare(acme, IndexSpec(name, keys))

    assert declared() == built(mongo) == ["status_1"]


def test_duplicates_leave_no_declaration(acme, mongo):
    mongo["org_acme"].insert_many([{"email": "a"}, {"email": "a"}])

    with pytest.raises(AlreadyExists, match="email_1"):
        declare(acme, EMAIL)

    assert declared() == built(mongo) == []


def test_arrays_in_two_fields_leave_no_declaration(acme, mongo):
    mongo["org_acme"].insert_one({"a": [1], "b": [2]})

    with pytest.raises(Exception, match="hold arrays"):
        declare(acme, IndexSpec("", (("a", 1), ("b", 1))))

    assert declared() == built(mongo) == []


def test_one_that_an_operator_made_of_another_definition_leaves_no_declaration(acme, mongo):
    mongo["org_acme"].create_index([("status", -1)], name="status_1")

    with pytest.raises(Conflict):
        declare(acme)

    assert declared() == []


def test_a_collection_has_at_most_sixteen(acme, mongo):
    for number in range(16):
        declare(acme, IndexSpec("", ((f"n{number}", 1),)))

    with pytest.raises(PlanLimitReached) as caught:
        declare(acme)

    assert caught.value.extra == {"limit": 16, "used": 16, "name": "indexes"}
    assert len(built(mongo)) == 16


def test_a_build_of_unknown_outcome_keeps_the_declaration_and_is_finished(acme, mongo, monkeypatch):
    monkeypatch.setattr(acts, "BUILD_SECONDS", 1e-6)
    with pytest.raises(OutcomeUnknown):
        declare(acme)

    assert (declared(), built(mongo)) == (["status_1"], [])
    assert list(lifecycle.find_missing_indexes(acme.id)) == ["main"]
    monkeypatch.setattr(acts, "BUILD_SECONDS", 60)
    assert lifecycle.build_missing_indexes(acme.id) == 1
    assert built(mongo) == ["status_1"]
    assert lifecycle.build_missing_indexes(acme.id) == 0


def test_removing_takes_it_from_both(acme, mongo):
    declare(acme)

    lifecycle.remove_index(acme.id, "main", "status_1", by=ACTOR)

    assert declared() == built(mongo) == []
    with pytest.raises(NotFound):
        lifecycle.remove_index(acme.id, "main", "status_1", by=ACTOR)


def test_what_an_operator_made_is_not_removed(acme, mongo):
    mongo["org_acme"].create_index("n")

    with pytest.raises(NotFound):
        lifecycle.remove_index(acme.id, "main", "n_1", by=ACTOR)

    assert built(mongo) == ["n_1"]


def test_an_operation_under_way_is_waited_for_by_the_client(acme, mongo):
    declare(acme)
    begin_operation(RENAME, acme.organization, {}, by=ACTOR, leased=False)

    for act in (
        lambda: declare(acme, EMAIL),
        lambda: lifecycle.remove_index(acme.id, "main", "status_1", by=ACTOR),
    ):
        with pytest.raises(OperationRunning):
            act()

    assert declared() == built(mongo) == ["status_1"]


def test_indexes_travel_with_a_rename(acme, mongo):
    declare(acme)

    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    assert built(mongo, "org_umbrella") == ["status_1"]
    assert lifecycle.find_missing_indexes(acme.id) == {}


def test_of_many_that_declare_one_index_one_makes_it(acme, mongo):
    barrier = threading.Barrier(6)

    def run(_):
        barrier.wait()
        return declare(acme)[1]

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(run, range(6))) == [False] * 5 + [True]

    assert declared() == built(mongo) == ["status_1"]


def test_declaring_and_removing_at_once_leaves_the_same_in_both(acme, mongo):
    barrier = threading.Barrier(2)

    def run(act):
        for _ in range(8):
            barrier.wait()
            with suppress(NotFound, Conflict):
                act()

    remove = lambda: lifecycle.remove_index(acme.id, "main", "status_1", by=ACTOR)  # noqa: E731
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, [lambda: declare(acme), remove]))
    lifecycle.build_missing_indexes(acme.id)

    assert declared() == built(mongo)


def test_a_missing_collection_has_none(acme, mongo):
    with pytest.raises(CollectionNotFound):
        declare(acme, collection="notes")

    assert mongo.list_collection_names() == ["org_acme"]


@pytest.mark.parametrize("spec", [EMAIL, IndexSpec("", (("at", 1),), ttl_seconds=60)])
def test_a_shared_collection_refuses_what_it_cannot_have_with_the_remedy(acme, mongo, spec):
    place(acme.organization, "shared")

    with pytest.raises(PlacementUnsupported) as caught:
        declare(acme, spec)

    assert "move_organization acme --to collection" in caught.value.hint
    assert declared() == []


def test_a_shared_collection_keeps_the_definition(acme, mongo):
    place(acme.organization, "shared")

    declare(acme)

    assert lifecycle.declared_indexes(acme.id) == {"main": [checked_spec(STATUS)]}
    assert lifecycle.find_missing_indexes(acme.id) == {}
    assert built(mongo, "shared") == []


@pytest.mark.parametrize("kind", ["collection", "database"])
def test_other_kinds_build_it_in_their_own_place(acme, mongo_client, kind):
    place(acme.organization, kind)

    declare(acme)

    address = catalog.address_of(acme.organization.placement)
    assert built(mongo_client[address.database], address.physical("main")) == ["status_1"]
    provisioning.drop_namespace(address)


# --- what an index may be


@pytest.mark.parametrize(
    ("keys", "pointer"),
    [
        ((), "/keys"),
        (tuple((f"n{n}", 1) for n in range(9)), "/keys"),
        ((("a", 1), ("a", -1)), "/keys/1/0"),
        ((("a", 2),), "/keys/0/1"),
        ((("a", 0),), "/keys/0/1"),
        ((("", 1),), "/keys/0/0"),
        ((("a..b", 1),), "/keys/0/0"),
        ((("a.", 1),), "/keys/0/0"),
        ((("$a", 1),), "/keys/0/0"),
        ((("a.$b", 1),), "/keys/0/0"),
        ((("$**", 1),), "/keys/0/0"),
        ((("a\0", 1),), "/keys/0/0"),
        ((("_id", 1),), "/keys/0/0"),
        ((("_id.o", 1),), "/keys/0/0"),
        ((("a", 1), ("_id.k.x", 1)), "/keys/1/0"),
        ((("_meta.by", 1),), "/keys/0/0"),
        ((("_secret", 1),), "/keys/0/0"),
        ((("a" * 201, 1),), "/keys/0/0"),
    ],
)
def test_keys_outside_the_rules_are_refused_with_their_place(keys, pointer):
    with pytest.raises(ValidationFailed) as caught:
        checked_spec(IndexSpec("", keys))

    assert [error.pointer for error in caught.value.errors] == [pointer]


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [((("a", 1),), 0), ((("a", 1),), 2**31), ((("a", 1), ("b", 1)), 60)],
)
def test_a_time_to_live_outside_the_rules_is_refused(keys, seconds):
    with pytest.raises(ValidationFailed) as caught:
        checked_spec(IndexSpec("", keys, ttl_seconds=seconds))

    assert [error.pointer for error in caught.value.errors] == ["/ttl_seconds"]


@pytest.mark.parametrize("name", ["a b", "a/b", "$a", "é", "x" * 129, ".."])
def test_a_name_outside_the_rules_is_refused(name):
    with pytest.raises(ValidationFailed) as caught:
        checked_spec(IndexSpec(name, (("a", 1),)))

    assert [error.pointer for error in caught.value.errors] == ["/name"]


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ((("status", 1),), "status_1"),
        ((("a.b", 1), ("_meta.updated_at", -1)), "a.b_1__meta.updated_at_-1"),
        ((("größe", 1),), "index_"),
        (tuple((f"{n}" * 40, 1) for n in range(4)), "index_"),
    ],
)
def test_names_are_made_as_mongodb_does_where_they_can_be(keys, name):
    made = checked_spec(IndexSpec("", keys)).name

    assert made.startswith(name)
    assert len(made) <= 128
    assert checked_spec(IndexSpec("", keys)).name == made


def test_a_cluster_that_is_full_takes_no_index_and_no_collection(acme, mongo, monkeypatch):
    from tenancy.lifecycle import collections

    def refuse(cluster, collections, indexes):
        raise ClusterFull

    monkeypatch.setattr(collections, "assert_capacity", refuse)

    for act in (
        lambda: declare(acme),
        lambda: lifecycle.declare_collection(acme.id, "notes", by=ACTOR),
    ):
        with pytest.raises(ClusterFull):
            act()

    assert declared() == []
    assert mongo.list_collection_names() == ["org_acme"]
    place(acme.organization, "shared")
    assert declare(acme)[1]  # there it takes nothing
