"""Records go along with a move, and what was done again at the target is known."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from tenancy.answers import Answer
from tenancy.exceptions import ClusterUnavailable
from tenancy.mongo import carried_records, once
from tenancy.mongo.carried_records import CarriedRecords
from tenancy.mongo.once import records_of
from tests.tenancy.mongo.test_once import ACME, RECORD, open_documents, step

pytestmark = pytest.mark.needs_mongod


@pytest.fixture
def target(address, behind, monkeypatch):
    monkeypatch.setattr(once, "_ensured", once.OrderedDict())
    other = replace(address, database=f"{address.database}_there")
    yield other
    behind.first.drop_database(other.database)


@pytest.fixture
def carried(address, target):
    return CarriedRecords(address, target, ACME, nullcontext)


def again(address, target):
    """Return what a runner that knows nothing carries."""
    return CarriedRecords(address, target, ACME, nullcontext)


def test_a_record_that_was_carried_is_nobodys_repeat(address, target, carried):
    here = RECORD.find(address)
    step(open_documents(address), here, 1)
    carried.bring()
    step(open_documents(target), RECORD.find(target), 2)

    other = again(address, target)
    other.bring()

    assert other.repeated == set()
    assert RECORD.find(target).state == {"stored": 2}


@pytest.mark.parametrize("steps_there", [1, 2])
def test_a_step_that_was_made_again_is_told_by_its_transaction(
    address, target, carried, steps_there
):
    here = RECORD.find(address)
    step(open_documents(address), here, 1)
    carried.bring()
    for number in range(steps_there):
        step(open_documents(target), RECORD.find(target), f"there {number}")
    step(open_documents(address), here, 2)

    carried.bring()
    other = again(address, target)
    other.bring()

    last = records_of(address).find_one({})["transaction"]
    assert carried.repeated == other.repeated == {bytes(last)}
    assert RECORD.find(target).state == {"stored": f"there {steps_there - 1}"}


def test_a_later_step_takes_the_place_of_an_earlier_one(address, target, carried):
    here = RECORD.find(address)
    step(open_documents(address), here, 1)
    carried.bring()
    step(open_documents(address), here, 2)
    here.finish(open_documents(address), Answer(200, b"{}"))

    carried.bring()

    assert RECORD.find(target) == Answer(200, b"{}")
    assert carried.repeated == set()


def test_what_was_refused_at_the_target_was_not_done_again(address, target, carried):
    late = RECORD.find(address)
    RECORD.find(target).keep(target, Answer(409, b"{}"))
    step(open_documents(address), late, 1)

    carried.bring()

    assert carried.repeated == set()


def test_another_request_under_the_key_is_not_the_same_work(address, target, carried):
    other = replace(RECORD, ask=replace(RECORD.ask, digest="other"))
    late = RECORD.find(address)
    step(open_documents(target), other.find(target), 1)
    step(open_documents(address), late, 1)

    carried.bring()

    assert carried.repeated == set()


def test_what_could_not_be_carried_is_carried_next_time(address, target, carried, monkeypatch):
    step(open_documents(address), RECORD.find(address), 1)

    def fail(*_):
        raise ClusterUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(carried_records, "_put", fail)
        with pytest.raises(ClusterUnavailable):
            carried.bring()
    carried.bring()

    assert RECORD.find(target).state == {"stored": 1}
