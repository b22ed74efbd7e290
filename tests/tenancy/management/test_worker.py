"""The background worker: nothing waits for what takes long."""

import threading

import pytest

from tenancy import journal
from tenancy.journal import Kind, Step, begin_operation
from tenancy.management.worker import Worker
from tenancy.models import Operation
from tests.conftest import ACTOR

pytestmark = pytest.mark.usefixtures("quick")
WAIT_SECONDS = 10


@pytest.fixture
def kinds(monkeypatch):
    """A kind that takes as long as the test wants, and one that ends at once."""
    begun, may_end, short_ran = threading.Event(), threading.Event(), threading.Event()

    def last(run):
        begun.set()
        assert may_end.wait(WAIT_SECONDS)

    steps = (Step("reserve", lambda run: None),)
    slow = Kind("slow", (*steps, Step("work", last)), long=True)
    short = Kind("short", (*steps, Step("work", lambda run: short_ran.set())))
    monkeypatch.setattr(journal, "KINDS", {**journal.KINDS, "slow": slow, "short": short})
    monkeypatch.setattr("tenancy.operations.KINDS", journal.KINDS)
    yield slow, short, begun, may_end, short_ran
    may_end.set()


def test_a_long_operation_holds_up_no_short_one(acme, globex, kinds):
    slow, short, begun, may_end, short_ran = kinds
    begin_operation(slow, acme.organization, {}, by=ACTOR, leased=False)
    worker = Worker()
    worker.start()
    assert begun.wait(WAIT_SECONDS)

    begin_operation(short, globex.organization, {}, by=ACTOR, leased=False)

    assert short_ran.wait(WAIT_SECONDS)
    assert Operation.objects.get(kind="slow").status == "running"
    may_end.set()
    worker.stop(WAIT_SECONDS)
    worker._long_thread.join(WAIT_SECONDS)
