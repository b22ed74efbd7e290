"""One collection over HTTP: its size, its indexes, its end."""

import pytest

from tests.http import document_url, refused, send

pytestmark = pytest.mark.everywhere


def names(client):
    return [row["name"] for row in client.get("/api/v1/collections").json()["data"]]


@pytest.fixture
def orders(bob):
    for number in range(3):
        send(bob, "PUT", document_url(f"o{number}", "orders"), {"n": number})
    return "/api/v1/collections/orders"


def test_a_collection_tells_its_size_and_its_indexes(alice, vera, orders, place):
    send(alice, "POST", f"{orders}/indexes", {"keys": [["n", 1]]})

    body = vera.get(orders).json()

    assert body["name"] == "orders"
    if place.kind == "shared":  # they would have to be counted
        assert (body["documents"], body["bytes"]) == (None, None)
    else:
        assert (body["documents"], 0 < body["bytes"] < 300) == (3, True)
    assert [index["name"] for index in body["indexes"]] == ["n_1"]
    assert set(body) == {"name", "created_at", "documents", "bytes", "indexes", "schema_mode"}


def test_a_collection_that_is_dropped_is_gone(alice, vera, orders, acme, behind):
    answer = alice.delete(f"{orders}?confirm=orders")

    assert (answer.status_code, answer.json()["kind"]) == (202, "drop_collection")
    assert names(vera) == ["main"]
    refused(vera.get(orders), 404, "not_found")
    refused(vera.get(f"{orders}/documents"), 404, "not_found")
    refused(alice.delete(f"{orders}?confirm=orders"), 404, "not_found")
    assert behind.physical_names() == behind.names_of(acme.organization, "main")
    assert behind.stored_of(acme.organization, "orders").find() == []


@pytest.mark.parametrize("confirm", ["", "?confirm=", "?confirm=main", "?confirm=Orders"])
def test_a_drop_has_to_be_confirmed_by_the_name(alice, orders, acme, behind, confirm):
    refused(alice.delete(orders + confirm), 422, "validation_failed")

    assert behind.stored_of(acme.organization, "orders").count_documents({}) == 3


@pytest.mark.once
def test_main_is_not_dropped(alice):
    problem = refused(
        alice.delete("/api/v1/collections/main?confirm=main"), 422, "validation_failed"
    )

    assert "always there" in problem["detail"]


@pytest.mark.once
def test_an_editor_may_not_drop(bob, orders):
    refused(bob.delete(f"{orders}?confirm=orders"), 403, "permission_denied")


def test_the_outsider_s_drop_finds_nothing(charlie, orders, acme, behind):
    refused(charlie.delete(f"{orders}?confirm=orders"), 404, "not_found")
    refused(charlie.get(orders), 404, "not_found")

    assert behind.stored_of(acme.organization, "orders").count_documents({}) == 3
