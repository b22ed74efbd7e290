"""When keys and sessions were used: noted at once, written seldom, never in the way."""

import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from accounts import last_used
from accounts.api_keys import KeyTerms, forget_keys, get_key_holder, issue_key
from accounts.last_used import Notebook
from accounts.models import ApiKey, Session
from accounts.principals import forget_members
from tests.conftest import ACTOR
from tests.forks import ROOT
from tests.processes import make_deployment

ORGANIZATION = "/api/v1/organization"


@pytest.fixture
def key(acme):
    return issue_key(acme.id, KeyTerms("Robot", "viewer"), by=ACTOR)


def used_at(key):
    return ApiKey.objects.get(pk=key.row.pk).last_used_at


def test_use_is_noted_without_a_write_and_written_by_the_flush(key, django_assert_num_queries):
    before = timezone.now()
    with django_assert_num_queries(1):  # the key's row is read
        get_key_holder(key.secret)
    assert used_at(key) is None

    last_used.flush()

    assert before <= used_at(key) <= timezone.now()


def test_key_that_was_refused_was_not_used(key):
    ApiKey.objects.filter(pk=key.row.pk).update(revoked_at=timezone.now())
    with pytest.raises(Exception, match="revoked"):
        get_key_holder(key.secret)

    last_used.flush()

    assert used_at(key) is None


def test_many_uses_are_one_write(acme, key, django_assert_max_num_queries):
    for _ in range(50):
        forget_keys()
        get_key_holder(key.secret)

    with django_assert_max_num_queries(5):  # begin, select, update, and the savepoint's like
        last_used.flush()
    with django_assert_max_num_queries(0):
        last_used.flush()


def test_session_is_seen_when_it_is_read_again(acme, bob):
    Session.objects.update(last_seen_at=timezone.now() - timedelta(days=1))
    forget_members()
    assert bob.get(ORGANIZATION).status_code == 200

    last_used.flush()

    seen = Session.objects.get(user=acme.users["bob"]).last_seen_at
    assert timezone.now() - seen < timedelta(minutes=1)


def test_steady_requests_note_nothing(acme, bob, monkeypatch):
    bob.get(ORGANIZATION)
    noted = []
    monkeypatch.setattr(Notebook, "note", lambda self, *row: noted.append(row))

    for _ in range(5):
        assert bob.get(ORGANIZATION).status_code == 200

    assert noted == []


def test_later_moment_of_another_process_stays(key):
    later = timezone.now() + timedelta(hours=1)
    get_key_holder(key.secret)
    ApiKey.objects.filter(pk=key.row.pk).update(last_used_at=later)

    last_used.flush()

    assert used_at(key) == later


def test_write_touches_nothing_else_of_the_row(key):
    get_key_holder(key.secret)
    last_used.record_key(key.row.pk)
    ApiKey.objects.filter(pk=key.row.pk).update(revoked_at=timezone.now(), name="Zombie")

    last_used.flush()

    row = ApiKey.objects.get(pk=key.row.pk)
    assert (row.name, row.revoked_at is not None) == ("Zombie", True)


def test_row_that_is_gone_holds_up_nobody(key):
    last_used.record_key(uuid.uuid4())
    last_used.record_session(uuid.uuid4())
    get_key_holder(key.secret)

    last_used.flush()

    assert used_at(key) is not None


def test_more_rows_than_a_batch_are_all_written(acme, monkeypatch):
    monkeypatch.setattr(last_used, "BATCH_MAX_ROWS", 2)
    keys = [issue_key(acme.id, KeyTerms(str(n), "viewer"), by=ACTOR) for n in range(5)]
    for each in keys:
        get_key_holder(each.secret)

    last_used.flush()

    assert not ApiKey.objects.filter(last_used_at=None).exists()


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(last_used, "NOTES_MAX", 5)
    notebook = Notebook()

    for number in range(50):
        notebook.note(ApiKey, uuid.UUID(int=number))
        notebook.note(ApiKey, uuid.UUID(int=0))

    assert len(notebook._notes) == 5


def test_catalog_that_is_away_is_logged_and_no_error(key, monkeypatch, caplog):
    def fail(*_):
        raise DatabaseError("away")

    get_key_holder(key.secret)
    monkeypatch.setattr(last_used, "_write", fail)

    last_used._notebook._flush_logged()

    assert "was not written" in caplog.text
    assert last_used._notebook._notes == {}


def test_threads_that_note_while_it_is_written_lose_nothing(monkeypatch):
    written = set()
    monkeypatch.setattr(last_used, "_write", lambda model, moments: written.update(moments))
    notebook, barrier = Notebook(), threading.Barrier(5)

    def note(start):
        barrier.wait(10)
        for number in range(500):
            notebook.note(ApiKey, uuid.UUID(int=start * 1_000 + number))

    with ThreadPoolExecutor(4) as pool:
        notes = [pool.submit(note, start) for start in range(4)]
        barrier.wait(10)
        while not all(each.done() for each in notes):
            notebook.flush()
    notebook.flush()

    assert len(written) == 2_000


USE = """
import django; django.setup()
import sys
from accounts.api_keys import get_key_holder
get_key_holder(sys.argv[1])
"""
FORK = """
import django; django.setup()
import os, sys, uuid
from accounts import last_used
last_used.record_key(uuid.uuid4())
child = os.fork()
if child == 0:
    os._exit(len(last_used._notebook._notes) * 10 + (last_used._notebook._thread is not None))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture
def deployment(tmp_path, mongo_client):
    return make_deployment(tmp_path / uuid.uuid4().hex[:12], mongo_client)


def run(deployment, code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, env=deployment.environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip


def test_process_that_ends_writes_what_it_has_noted(deployment):
    made = deployment.python(
        "from tenancy import lifecycle\n"
        "from accounts.api_keys import KeyTerms, issue_key\n"
        "acme = lifecycle.create_organization('Acme', by='command:test')\n"
        "print(issue_key(acme.pk, KeyTerms('Robot', 'viewer'), by='command:test').secret)"
    )
    assert made.returncode == 0, made.stderr

    run(deployment, USE, made.stdout.strip())

    told = deployment.python(
        "from accounts.models import ApiKey\nprint(ApiKey.objects.get().last_used_at is not None)"
    )
    assert told.stdout.strip() == "True"


def test_fork_leaves_the_notes_to_its_parent(deployment):
    assert run(deployment, FORK).stdout.strip() == "0"
