"""What one process changes, others drop at once by way of Redis; without Redis nothing is worse."""

import json
import logging
import threading
import uuid

import pytest
from django.db import transaction
from redis import Redis

from tenancy import invalidation, redis_channel
from tenancy.invalidation import EVERYTHING, Change, Message, hear, read_message
from tests.redis_servers import running_redis, wait_until
from tests.servers import at_once

ACME, GLOBEX = uuid.uuid4(), uuid.uuid4()
FIND_CHANNEL = invalidation._find_channel
OTHER = "another process"


class Kept:
    """What the tests cache: everything that was dropped, in order."""

    def __init__(self):
        self.dropped = []
        self.change = Change("tests", self.drop, ids={"organization_id", "user_id"})

    def drop(self, **ids):
        self.dropped.append(ids)


@pytest.fixture
def kept(monkeypatch):
    monkeypatch.setattr(invalidation, "_changes", {})
    return Kept()


@pytest.fixture
def server(tmp_path):
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture
def channel(monkeypatch, settings, server, kept, patient_redis):
    """This process listens; what it had to drop as it began is not counted."""
    monkeypatch.setattr(invalidation, "_find_channel", FIND_CHANNEL)
    monkeypatch.setattr(redis_channel, "PAUSE_MAX_SECONDS", 0.1)
    settings.REDIS_URL = server.url
    invalidation.listen()
    wait_until(lambda: kept.dropped == [{}])
    kept.dropped.clear()
    yield invalidation._channel
    invalidation.stop()


@pytest.fixture
def other(server):
    """Another process, as far as Redis can tell."""

    def say(raw, name="tenantry:changes"):
        with Redis(port=server.port) as client:
            return client.publish(name, raw)

    return say


def message(kind="tests", sender=OTHER, **ids):
    return Message(sender, kind, ids).write()


def heard(server, count):
    """Return the next messages that anybody sends, once there are so many."""
    client = Redis(port=server.port)
    ears = client.pubsub()
    ears.subscribe("tenantry:changes")
    assert ears.get_message(timeout=5)["type"] == "subscribe"

    def wait():
        said = [ears.get_message(timeout=5) for _ in range(count)]
        ears.close()
        client.close()
        return [json.loads(each["data"]) for each in said]

    return wait


# --- Messages -----------------------------------------------------------------------------------


def test_message_says_ids_and_nothing_else(kept):
    raw = message(organization_id=ACME)

    assert json.loads(raw) == {
        "v": 1, "from": OTHER, "kind": "tests", "ids": {"organization_id": str(ACME)},
    }  # fmt: skip
    assert read_message(raw) == Message(OTHER, "tests", {"organization_id": ACME})


GARBAGE = [
    b"", b"\x00\xff", b"null", b"[]", b"7", b'"tests"', b"{}", b"[" * 1_000, b"x" * 2_000_000,
    b'{"v": 2, "from": "a", "kind": "tests", "ids": {}}',
    b'{"v": true, "from": "a", "kind": "tests", "ids": []}',
    b'{"v": 1, "from": null, "kind": "tests", "ids": {}}',
    b'{"v": 1, "from": "a", "kind": ["tests"], "ids": {}}',
    b'{"v": 1, "from": "a", "kind": "nothing known", "ids": {}}',
    b'{"v": 1, "from": "a", "kind": "tests", "ids": {"role": "owner"}}',
    b'{"v": 1, "from": "a", "kind": "tests", "ids": {"user_id": 7}}',
    b'{"v": 1, "from": "a", "kind": "tests", "ids": {"user_id": "x"}}',
    b'{"v": 1, "from": "a", "kind": "tests", "ids": {"user_id": {"$ne": 1}}}',
    b'{"v": 1, "from": "a", "kind": "everything", "ids": {"user_id": "x"}}',
]  # fmt: skip


@pytest.mark.parametrize("raw", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_message_is_refused_and_drops_nothing(kept, raw):
    assert hear("here", raw) is False
    assert kept.dropped == []


def test_own_messages_are_not_done_twice(kept):
    assert hear("here", message(sender="here", organization_id=ACME)) is True
    assert hear("here", message(EVERYTHING, sender="here")) is True
    assert kept.dropped == []


def test_everything_drops_every_kind(kept):
    hear("here", message(EVERYTHING))

    assert kept.dropped == [{}]


# --- One process --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_change_is_dropped_at_once_and_again_when_it_is_committed(kept):
    with transaction.atomic():
        kept.change.make_known(organization_id=ACME)
        assert len(kept.dropped) == 1

    assert kept.dropped == [{"organization_id": ACME}] * 2


def test_an_id_may_be_given_as_text(kept):
    kept.change.make_known(organization_id=str(ACME))

    assert kept.dropped == [{"organization_id": ACME}]


def test_without_redis_there_is_no_channel_and_no_thread(kept, settings, monkeypatch):
    monkeypatch.setattr(invalidation, "_find_channel", FIND_CHANNEL)
    settings.REDIS_URL, before = "", threading.active_count()

    invalidation.listen()
    kept.change.make_known(organization_id=ACME)

    assert kept.dropped == [{"organization_id": ACME}]
    assert (invalidation.state(), invalidation.counts()) == ("off", {})
    assert threading.active_count() == before


# --- Through Redis ------------------------------------------------------------------------------


def test_what_another_process_says_is_dropped_here(channel, kept, other):
    other(message(organization_id=ACME))
    other(message())

    wait_until(lambda: len(kept.dropped) == 2)
    assert kept.dropped == [{"organization_id": ACME}, {}]
    assert invalidation.state() == "ok"


@pytest.mark.django_db(transaction=True)
def test_others_are_told_when_the_transaction_commits_and_not_before(channel, kept, server):
    wait = heard(server, 2)
    with transaction.atomic():
        kept.change.make_known(organization_id=ACME)
        with transaction.atomic():
            kept.change.make_known(user_id=GLOBEX)
        assert not channel._waiting
        assert channel.counts()["sent"] == 0

    assert [said["ids"] for said in wait()] == [
        {"organization_id": str(ACME)}, {"user_id": str(GLOBEX)},
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_nobody_is_told_of_what_was_undone(channel, kept, server):
    wait = heard(server, 1)
    with transaction.atomic():
        kept.change.make_known(organization_id=ACME)
        transaction.set_rollback(True)
    kept.change.make_known(organization_id=GLOBEX)

    assert wait()[0]["ids"] == {"organization_id": str(GLOBEX)}


def test_garbage_is_counted_and_the_next_message_is_heard(channel, kept, other):
    for raw in GARBAGE:
        other(raw)
    other(message(organization_id=ACME))

    wait_until(lambda: kept.dropped)
    assert kept.dropped == [{"organization_id": ACME}]
    assert channel.counts()["refused"] == len(GARBAGE)


def test_failure_of_a_drop_does_not_end_the_listener(channel, kept, other, monkeypatch):
    failed = threading.Event()

    def fail(**ids):
        kept.change.drop = kept.drop
        failed.set()
        raise LookupError

    kept.change.drop = fail
    other(message(organization_id=ACME))

    assert failed.wait(5)
    wait_until(lambda: kept.dropped)
    assert kept.dropped == [{}]  # as after every failure
    assert invalidation.state() == "ok"


def test_installations_with_other_prefixes_do_not_hear_each_other(channel, kept, other):
    assert other(message(), "staging:changes") == 0
    other(message(organization_id=ACME))

    wait_until(lambda: kept.dropped)
    assert kept.dropped == [{"organization_id": ACME}]


@pytest.mark.parametrize("outage", ["kill", "freeze"])
def test_outage_keeps_nobody_and_afterwards_everything_is_dropped(
    channel, kept, server, outage, caplog
):
    with caplog.at_level(logging.WARNING, "tenantry.caches"):
        getattr(server, outage)()
        at_once([lambda: kept.change.make_known(organization_id=ACME)] * 16)
        wait_until(lambda: invalidation.state() == "degraded")
        missed = channel.counts()["missed"]
        server.thaw() if outage == "freeze" else server.start()
        wait_until(lambda: invalidation.state() == "ok" and channel._has_said_all())

    assert kept.dropped.count({"organization_id": ACME}) == 16
    assert channel.counts()["missed"] > missed or outage == "freeze"
    said = {record.getMessage().split(" ")[1] for record in caplog.records}
    assert said == {"fails", "answers"}


def test_sender_that_could_not_send_says_that_everything_changed(
    channel, kept, server, monkeypatch
):
    server.kill()
    kept.change.make_known(organization_id=ACME)
    wait_until(lambda: not channel._speaker.works and channel._speaker.has_tried.is_set())
    publish, somebody_listens = channel._publish, threading.Event()
    monkeypatch.setattr(
        channel, "_publish", lambda said: somebody_listens.wait(5) and publish(said)
    )
    server.start()
    wait = heard(server, 1)
    somebody_listens.set()

    kinds = [said["kind"] for said in wait()]

    assert kinds == [EVERYTHING]


def test_what_waits_is_bounded(channel, kept, server, monkeypatch):
    monkeypatch.setattr(redis_channel, "WAITING_MAX", 10)
    server.freeze()
    for _ in range(100):
        kept.change.make_known(organization_id=uuid.uuid4())

    assert len(channel._waiting) <= 10
    server.thaw()


def test_redis_that_was_never_there_is_said_once_and_without_its_password(
    kept, settings, monkeypatch, caplog
):
    monkeypatch.setattr(invalidation, "_find_channel", FIND_CHANNEL)
    settings.REDIS_URL = "redis://me:hunter2@127.0.0.1:1/0"

    with caplog.at_level(logging.WARNING, "tenantry.caches"):
        states = {invalidation.state() for _ in range(5)}
        kept.change.make_known(organization_id=ACME)
    invalidation.stop()

    assert states == {"degraded"}
    assert "Redis fails" in caplog.text
    assert "hunter2" not in caplog.text


def test_stop_sends_the_last_words_and_ends_the_threads(channel, kept, server):
    wait = heard(server, 5)
    for _ in range(5):
        kept.change.make_known(organization_id=ACME)

    invalidation.stop()

    assert len(wait()) == 5
    wait_until(lambda: not [each for each in threading.enumerate() if "changes-" in each.name])


def test_other_settings_are_another_channel(channel, settings):
    settings.REDIS_PREFIX = "staging"
    invalidation.listen()

    assert invalidation._channel is not channel
    assert channel._listener.ends.is_set()
