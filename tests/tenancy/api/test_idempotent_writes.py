"""`Idempotency-Key` on writes of documents: done once, answered alike, at every placement."""

import threading
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection

from accounts.api_keys import KeyTerms, issue_key
from tenancy import lifecycle
from tenancy.api import once
from tenancy.doctor import check_tenants
from tenancy.exceptions import OutcomeUnknown
from tenancy.mongo.documents import TenantCollection
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, document_url, refused, send
from tests.servers import at_once

pytestmark = pytest.mark.needs_mongod

RECORDS = "_idempotency"


@pytest.fixture(autouse=True)
def no_room_is_known(monkeypatch):
    """Between tests the records are dropped, their index too."""
    monkeypatch.setattr("tenancy.mongo.once._ensured", OrderedDict())


def write(client, method, path, body=None, key="k-1", **headers):
    raw = b"" if body is None else body
    return send(client, method, path, raw, Idempotency_Key=key, **headers)


def is_replay(answer, first):
    return (
        answer.status_code == first.status_code
        and answer.content == first.content
        and answer.get("Idempotent-Replayed") == "true"
    )


@pytest.mark.everywhere
def test_a_repeat_of_a_write_gets_the_first_answer_and_writes_nothing(bob, stored):
    asks = [
        ("POST", DOCUMENTS, {"n": 1}, 201, {}),
        ("PUT", document_url("a"), {"n": 1}, 201, {}),
        ("PATCH", document_url("a"), {"n": 2}, 200, {}),
        ("PUT", document_url("a"), {"n": 3}, 200, {"If_Match": '"r2"'}),
        ("PUT", document_url("a"), {"n": 4}, 412, {"If_Match": '"r2"'}),
        ("PUT", document_url("a"), {"n": 4}, 412, {"If_None_Match": "*"}),
        ("POST", DOCUMENTS, {"_id": "a"}, 409, {}),
        ("DELETE", document_url("a"), None, 204, {}),
        ("DELETE", document_url("a"), None, 404, {}),
        ("PUT", document_url("a"), {"n": 5}, 201, {"If_None_Match": "*"}),
    ]
    for number, (method, path, body, status, headers) in enumerate(asks):
        first = write(bob, method, path, body, f"k-{number}", **headers)
        after = stored.find()
        replay = write(bob, method, path, body, f"k-{number}", **headers)

        assert first.status_code == status, first.content
        assert "Idempotent-Replayed" not in first.headers
        assert is_replay(replay, first)
        for header in ("ETag", "Location", "Content-Type"):
            assert replay.get(header) == first.get(header)
        assert stored.find() == after
    assert sorted(row["n"] for row in stored.find()) == [1, 5]


def test_what_was_refused_for_good_is_refused_again_when_it_would_be_possible(bob, stored):
    first = write(bob, "PATCH", document_url("late"), {"n": 1})
    send(bob, "PUT", document_url("late"), {"n": 0})

    again = write(bob, "PATCH", document_url("late"), {"n": 1})

    assert first.status_code == 404
    assert is_replay(again, first)
    assert stored.find_one({"_id": "late"})["n"] == 0


def test_a_key_is_for_one_request_of_one_sender(bob, alice, acme, charlie, globex, stored):
    first = write(bob, "POST", DOCUMENTS, {"n": 1})
    others = [
        ("POST", DOCUMENTS, {"n": 2}),
        ("POST", "/api/v1/collections/other/documents", {"n": 1}),
        ("PUT", document_url("a"), {"n": 1}),
        ("DELETE", document_url("a"), None),
    ]
    for method, path, body in others:
        refused(write(bob, method, path, body), 422, "idempotency_key_reused")
    refused(write(bob, "POST", DOCUMENTS, {"n": 1}, key="\u00fc"), 400, "invalid_parameter")

    terms = KeyTerms("Robot", "editor", collections=["main"])
    robot = alice.__class__()
    robot.credentials(HTTP_X_API_KEY=issue_key(acme.id, terms, by=ACTOR).secret)
    answers = [write(client, "POST", DOCUMENTS, {"n": 1}) for client in (alice, robot, charlie)]

    assert {answer.status_code for answer in answers} == {201}
    assert (
        len({first.json()["_id"]["$oid"], *(each.json()["_id"]["$oid"] for each in answers)}) == 4
    )
    assert stored.count_documents({}) == 3  # charlie's is globex's
    assert "other" not in [row["name"] for row in bob.get("/api/v1/collections").json()["data"]]


def test_what_is_not_valid_leaves_the_key_free(bob, stored):
    for body in (b"{", {"$bad": 1}, b'{"n": 1, "n": 2}'):
        assert write(bob, "POST", DOCUMENTS, body).status_code in {400, 422}

    assert write(bob, "POST", DOCUMENTS, {"n": 1}).status_code == 201


def test_an_unknown_outcome_is_no_answer(bob, stored, monkeypatch):
    own = TenantCollection.insert

    def insert_and_lose(documents, fields):
        own(documents, fields)
        raise OutcomeUnknown

    monkeypatch.setattr(TenantCollection, "insert", insert_and_lose)
    refused(write(bob, "POST", DOCUMENTS, {"n": 1}), 503, "outcome_unknown")
    monkeypatch.setattr(TenantCollection, "insert", own)

    first = write(bob, "POST", DOCUMENTS, {"n": 1})

    assert first.status_code == 201
    assert is_replay(write(bob, "POST", DOCUMENTS, {"n": 1}), first)
    assert stored.count_documents({}) == 1


def test_a_record_that_expired_counts_as_absent(bob, stored, tenant_data):
    write(bob, "POST", DOCUMENTS, {"n": 1})
    before = datetime.now(UTC)
    row = tenant_data[RECORDS].find_one()
    lasts = row["expires_at"].replace(tzinfo=UTC) - before
    tenant_data[RECORDS].update_one({}, {"$set": {"expires_at": before - timedelta(seconds=1)}})

    again = write(bob, "POST", DOCUMENTS, {"n": 2})

    assert timedelta(hours=23, minutes=59) < lasts <= timedelta(hours=24)
    assert tenant_data[RECORDS].index_information()["expires_at_1"]["expireAfterSeconds"] == 0
    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, False)
    assert stored.count_documents({}) == 2


@pytest.mark.everywhere
def test_many_at_once_under_one_key_have_one_effect(bob, acme, stored):
    send(bob, "PUT", document_url("a"), {"n": 0})
    asks = [
        ("POST", DOCUMENTS, {"_id": "new", "n": 1}, 201),
        ("PATCH", document_url("a"), {"n": 2}, 200),
        ("DELETE", document_url("a"), None, 204),
        ("POST", DOCUMENTS, {"n": 1}, 201),
    ]
    for number, (method, path, body, status) in enumerate(asks):
        clients = [acme.client("bob") for _ in range(8)]

        def ask(client, method=method, path=path, body=body, key=f"race-{number}"):
            try:
                return write(client, method, path, body, key)
            finally:
                connection.close()

        answers = at_once([lambda client=client: ask(client) for client in clients])
        last = ask(bob)

        good = [answer for answer in answers if answer.status_code == status]
        first = [answer for answer in good if "Idempotent-Replayed" not in answer.headers]
        assert len(first) == 1, [answer.content for answer in answers]
        assert all(is_replay(answer, first[0]) for answer in [*good, last] if answer != first[0])
        for answer in answers:
            assert answer in good or answer.json()["code"] == "idempotency_in_progress"
    assert [row["n"] for row in stored.find()] == [1, 1]


def test_who_comes_while_the_first_is_at_it_is_told_to_wait(acme, bob, stored, monkeypatch):
    """The first has written its record, and its transaction is open."""
    own, during, other = once.Once._act, [], acme.client("bob")

    def repeat():
        during.append(write(other, "POST", DOCUMENTS, {"n": 1}))
        connection.close()

    def act_and_look(self, documents, found, act):
        response = own(self, documents, found, act)
        monkeypatch.setattr(once.Once, "_act", own)
        thread = threading.Thread(target=repeat)
        thread.start()
        thread.join()
        return response

    monkeypatch.setattr(once.Once, "_act", act_and_look)
    first = write(bob, "POST", DOCUMENTS, {"n": 1})

    refused(during[0], 409, "idempotency_in_progress")
    assert first.status_code == 201
    assert is_replay(write(bob, "POST", DOCUMENTS, {"n": 1}), first)
    assert stored.count_documents({}) == 1


@pytest.mark.usefixtures("quick")
def test_records_move_along_and_the_doctor_has_nothing_to_say(acme, bob, second_cluster, behind):
    sent = {}
    for kind in ("database", "shared", "cluster", "collection"):
        sent[kind] = write(bob, "POST", DOCUMENTS, {"from": kind}, key=f"at-{kind}")
        options = {"cluster": "second"} if kind == "cluster" else {}
        lifecycle.move_organization(acme.id, kind, by=ACTOR, **options)
        for at, first in sent.items():
            assert is_replay(write(bob, "POST", DOCUMENTS, {"from": at}, key=f"at-{at}"), first)
        assert not check_tenants(by=ACTOR, repair=False).findings
    collections = bob.get("/api/v1/collections").json()["data"]

    assert len(behind.stored_of(acme.organization).find()) == 4
    assert [row["name"] for row in collections] == ["main"]
    assert not behind.second[settings.TENANCY_DATABASE][RECORDS].count_documents({})


@pytest.mark.usefixtures("quick")
def test_a_purge_removes_the_records_of_the_organization_alone(acme, bob, charlie, tenant_data):
    write(bob, "POST", DOCUMENTS, {"n": 1})
    first = write(charlie, "POST", DOCUMENTS, {"n": 1})

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)

    assert tenant_data[RECORDS].count_documents({}) == 1
    assert is_replay(write(charlie, "POST", DOCUMENTS, {"n": 1}), first)


def keyed_writer(acme, stop, sent, wrong):
    """Write under keys, each sent twice or more; remember what was promised."""
    client, number = acme.client("bob"), 0
    while not stop.is_set():
        number += 1
        key = f"{threading.get_ident()}-{number}"
        answers = [write(client, "POST", DOCUMENTS, {"key": key}, key) for _ in range(3)]
        good = [answer for answer in answers if answer.status_code == 201]
        sent.add(key)
        if len({answer.content for answer in good}) != 1:
            wrong.append([answer.content for answer in answers])
    connection.close()


@pytest.mark.usefixtures("quick")
def test_keyed_writers_see_neither_a_rename_nor_a_move(acme, second_cluster, behind, naming):
    stop, sent, wrong = threading.Event(), set(), []
    threads = [
        threading.Thread(target=keyed_writer, args=(acme, stop, sent, wrong)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    try:
        lifecycle.rename_organization(acme.id, "Acme Two", by=ACTOR)
        for kind, options in (("database", {}), ("cluster", {"cluster": "second"})):
            lifecycle.move_organization(acme.id, kind, by=ACTOR, **options)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    keys = [row["key"] for row in behind.stored_of(acme.organization).find()]
    assert not wrong
    assert len(keys) == len(set(keys))
    assert set(keys) == sent
    assert len(sent) > 10
