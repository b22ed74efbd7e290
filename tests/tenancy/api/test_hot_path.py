"""What a request costs in steady state: no catalog query, and as few MongoDB commands as can be."""

from functools import partial

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener
from rest_framework.test import APIClient

from accounts.api_keys import KeyTerms, issue_key
from tenancy.mongo import clients
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, document_url, send

pytestmark = pytest.mark.everywhere

INDEXES = "/api/v1/collections/main/indexes"


class Commands(CommandListener):
    """Remembers the name of every command that a client sends."""

    def __init__(self):
        self.names = []

    def started(self, event):
        self.names.append(event.command_name)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.fixture
def commands(monkeypatch):
    """The commands that the product's client has sent: a list to read and to clear."""
    listener = Commands()
    monkeypatch.setattr(clients, "MongoClient", partial(MongoClient, event_listeners=[listener]))
    clients.close_clients()
    yield listener.names
    clients.close_clients()


@pytest.fixture
def warm(settings, commands, alice):
    """alice after one request of each kind, in a process whose caches do not run out meanwhile."""
    settings.TENANCY_CATALOG_TTL = settings.ACCOUNTS_ROW_TTL = 60
    assert send(alice, "PUT", document_url("ada"), {"n": 1}).status_code == 201
    assert alice.get(document_url("ada")).status_code == 200
    assert alice.get("/api/v1/organization/usage").json()["members"] == 3
    commands.clear()
    return alice


def test_the_listener_sees_the_product_s_commands(warm, commands):
    warm.get(document_url("ada"))
    warm.get(document_url("ada"))

    assert commands == ["find", "find"]


@pytest.mark.parametrize(
    ("request_", "status", "expected"),
    [
        (lambda client: client.get(document_url("ada")), 200, ["find"]),
        (
            lambda client: client.get(document_url("ada"), headers={"If-None-Match": '"r1"'}),
            304,
            ["find"],
        ),
        (lambda client: client.get(DOCUMENTS), 200, ["find"]),
        (lambda client: send(client, "POST", DOCUMENTS, {"n": 1}), 201, ["insert"]),
        (lambda client: send(client, "PUT", document_url("ada"), {}), 200, ["findAndModify"]),
        (
            lambda client: send(client, "PUT", document_url("ada"), {}, If_Match='"r1"'),
            200,
            ["findAndModify"],
        ),
        (
            lambda client: send(client, "PUT", document_url("x"), {}, If_None_Match="*"),
            201,
            ["insert"],
        ),
        (lambda client: send(client, "PATCH", document_url("ada"), {}), 200, ["find", "update"]),
        (lambda client: client.delete(document_url("ada")), 204, ["findAndModify"]),
        (lambda client: client.get("/api/v1/collections"), 200, []),
        (lambda client: client.get("/api/v1/organization/usage"), 200, []),
    ],
    ids=[
        *["get", "get-304", "list", "post", "put", "put-if-match", "put-if-none-match"],
        *["patch", "delete", "collections", "usage"],
    ],
)
def test_steady_state_asks_the_catalog_nothing_and_mongodb_little(
    warm, commands, django_assert_num_queries, request_, status, expected
):
    with django_assert_num_queries(0):
        answer = request_(warm)

    assert answer.status_code == status
    assert commands == expected


def test_a_hint_by_the_schema_costs_nothing_more(warm, commands, django_assert_num_queries):
    schema = {"properties": {"n": {}}, "additionalProperties": False}
    body = {"json_schema": schema, "mode": "enforce"}
    assert send(warm, "PUT", "/api/v1/collections/main/schema", body).status_code == 200
    assert "hint" in warm.get(f"{DOCUMENTS}?fields=m").json()
    commands.clear()

    with django_assert_num_queries(0):
        answer = warm.get(f"{DOCUMENTS}?fields=other")

    assert "“other”" in answer.json()["hint"]
    assert commands == ["find"]


@pytest.mark.parametrize("header", ["HTTP_AUTHORIZATION", "HTTP_X_API_KEY"])
def test_steady_state_is_the_same_for_an_api_key(
    warm, commands, acme, django_assert_num_queries, header
):
    terms = KeyTerms("Robot", "editor", collections=["main"])
    secret = issue_key(acme.id, terms, by=ACTOR).secret
    program = APIClient()
    program.credentials(**{header: f"Bearer {secret}" if "AUTH" in header else secret})
    assert program.get(document_url("ada")).status_code == 200
    commands.clear()

    with django_assert_num_queries(0):
        answers = [program.get(document_url("ada")) for _ in range(3)]
        answers.append(send(program, "PUT", document_url("ada"), {"n": 2}))

    assert {answer.status_code for answer in answers} == {200}
    assert commands == ["find", "find", "find", "findAndModify"]


def test_a_full_page_is_one_command(warm, commands, stored, django_assert_num_queries):
    stored.insert_many([{"_id": n, "text": "x" * 500} for n in range(1_500)])

    with django_assert_num_queries(0):
        answer = warm.get(f"{DOCUMENTS}?limit=1000")
        following = warm.get(DOCUMENTS, {"cursor": answer.json()["page"]["next"], "limit": 1000})

    assert [len(page.json()["data"]) for page in (answer, following)] == [1000, 501]
    assert commands == ["find", "find"]


def test_a_filtered_and_sorted_list_by_its_index_is_one_command_for_every_page(
    warm, commands, stored, acme, django_assert_num_queries
):
    if acme.organization.placement.kind == "shared":
        return  # no index of a tenant's own is there: see the next test
    stored.insert_many([{"_id": n, "status": "open", "n": n % 7} for n in range(20)])
    keys = {"keys": [["status", 1], ["n", -1], ["_id", 1]]}
    assert send(warm, "POST", INDEXES, keys).status_code == 201
    asked = {"status": "open", "sort": "-n", "limit": 5}
    cursor = warm.get(DOCUMENTS, asked).json()["page"]["next"]
    warm.get(DOCUMENTS, {**asked, "cursor": cursor})  # whether the index has met arrays is learnt
    commands.clear()

    with django_assert_num_queries(0):
        pages = [warm.get(DOCUMENTS, asked), warm.get(DOCUMENTS, {**asked, "cursor": cursor})]

    assert [len(page.json()["data"]) for page in pages] == [5, 5]
    assert commands == ["find", "find"]


def test_a_list_by_a_filter_is_one_command_and_by_a_sort_without_an_index_two(
    warm, commands, stored, django_assert_num_queries
):
    stored.insert_many([{"_id": n, "status": "open"} for n in range(20)])
    warm.get(DOCUMENTS, {"status": "open"})
    commands.clear()

    with django_assert_num_queries(0):
        first = warm.get(DOCUMENTS, {"status": "open", "limit": 5})
        cursor = first.json()["page"]["next"]
        warm.get(DOCUMENTS, {"status": "open", "limit": 5, "cursor": cursor})
        warm.get(DOCUMENTS, {"status": "open", "sort": "-n", "limit": 5})

    assert commands == ["find", "find", "aggregate", "aggregate"]  # the first of these counts


def test_put_of_a_new_document_costs_one_more_of_both(
    warm, commands, django_assert_max_num_queries
):
    with django_assert_max_num_queries(2):  # "nothing was there" is believed after a look
        answer = send(warm, "PUT", document_url("x"), {})

    assert answer.status_code == 201
    assert commands == ["findAndModify", "findAndModify"]


def test_nothing_found_costs_one_look_at_the_catalog(warm, commands, django_assert_max_num_queries):
    with django_assert_max_num_queries(2):  # the organization, and its collections
        assert warm.get(document_url("nothing")).status_code == 404

    assert commands == ["find"]


def test_a_refused_body_costs_mongodb_nothing(warm, commands, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert send(warm, "PUT", document_url("ada"), b"{").status_code == 400
        assert send(warm, "PUT", document_url("ada"), {"a.b": 1}).status_code == 422
        assert send(warm, "GET", DOCUMENTS + "?cursor=x").status_code == 400

    assert commands == []


def test_whoever_may_not_costs_mongodb_nothing(warm, vera, nobody, commands):
    for client in (vera, nobody):
        assert send(client, "PUT", document_url("ada"), {}).status_code in (401, 403)

    assert commands == []


def test_under_a_key_a_write_is_four_commands_and_a_replay_one(
    warm, commands, django_assert_num_queries
):
    send(warm, "POST", DOCUMENTS, {"n": 0}, Idempotency_Key="k-0")  # makes room for the records
    commands.clear()

    with django_assert_num_queries(0):
        first = send(warm, "POST", DOCUMENTS, {"n": 1}, Idempotency_Key="k-1")
        done, _ = list(commands), commands.clear()
        replay = send(warm, "POST", DOCUMENTS, {"n": 1}, Idempotency_Key="k-1")

    assert done == ["find", "insert", "insert", "commitTransaction"]
    assert commands == ["find"]
    assert replay.content == first.content


@pytest.mark.once
@pytest.mark.parametrize("path", ["/api/v1/organization", "/org/get?organization_name=Acme"])
def test_an_organization_is_read_without_catalog_and_mongodb(
    warm, commands, path, django_assert_num_queries
):
    assert warm.get(path).status_code == 200
    commands.clear()

    with django_assert_num_queries(0):
        assert warm.get(path).status_code == 200
    assert commands == []


@pytest.mark.once
def test_settings_that_are_changed_are_read_at_once(warm):
    assert warm.get("/api/v1/organization").json()["settings"] == {}

    changed = send(warm, "PATCH", "/api/v1/organization", {"settings": {"theme": "dark"}})

    assert changed.json()["settings"] == {"theme": "dark"}
    assert warm.get("/api/v1/organization").json()["settings"] == {"theme": "dark"}
