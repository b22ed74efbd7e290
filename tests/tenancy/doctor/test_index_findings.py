"""Indexes: declared and not built, built and not declared, and not the same."""

from datetime import UTC, datetime

import pytest

from tenancy import catalog, lifecycle
from tenancy.mongo import indexes
from tenancy.mongo.indexes import IndexSpec, list_indexes
from tests.conftest import ACTOR
from tests.tenancy.doctor.checking import check, codes, left_alone, mended

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("patient")]

SPEC = IndexSpec("n_1", (("n", 1),))
OWN = ["collection-name", "collection-id", "database", "cluster"]
at_own_places = pytest.mark.parametrize("place", OWN, indirect=True)


def warnings(*, repair=False):
    found = check(repair=repair).warnings
    return [each for each in found if each.code == "undeclared_index"]


def place_of(cast):
    cast.organization.refresh_from_db()
    return catalog.address_of(cast.organization.placement)


@at_own_places
def test_an_index_that_was_not_built_is_built(acme, globex, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(indexes, "build_indexes", lambda *_, **__: None)
        lifecycle.declare_index(acme.id, "main", SPEC, by=ACTOR)

    mended("missing_index")

    assert list_indexes(place_of(acme), "main") == [SPEC]


@at_own_places
def test_an_index_that_somebody_made_is_a_warning_and_adopted(acme, globex, behind):
    made = {"unique": True, "partialFilterExpression": {"n": {"$gt": 5}}}
    behind.stored_of(acme.organization).create_index("n", **made)
    assert ([each.code for each in warnings()], codes()) == (["undeclared_index"], [])

    assert [(each.repaired, each.reason) for each in warnings(repair=True)] == [(True, "")]

    (spec,) = lifecycle.declared_indexes(acme.id)["main"]
    assert [spec] == list_indexes(place_of(acme), "main")
    assert (warnings(), codes()) == ([], [])


def test_an_index_that_the_catalog_cannot_keep_is_left_alone(acme, behind):
    odd = {"partialFilterExpression": {"at": {"$gt": datetime(2026, 1, 1, tzinfo=UTC)}}}
    behind.stored_of(acme.organization).create_index("n", **odd)

    (warning,) = warnings(repair=True)

    assert (warning.repaired, "cannot keep" in warning.reason) == (False, True)


@at_own_places
def test_an_index_that_is_not_as_it_is_declared_is_told(acme, behind):
    lifecycle.declare_index(acme.id, "main", SPEC, by=ACTOR)
    indexes.drop_index(place_of(acme), "main", "n_1")
    behind.stored_of(acme.organization).create_index("n", unique=True, name="n_1")

    left_alone("wrong_index")


def test_a_shared_collection_lacks_no_index(acme):
    lifecycle.declare_index(acme.id, "main", SPEC, by=ACTOR)
    lifecycle.move_organization(acme.id, "shared", by=ACTOR)

    assert (codes(), warnings()) == ([], [])
