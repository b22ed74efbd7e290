"""Work under one key in several transactions: each step is made once, whoever makes it."""

from uuid import UUID

import pytest

from tenancy.answers import Answer, Ask
from tenancy.exceptions import IdempotencyInProgress, IdempotencyKeyReused, TransactionConflict
from tenancy.mongo import once
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.once import Progress, Record, RecordTaken

pytestmark = pytest.mark.needs_mongod

ACME = UUID("6f1c1f39-3d2e-4d0c-9e5a-6a8f5a0c7a12")
RECORD = Record(ACME, Ask("user:1", "k", "digest"))
DONE = Answer(200, b'{"stored": 2}', {"ETag": '"r1"'})


@pytest.fixture
def documents(address, monkeypatch):
    monkeypatch.setattr(once, "_ensured", once.OrderedDict())
    return open_documents(address)


def open_documents(address):
    return TenantCollection(address, "main", by="user:1", max_bytes=1_000)


def step(documents, progress, number, state=None):
    """Store a document, and note that it is."""

    def work():
        documents.insert({"_id": number})
        progress.advance(documents, state or {"stored": number})

    documents.in_transaction(work)


@pytest.mark.everywhere
def test_a_repeat_goes_on_after_the_last_step_that_was_committed(documents, address):
    first = RECORD.find(address)
    step(documents, first, 1)

    repeat = RECORD.find(address)
    begun = (first.state, repeat.state, repeat.answer)
    step(documents, repeat, 2)
    repeat.finish(documents, DONE)

    assert begun == ({"stored": 1}, {"stored": 1}, None)
    assert (repeat.state, repeat.answer) == ({"stored": 2}, DONE)
    assert RECORD.find(address) == DONE
    assert documents.count() == 2


def test_of_two_attempts_one_makes_each_step_and_the_other_nothing(documents, address):
    one, other = RECORD.find(address), RECORD.find(address)
    step(documents, one, 1)
    with pytest.raises(IdempotencyInProgress):
        step(open_documents(address), other, "other")

    third = RECORD.find(address)
    step(documents, one, 2)
    with pytest.raises(IdempotencyInProgress):
        step(documents, third, "third")
    with pytest.raises(IdempotencyInProgress):
        third.finish(documents, DONE)
    with pytest.raises(IdempotencyInProgress):
        third.keep(address, DONE)
    one.finish(documents, DONE)

    assert third.keep(address, Answer(500, b"")) == DONE
    assert (other.state, third.state) == ({}, {"stored": 1})
    assert documents.count() == 2


def test_a_step_that_is_not_committed_is_not_remembered(documents, address):
    progress = RECORD.find(address)

    def work():
        progress.advance(documents, {"stored": 1})
        raise ValueError

    with pytest.raises(ValueError):
        documents.in_transaction(work)

    assert progress.state == {}
    assert RECORD.find(address).state == {}


def test_a_step_that_is_repeated_for_a_conflict_advances_once(documents, address):
    progress, conflicts = RECORD.find(address), [TransactionConflict(), TransactionConflict()]

    def work():
        documents.insert({"_id": 1})
        progress.advance(documents, {"stored": 1})
        if conflicts:
            raise conflicts.pop()

    documents.in_transaction(work)
    step(documents, progress, 2)

    assert RECORD.find(address).state == {"stored": 2}
    assert documents.count() == 2


def test_while_another_attempt_writes_the_record_it_is_taken(documents, address):
    one, other = RECORD.find(address), RECORD.find(address)

    def work():
        one.advance(documents, {"stored": 1})
        with pytest.raises(RecordTaken):
            step(open_documents(address), other, 1)

    documents.in_transaction(work)

    assert RECORD.find(address).state == {"stored": 1}


def test_without_a_key_a_state_is_remembered_and_nothing_kept(documents, address, tenant_data):
    progress = Progress()
    step(documents, progress, 1)
    progress.finish(documents, DONE)

    assert (progress.is_kept, progress.state, progress.answer) == (False, {"stored": 1}, DONE)
    assert "_idempotency" not in tenant_data.list_collection_names()


def test_keys_senders_and_organizations_are_apart(documents, address):
    RECORD.find(address).finish(documents, DONE)

    others = [
        Record(ACME, Ask("user:1", "other", "digest")),
        Record(ACME, Ask("user:2", "k", "digest")),
        Record(UUID(int=1), Ask("user:1", "k", "digest")),
    ]

    assert all(isinstance(other.find(address), Progress) for other in others)
    with pytest.raises(IdempotencyKeyReused):
        Record(ACME, Ask("user:1", "k", "another")).find(address)


@pytest.mark.everywhere
def test_of_requests_that_wrote_nothing_the_newest_of_each_sender_are_kept(
    documents, address, tenant_data, monkeypatch
):
    monkeypatch.setattr(once, "REFUSALS_MAX", 5)
    refused = Answer(409, b"{}", {})
    written = RECORD.find(address)
    step(documents, written, 1)
    written.keep(address, refused)  # it has stored a document: this is not forgotten
    other = Record(ACME, Ask("user:2", "k", "digest"))
    other.find(address).keep(address, refused)

    asks = [Record(ACME, Ask("user:1", f"refused-{n}", "digest")) for n in range(12)]
    for each in asks:
        found = each.find(address)
        assert found.keep(address, refused) == refused
    kept = [isinstance(each.find(address), Answer) for each in (RECORD, other, *asks)]

    assert kept[:2] == [True, True]
    assert sum(kept[2:]) == 5
    plan = once.records_of(address).find({"_id.o": 1, "_id.c": "c", "refused": True}).explain()
    assert "refusals" in str(plan["queryPlanner"]["winningPlan"])
