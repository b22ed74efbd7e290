"""Letters and what else is done after the answer: soon, in order, and in nobody's way."""

import logging
import os
import subprocess
import sys
import threading
import time

import pytest
from django.core import mail as django_mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction

from accounts import background, mail
from accounts.background import Worker, do_later
from accounts.mail import send_later
from tenancy.context import Origin, current_origin, origin_context
from tests.test_architecture import ROOT

ALICE = "alice@example.com"
SECONDS = 10.0


@pytest.fixture
def worker(monkeypatch, nothing_waits):
    """The real thing."""
    own = Worker()
    monkeypatch.setattr(background, "_worker", own)
    yield own
    assert own.flush(SECONDS)


class Broken(BaseEmailBackend):
    """Fails as mail servers do: with everything in the message."""

    def send_messages(self, messages):
        (letter,) = messages
        raise RuntimeError(f"{letter.to} {letter.subject} {letter.body}")


class Stuck(BaseEmailBackend):
    """A server that does not answer until it is told to."""

    released = threading.Event()

    def send_messages(self, messages):
        assert self.released.wait(SECONDS)
        return len(messages)


@pytest.fixture
def records():
    """What the product's loggers were told; the suite's own handlers see nothing of it."""
    told = []
    handler = logging.Handler()
    handler.emit = told.append
    loggers = [mail.logger, background.logger]
    for logger in loggers:
        logger.addHandler(handler)
    yield told
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.mark.django_db(transaction=True)
def test_letters_are_sent_by_another_thread_in_order(worker):
    seen = []
    for number in range(5):
        send_later(ALICE, f"Letter {number}", "Hello, Zoë.")
        do_later(lambda: seen.append(threading.current_thread().name))

    assert background.flush(SECONDS)

    assert [letter.subject for letter in django_mail.outbox] == [f"Letter {n}" for n in range(5)]
    assert set(seen) == {"background"}


@pytest.mark.django_db(transaction=True)
def test_letter_of_a_transaction_that_is_undone_is_not_sent():
    class UndoneError(Exception):
        pass

    def send_and_undo():
        with transaction.atomic():
            send_later(ALICE, "Never", "…")
            raise UndoneError

    with pytest.raises(UndoneError):
        send_and_undo()
    with transaction.atomic():
        send_later(ALICE, "Sent", "…")
        assert django_mail.outbox == []

    assert [letter.subject for letter in django_mail.outbox] == ["Sent"]


@pytest.mark.parametrize("subject", ["Hello\r\nBcc: eve@example.com", "a\nb", "a\u2028b", "a\x0bb"])
def test_subject_is_one_line(db_less, subject):
    mail.send(ALICE, subject, "text")

    (letter,) = django_mail.outbox
    assert letter.recipients() == [ALICE]
    assert len(letter.subject.splitlines()) == 1
    assert "Bcc" not in letter.message()


@pytest.fixture
def db_less():
    django_mail.outbox.clear()


@pytest.mark.parametrize(
    "to", ["alice@example.com\nBcc: eve@example.com", "a@example.com\r\n\r\nbody", "", "\ud800"]
)
def test_address_that_would_be_another_header_gets_nothing(db_less, records, to):
    mail.send(to, "Hello", "text")

    assert not [letter for letter in django_mail.outbox if to]
    assert not [record for record in records if "example" in record.getMessage()]


def test_failure_is_logged_without_address_subject_and_text(settings, records):
    settings.EMAIL_BACKEND = f"{__name__}.Broken"

    mail.send(ALICE, "The subject", "The token")

    (record,) = records
    assert record.getMessage() == "A letter could not be sent: RuntimeError"
    assert record.exc_info is None


def test_task_that_fails_stops_nobody(worker, records, db_less, db):
    done = threading.Event()

    def fail():
        raise ValueError(ALICE)

    worker.add(fail)
    worker.add(done.set)

    assert background.flush(SECONDS)
    assert done.is_set()
    assert [record.getMessage() for record in records] == ["A task failed: ValueError"]


def test_server_that_hangs_keeps_nobody_waiting(worker, settings, records, db):
    settings.EMAIL_BACKEND = f"{__name__}.Stuck"
    Stuck.released.clear()

    worker.add(lambda: mail.send(ALICE, "Stuck", "…"))
    for _ in range(background.TASKS_MAX + 500):
        worker.add(lambda: None)

    assert not background.flush(0.01)  # the server hangs still
    assert len(worker._waiting) <= background.TASKS_MAX
    Stuck.released.set()
    assert background.flush(SECONDS)
    assert sum("dropped" in record.getMessage() for record in records) == 1


def test_task_is_not_begun_while_its_request_is_answered(worker):
    began = time.monotonic()
    started = []

    worker.add(lambda: started.append(time.monotonic()))
    while not started:
        assert time.monotonic() - began < SECONDS
        time.sleep(0.005)

    assert started[0] - began >= background.DELAY_SECONDS[0] * 0.9


@pytest.mark.django_db(transaction=True)
def test_task_is_part_of_its_request(worker):
    origins = []
    with origin_context(Origin("request-1", "192.0.2.7")):
        do_later(lambda: origins.append(current_origin()))

    background.flush(SECONDS)

    assert origins == [Origin("request-1", "192.0.2.7")]


def test_process_that_was_forked_has_a_worker_of_its_own(worker):
    reader, writer = os.pipe()
    worker.add(lambda: None)
    if (child := os.fork()) == 0:
        try:
            done = threading.Event()
            background._worker.add(done.set)
            os.write(writer, b"done" if done.wait(SECONDS) else b"lost")
        finally:
            os._exit(0)
    os.close(writer)

    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"done"
    os.waitpid(child, 0)


CONSOLE = """
import django; django.setup()
from accounts.mail import send_later
for number in range(3):
    send_later("alice@example.com", f"Größe {number}", "Zoë, hier:\\n\\nhttps://x/#" + "t" * 300)
"""


def test_letters_are_sent_before_the_process_ends_and_printed_whole(tmp_path):
    environment = {
        "PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings",
        "TENANTRY_HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8",
    }  # fmt: skip

    done = subprocess.run(
        [sys.executable, "-c", CONSOLE], cwd=ROOT, env=environment, timeout=60,
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stderr.count("Zoë, hier:\n\nhttps://x/#" + "t" * 300 + "\n") == 3
    assert done.stderr.count("\nTo: alice@example.com\n") == 3
    assert done.stdout == ""
