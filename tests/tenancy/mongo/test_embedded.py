"""The MongoDB server of our own: it starts, comes back with its data, and says why it cannot."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from tenancy.mongo import embedded
from tenancy.mongo.embedded import EmbeddedServer, EmbeddedServerError
from tenancy.mongo.mongod_log import last_error

pytestmark = pytest.mark.needs_mongod

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.02


@contextmanager
def running(folder: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(folder)
    try:
        server.launch()
        assert server.wait_until_primary(Event())
        yield server
    finally:
        server.stop(Event())


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The folder of a server that ran before and holds one document."""
    with running(tmp_path / "mongod") as server, MongoClient(server.uri) as client:
        client.things.documents.insert_one({"_id": 1})
    return tmp_path / "mongod"


def refusal(folder: Path) -> EmbeddedServerError:
    with pytest.raises(EmbeddedServerError) as caught, running(folder):
        pass
    return caught.value


def test_it_publishes_its_uri_to_its_owner_alone_and_withdraws_it(tmp_path: Path) -> None:
    with running(tmp_path / "mongod") as server:
        uri_file = tmp_path / "mongod" / "uri"

        assert uri_file.read_text() == server.uri
        assert stat.S_IMODE(uri_file.stat().st_mode) == 0o600

    assert not uri_file.exists()


def test_it_is_a_replica_set_that_runs_no_javascript(tmp_path: Path) -> None:
    with running(tmp_path / "mongod") as server, MongoClient(server.uri) as client:
        client.things.documents.insert_one({"_id": 1})

        with client.start_session() as session, session.start_transaction():
            client.things.documents.insert_one({"_id": 2}, session=session)
        with pytest.raises(OperationFailure, match="globalScriptEngine"):
            client.things.documents.find_one({"$where": "true"})


def test_it_comes_back_with_its_data_at_the_same_port(stopped: Path) -> None:
    port = int((stopped / "port").read_text())

    with running(stopped) as server, MongoClient(server.uri) as client:
        assert client.things.documents.find_one() == {"_id": 1}

    assert server.port == port


def test_it_takes_another_port_when_its_own_is_taken(stopped: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int((stopped / "port").read_text())))

        with running(stopped) as server, MongoClient(server.uri) as client:
            assert server.port != other.getsockname()[1]
            client.things.documents.insert_one({"_id": 2})
            assert client.things.documents.count_documents({}) == 2


def test_one_that_still_runs_is_named_with_how_to_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "OLD_SERVER_MAX_SECONDS", 0.1)
    with running(tmp_path / "mongod") as old:
        pid = int((old.data / "mongod.lock").read_text())

        error = refusal(tmp_path / "mongod")

        assert f"process {pid}" in error.detail
        assert f"kill {pid}" in error.hint
        assert (tmp_path / "mongod" / "uri").read_text() == old.uri


def test_one_that_is_ending_is_waited_for(stopped: Path) -> None:
    old = EmbeddedServer(stopped)
    old.launch()
    assert old.wait_until_primary(Event())
    os.kill(int((old.data / "mongod.lock").read_text()), signal.SIGTERM)

    with running(stopped) as server, MongoClient(server.uri) as client:
        assert client.things.documents.count_documents({}) == 1

    old.stop(Event())


def test_damaged_data_is_reported_with_the_servers_own_words(stopped: Path) -> None:
    (stopped / "data" / "WiredTiger.wt").write_bytes(b"\0" * 4096)

    error = refusal(stopped)

    assert "WiredTiger.wt is corrupted" in error.detail
    assert str(stopped / "mongod.log") in error.hint
    assert "move it away" in error.hint
    assert not (stopped / "uri").exists()


def test_data_that_has_vanished_is_not_begun_anew(stopped: Path) -> None:
    for path in (stopped / "data").glob("*.wt"):
        path.unlink()  # as a backup that was restored by half: MongoDB itself then starts empty
    for path in (stopped / "data").glob("WiredTiger*"):
        path.unlink()
    shutil.rmtree(stopped / "data" / "journal")

    assert "has held data before" in refusal(stopped).detail


def test_data_that_was_moved_away_is_begun_anew(stopped: Path) -> None:
    shutil.move(stopped / "data", stopped / "old")

    with running(stopped) as server, MongoClient(server.uri) as client:
        assert client.things.documents.count_documents({}) == 0


def test_a_platform_without_mongod_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_find_packaged", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    error = refusal(tmp_path / "mongod")

    assert "no mongod" in error.detail
    assert "MONGODB_URI" in error.hint


def test_a_mongod_that_may_not_be_run_is_made_executable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "mongod"
    binary.write_text("")
    binary.chmod(0o644)
    monkeypatch.setattr(embedded, "_find_packaged", lambda: binary)

    assert embedded.find_mongod() == binary
    assert os.access(binary, os.X_OK)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    error = refusal(tmp_path / "file" / "mongod")

    assert str(tmp_path / "file" / "mongod") in error.detail
    assert "TENANTRY_HOME" in error.hint


def test_waiting_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    server, cancelled = EmbeddedServer(tmp_path / "mongod"), Event()
    cancelled.set()
    server.launch()

    assert server.wait_until_primary(cancelled) is False

    server.stop(cancelled)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent")
def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, signal, pathlib, threading\n"
        "from tenancy.mongo.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(pathlib.Path(sys.argv[1]))\n"
        "server.launch()\n"
        "assert server.wait_until_primary(threading.Event())\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "mongod")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()

    deadline = time.monotonic() + PATIENCE_SECONDS
    while embedded._find_holder(tmp_path / "mongod" / "data") is not None:
        assert time.monotonic() < deadline, "mongod outlives its parent"
        time.sleep(POLL_SECONDS)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", ""),
        ("mongod: error while loading shared libraries\n", "mongod: error while loading shared"),
        ('{"s":"I","id":1,"msg":"Starting"}\n', '{"s":"I","id":1'),
        (
            '{"s":"E","id":1,"msg":"Terminating","attr":{"error":"no lock."}}\n',
            "Terminating: no lo",
        ),
        (
            """{"s":"F","id":2,"msg":"Cannot read","attr":{"error":{"errmsg":"short"}}}
            {"s":"F","id":23091,"msg":"Fatal assertion"}\n\n""",
            "Cannot read: short",
        ),
    ],
)
def test_the_last_error_of_a_log_is_its_last_line_of_weight(
    tmp_path: Path, lines: str, expected: str
) -> None:
    log = tmp_path / "mongod.log"
    log.write_text('{"s":"E","id":9,"msg":"of an earlier start"}\n')
    start = log.stat().st_size
    with log.open("a") as file:
        file.write(lines)

    found = last_error(log, start)

    assert found.startswith(expected) if expected else found == ""
