"""Indexes of a collection over HTTP: API.md, section 4."""

import re
import threading
import time

import pytest

from tenancy import lifecycle
from tenancy.admission import Places
from tenancy.api import indexes as views
from tenancy.lifecycle import index_builds
from tenancy.lifecycle import indexes as acts
from tenancy.models import Index
from tests.http import document_url, pointers, refused, send
from tests.placements import place

INDEXES = "/api/v1/collections/main/indexes"
BUILDING = re.compile("^Index Build")


def create(client, body, path=INDEXES):
    return send(client, "POST", path, body)


def test_an_index_is_created_listed_and_removed(alice, vera, mongo):
    answer = create(alice, {"keys": [["status", 1], ["at", -1]], "sparse": True})

    expected = {
        "name": "status_1_at_-1",
        "keys": [["status", 1], ["at", -1]],
        "unique": False,
        "sparse": True,
        "ttl_seconds": None,
        "built": True,
        "failure": None,
    }
    assert (answer.status_code, answer.json()) == (201, expected)
    assert vera.get(INDEXES).json() == {"data": [expected]}
    assert "status_1_at_-1" in mongo["org_acme"].index_information()
    assert alice.delete(answer["Location"]).status_code == 204
    assert vera.get(INDEXES).json() == {"data": []}
    refused(alice.delete(answer["Location"]), 404, "not_found")


def test_the_very_same_one_again_is_no_conflict(alice):
    assert create(alice, {"keys": [["a", 1]]}).status_code == 201

    again = create(alice, {"keys": [["a", 1]], "unique": False})

    assert (again.status_code, "Location" in again) == (200, False)
    refused(create(alice, {"keys": [["a", 1]], "sparse": True}), 409, "already_exists")


def test_a_unique_index_is_kept_by_mongodb(alice, bob):
    assert create(alice, {"keys": [["email", 1]], "unique": True}).status_code == 201
    assert send(bob, "PUT", document_url("a"), {"email": "x@example.com"}).status_code == 201

    problem = refused(
        send(bob, "PUT", document_url("b"), {"email": "x@example.com"}), 409, "already_exists"
    )

    assert pointers(problem) == ["/email"]


def test_who_asks_for_a_build_that_takes_long_is_told_to_look_again(alice, bob, mongo, monkeypatch):
    go_on, build = threading.Event(), acts._build
    monkeypatch.setattr(views, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(acts, "_build", lambda *given, **how: (go_on.wait(), build(*given, **how)))

    answers = [create(alice, {"keys": [["n", 1]]}), create(alice, {"keys": [["n", 1]]})]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer["Location"] for answer in answers] == [f"{INDEXES}/n_1"] * 2
    assert [row["built"] for row in alice.get(INDEXES).json()["data"]] == [False]
    assert send(bob, "PUT", document_url("a"), {"n": 1}).status_code == 201
    go_on.set()
    wait_for_builds()
    assert [row["built"] for row in alice.get(INDEXES).json()["data"]] == [True]


def test_a_build_that_is_under_way_in_mongodb_is_followed_to_its_end(alice, mongo, monkeypatch):
    collection = mongo["org_acme"]
    monkeypatch.setattr(views, "WAIT_SECONDS", 0.01)
    assert send(alice, "PUT", document_url("a"), {}).status_code == 201
    many = [{"_id": n, "n": [*range(n, n + 100)]} for n in range(20_000)]
    collection.insert_many(many, ordered=False)

    answer = create(alice, {"keys": [["n", 1]]})
    seen = [(is_building(collection), listed(alice), is_building(collection))]
    deadline = time.monotonic() + 120
    while seen[-1][1] != [True] and time.monotonic() < deadline:
        seen.append((is_building(collection), listed(alice), is_building(collection)))

    assert (answer.status_code, answer["Location"]) == (202, f"{INDEXES}/n_1")
    assert {built for before, (built,), after in seen if before and after} == {False}
    assert alice.get("/api/v1/collections/main/documents?n=5&limit=1").status_code == 200
    wait_for_builds()


def listed(client):
    """Return of each index whether it is said to be built."""
    return [row["built"] for row in client.get(INDEXES).json()["data"]]


def is_building(collection):
    """Return whether MongoDB says that it puts keys into an index of this very collection.

    Other tests build at the same server. Without `progress` the operation may be winding up: the
    index is usable then.
    """
    wanted = {"ns": collection.full_name, "msg": BUILDING, "progress": {"$exists": True}}
    running = collection.database.client.admin.aggregate([{"$currentOp": {}}, {"$match": wanted}])
    return bool([*running])


def test_a_build_that_fails_when_nobody_waits_says_why(alice, bob, acme, monkeypatch):
    go_on, build = threading.Event(), acts._build
    monkeypatch.setattr(views, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(acts, "_build", lambda *given, **how: (go_on.wait(), build(*given, **how)))
    for name in ("a", "b"):
        send(bob, "PUT", document_url(name), {"email": "secret@example.com"})
    wanted = {"keys": [["email", 1]], "unique": True}

    assert create(alice, wanted).status_code == 202
    go_on.set()
    wait_for_builds()

    (row,) = alice.get(INDEXES).json()["data"]
    assert (row["name"], row["built"]) == ("email_1", False)
    assert "cannot be unique" in row["failure"]
    assert "secret" not in row["failure"]
    assert lifecycle.find_missing_indexes(acme.id) == lifecycle.declared_indexes(acme.id) == {}
    monkeypatch.setattr(views, "WAIT_SECONDS", 10)
    refused(create(alice, wanted), 409, "already_exists")
    bob.delete(document_url("b"))
    assert create(alice, wanted).status_code == 200
    assert [row["failure"] for row in alice.get(INDEXES).json()["data"]] == [None]


def test_one_build_too_many_is_refused_and_leaves_no_declaration(alice, monkeypatch):
    monkeypatch.setattr(index_builds, "_slots", Places(1))
    index_builds._slots.take()

    refused(create(alice, {"keys": [["n", 1]]}), 503, "tenant_busy")

    assert alice.get(INDEXES).json() == {"data": []}


def wait_for_builds():
    """Wait until the builds that are under way have ended."""
    for thread in threading.enumerate():
        if thread.name == "index-build":
            thread.join(10)


def test_duplicates_are_told_without_their_values(alice, bob):
    for name in ("a", "b"):
        send(bob, "PUT", document_url(name), {"email": "secret@example.com"})

    answer = create(alice, {"keys": [["email", 1]], "unique": True})

    problem = refused(answer, 409, "already_exists")
    assert "email_1" in problem["detail"]
    assert "secret" not in answer.content.decode()
    assert not Index.objects.exists()


def test_arrays_in_two_fields_of_an_index_are_the_client_s_fault(alice, bob):
    assert create(alice, {"keys": [["a", 1], ["b", 1]]}).status_code == 201

    for method in ("PUT", "PATCH"):
        send(bob, "PUT", document_url("x"), {})
        answer = send(bob, method, document_url("x"), {"a": [1], "b": [1]})
        refused(answer, 422, "invalid_document")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["/keys"]),
        ({"keys": "status"}, ["/keys"]),
        ({"keys": []}, ["/keys"]),
        ({"keys": [["a"]]}, ["/keys/0"]),
        ({"keys": [["a", 1], {"b": 1}]}, ["/keys/1"]),
        ({"keys": [["a", "text"]]}, ["/keys/0"]),
        ({"keys": [["a", True]]}, ["/keys/0"]),
        ({"keys": [["a", 1.0]]}, ["/keys/0"]),
        ({"keys": [[1, 1]]}, ["/keys/0"]),
        ({"keys": [["a", 3]]}, ["/keys/0/1"]),
        ({"keys": [["$a", 1]]}, ["/keys/0/0"]),
        ({"keys": [["a", 1]], "unique": 1}, ["/unique"]),
        ({"keys": [["a", 1]], "ttl_seconds": "60"}, ["/ttl_seconds"]),
        ({"keys": [["a", 1]], "ttl_seconds": True}, ["/ttl_seconds"]),
        ({"keys": [["a", 1]], "ttl_seconds": 2**31}, ["/ttl_seconds"]),
        ({"keys": [["a", 1]], "name": 5}, ["/name"]),
        ({"keys": [["a", 1]], "name": "a b"}, ["/name"]),
        ({"keys": [["a", 1]], "expire": 5}, ["/expire"]),
    ],
)
def test_a_body_that_is_no_index_is_refused_with_its_place(alice, mongo, body, where):
    problem = refused(create(alice, body), 422, "validation_failed")

    assert pointers(problem) == where
    assert list(mongo["org_acme"].index_information()) == ["_id_"]


def test_an_index_of_an_impossible_or_missing_collection_is_not_found(alice):
    for name in ("notes", "NO", "system.users"):
        path = f"/api/v1/collections/{name}/indexes"
        refused(create(alice, {"keys": [["a", 1]]}, path), 404, "not_found")
        refused(alice.get(path), 404, "not_found")
        refused(alice.delete(f"{path}/a_1"), 404, "not_found")


def test_an_editor_may_look_and_not_touch(bob):
    assert bob.get(INDEXES).status_code == 200
    refused(create(bob, {"keys": [["a", 1]]}), 403, "permission_denied")
    refused(bob.delete(f"{INDEXES}/a_1"), 403, "permission_denied")


@pytest.mark.parametrize("option", [{"unique": True}, {"ttl_seconds": 60}])
def test_in_a_shared_collection_the_remedy_is_told(acme, alice, option):
    place(acme.organization, "shared")

    problem = refused(create(alice, {"keys": [["a", 1]], **option}), 422, "placement_unsupported")

    assert pointers(problem) == [f"/{next(iter(option))}"]
    assert "move_organization acme --to collection" in problem["hint"]


def test_in_a_shared_collection_a_definition_is_kept_and_not_built(acme, alice):
    place(acme.organization, "shared")

    assert create(alice, {"keys": [["a", 1]]}).json()["built"] is False
    assert [row["built"] for row in alice.get(INDEXES).json()["data"]] == [False]


def test_the_outsider_has_indexes_of_their_own(alice, charlie, mongo):
    create(alice, {"keys": [["a", 1]]})

    assert charlie.get(INDEXES).json() == {"data": []}
    refused(charlie.delete(f"{INDEXES}/a_1"), 404, "not_found")
    assert "a_1" in mongo["org_acme"].index_information()
