"""A read by id as one bare command, and what becomes of it when the connection is lost."""

import pytest
from pymongo import helpers_shared
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
)

from tenancy.exceptions import (
    ClusterUnavailable,
    Defect,
    DocumentNotFound,
    OutcomeUnknown,
    QueryTimeout,
    TenancyError,
)
from tenancy.mongo import point_reads
from tenancy.mongo.clients import get_physical
from tenancy.mongo.documents import TenantCollection

MINE = "not a neighbour's"
pytestmark = [pytest.mark.everywhere, pytest.mark.needs_mongod]


@pytest.fixture
def documents(address):
    made = TenantCollection(address, "main", by="user:u", max_bytes=100_000)
    made.create("a", {"n": MINE})
    return made


def fail_with(monkeypatch, error):
    """Have the bare command fail once it was sent, and count how often."""
    failures = []

    def command(self, *args, **kwargs):
        failures.append(args)
        raise error

    monkeypatch.setattr(Database, "command", command)
    return failures


def test_it_is_what_find_one_finds(documents, address):
    collection = get_physical(address, address.physical("main"))
    (stored,) = collection.find({"n": MINE})

    assert point_reads.find_by_id(collection, stored["_id"], None) == stored
    assert point_reads.find_by_id(collection, "nobody's", None) is None
    assert documents.get("a")["n"] == MINE


@pytest.mark.parametrize("error", [AutoReconnect("lost"), NotPrimaryError("stepped down")])
def test_a_lost_connection_is_not_what_the_client_sees(documents, monkeypatch, error):
    failures = fail_with(monkeypatch, error)

    assert documents.get("a")["n"] == MINE
    assert len(failures) == 1
    with pytest.raises(DocumentNotFound):
        documents.get("b")


def test_a_call_that_ran_out_of_time_is_not_repeated(documents, monkeypatch):
    late = NetworkTimeout("timed out")
    failures = fail_with(monkeypatch, late)
    monkeypatch.setattr(
        "pymongo.collection.Collection.find_one", lambda *_, **__: pytest.fail("repeated")
    )

    with pytest.raises(TenancyError) as refused:
        documents.get("a")

    assert isinstance(refused.value, ClusterUnavailable)
    assert not isinstance(refused.value, OutcomeUnknown)
    assert len(failures) == 1


@pytest.mark.parametrize("code", sorted(helpers_shared._RETRYABLE_ERROR_CODES))
def test_what_the_driver_repeats_a_read_for_is_not_what_the_client_sees(
    documents, monkeypatch, code
):
    failures = fail_with(monkeypatch, OperationFailure("refused", code))

    assert documents.get("a")["n"] == MINE
    assert len(failures) == 1


@pytest.mark.once
def test_the_codes_are_those_of_the_driver():
    assert point_reads.REPEATED_CODES == helpers_shared._RETRYABLE_ERROR_CODES


@pytest.mark.parametrize(
    ("error", "meaning"),
    [(OperationFailure("no", 13), Defect), (ExecutionTimeout("late", 50), QueryTimeout),
     (ExecutionTimeout("late", 262), QueryTimeout)],
)  # fmt: skip
def test_what_the_driver_does_not_repeat_is_said_at_once(documents, monkeypatch, error, meaning):
    fail_with(monkeypatch, error)
    monkeypatch.setattr(
        "pymongo.collection.Collection.find_one", lambda *_, **__: pytest.fail("repeated")
    )

    with pytest.raises(meaning):
        documents.get("a")


def test_it_reads_what_a_majority_has(address, monkeypatch):
    seen, inner = [], Database.command

    def command(self, *given, **how):
        seen.append(given)
        return inner(self, *given, **how)

    monkeypatch.setattr(Database, "command", command)
    made = TenantCollection(address, "main", by="user:u", max_bytes=100_000)

    with pytest.raises(DocumentNotFound):
        made.get("a")

    ((command,),) = seen
    assert command["readConcern"] == {"level": "majority"}
