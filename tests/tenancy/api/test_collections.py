"""The organization's collections over HTTP: API.md, section 4."""

import pytest

from tests.http import document_url, pointers, refused, send

pytestmark = pytest.mark.everywhere

COLLECTIONS = "/api/v1/collections"


def names(client):
    return [row["name"] for row in client.get(COLLECTIONS).json()["data"]]


def test_main_is_always_there(vera):
    assert names(vera) == ["main"]


def test_a_collection_is_created_and_listed_in_order(bob, acme, behind):
    before, created = behind.physical_names(), ("orders", "a-1_b")

    for name in created:
        answer = send(bob, "POST", COLLECTIONS, {"name": name})
        assert (answer.status_code, answer.json()) == (201, {"name": name})
        assert bob.get(answer["Location"]).json()["name"] == name

    assert names(bob) == ["a-1_b", "main", "orders"]
    made = {*before, *behind.names_of(acme.organization, *created)}
    assert behind.physical_names() == made


@pytest.mark.parametrize("name", ["main", "orders"])
def test_a_collection_that_is_there_is_a_conflict(bob, name):
    send(bob, "PUT", document_url("x", "orders"), {"n": 1})

    refused(send(bob, "POST", COLLECTIONS, {"name": name}), 409, "already_exists")

    assert bob.get(document_url("x", "orders")).status_code == 200


def test_a_name_outside_the_rule_is_refused_with_its_place(alice, behind):
    before = behind.physical_names()
    names_ = [
        "",
        "A",
        "1a",
        "_a",
        "a.b",
        "a$",
        "a b",
        "é",
        "a" * 64,
        "system.users",
        "a\0",
        "x" * 999,
    ]

    for name in names_:
        problem = refused(
            send(alice, "POST", COLLECTIONS, {"name": name}), 422, "validation_failed"
        )
        assert pointers(problem) == ["/name"]

    assert behind.physical_names() == before


@pytest.mark.once
@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": []}, {"name": {"$oid": "x"}}])
def test_a_name_is_needed_and_is_text(alice, body):
    problem = refused(send(alice, "POST", COLLECTIONS, body), 422, "validation_failed")

    assert pointers(problem) == ["/name"]


@pytest.mark.once
def test_an_unknown_field_comes_with_the_nearest_known(alice):
    answer = send(alice, "POST", COLLECTIONS, {"name": "orders", "nane": 1})

    problem = refused(answer, 422, "validation_failed")
    assert pointers(problem) == ["/nane"]
    assert "Did you mean “name”?" in problem["errors"][0]["message"]
    assert names(alice) == ["main"]


@pytest.mark.once
@pytest.mark.parametrize("body", [[], "orders", 5, None])
def test_a_body_that_is_no_object_is_refused(alice, body):
    problem = refused(send(alice, "POST", COLLECTIONS, body), 422, "validation_failed")

    assert pointers(problem) == [""]


def test_a_viewer_sees_and_does_not_create(vera, bob):
    send(bob, "POST", COLLECTIONS, {"name": "orders"})

    assert names(vera) == ["main", "orders"]
    refused(send(vera, "POST", COLLECTIONS, {"name": "more"}), 403, "permission_denied")
    refused(send(vera, "PUT", document_url("x", "more"), {}), 403, "permission_denied")
    assert names(vera) == ["main", "orders"]


def test_an_outsider_has_collections_of_its_own(alice, charlie):
    send(alice, "POST", COLLECTIONS, {"name": "orders"})

    assert names(charlie) == ["main"]
    assert send(charlie, "POST", COLLECTIONS, {"name": "orders"}).status_code == 201


def test_nobody_is_told_nothing(nobody, acme):
    refused(nobody.get(COLLECTIONS), 401, "not_authenticated")
    refused(send(nobody, "POST", COLLECTIONS, {"name": "orders"}), 401, "not_authenticated")


def test_the_plan_bounds_the_collections(alice, acme, settings):
    settings.TENANCY_MAX_COLLECTIONS = 2
    send(alice, "POST", COLLECTIONS, {"name": "orders"})

    for answer in (
        send(alice, "POST", COLLECTIONS, {"name": "more"}),
        send(alice, "PUT", document_url("x", "more"), {}),
    ):
        problem = refused(answer, 403, "plan_limit_reached")
        assert (problem["limit"], problem["used"], problem["name"]) == (2, 2, "collections")

    assert names(alice) == ["main", "orders"]
    assert send(alice, "PUT", document_url("x", "orders"), {}).status_code == 201
