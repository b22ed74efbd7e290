"""`manage.py serve` as people run it: it serves, stops, comes back, and says why it cannot."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tenancy.management import worker
from tenancy.management.supervisor import without_secrets
from tenancy.management.web_server import PortUnusable, check_port, local_url
from tenancy.management.worker import Worker
from tenancy.mongo.embedded import EmbeddedServer
from tests.processes import make_deployment

pytestmark = pytest.mark.needs_mongod

ROOT = Path(__file__).resolve().parents[3]
FOREIGN_PREFIXES = ("TENANTRY_", "TENANCY_")
FOREIGN_NAMES = ("PORT", "MONGODB_URI", "DATABASE_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02
CREDENTIALS = {"email": "alice@example.com", "password": "correct horse 9 battery"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(POLL_SECONDS)


@dataclass
class Service:
    """One `serve` in a process of its own, and what it printed."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            assert answer.status < 300, answer.read()
            return json.loads(answer.read())
        finally:
            connection.close()

    def sign_up(self) -> str:
        body = {"organization_name": "Acme", **CREDENTIALS}
        return str(self.call("POST", "/api/v1/auth/signup", body)["access_token"])

    def log_in(self) -> str:
        return str(self.call("POST", "/api/v1/auth/login", CREDENTIALS)["access_token"])

    def put(self, token: str, name: str) -> None:
        self.call("PUT", f"/api/v1/collections/main/documents/{name}", {"n": 1}, token)

    def has(self, token: str, name: str) -> bool:
        path = f"/api/v1/collections/main/documents/{name}"
        return bool(self.call("GET", path, token=token)["n"] == 1)

    def wait_until_ready(self) -> None:
        wait_until(
            lambda: "is ready" in self.said or self.process.poll() is not None, "it is ready"
        )
        assert self.process.poll() is None, self.said

    def ended_with(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def child(self, name: str) -> int:
        return next(pid for pid in self.children() if name in command_of(pid))


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except FileNotFoundError:
        return ""


def is_gone(pid: int) -> bool:
    return not command_of(pid)  # a zombie has no command line either


@contextmanager
def serving(home: Path, *, port: int = 0, ready: bool = True, **settings: str) -> Iterator[Service]:
    port = port or free_port()
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN_PREFIXES) and name not in FOREIGN_NAMES
    }
    log = home.parent / f"serve-{port}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"],
            cwd=ROOT,
            env={**inherited, "TENANTRY_HOME": str(home), "PORT": str(port), **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(process, port, log)
    try:
        if ready:
            service.wait_until_ready()
        yield service
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
        process.kill()
        process.wait()


@pytest.fixture
def new_home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def home(new_home: Path, mongo_client: Any) -> Path:
    """A home whose catalog was migrated before."""
    make_deployment(new_home, mongo_client)
    return new_home


def test_it_stops_cleanly_and_comes_back_with_its_data(new_home: Path) -> None:
    home = new_home
    with serving(home) as service:
        service.put(service.sign_up(), "kept")
        processes = service.children()
        service.process.terminate()
        assert service.ended_with() == 0, service.said
    assert all(is_gone(pid) for pid in processes)
    assert not (home / "mongod" / "uri").exists()

    with serving(home) as service:
        assert service.has(service.log_in(), "kept")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent")
def test_after_kill_9_nothing_is_left_and_it_comes_back_with_its_data(home: Path) -> None:
    port = free_port()
    with serving(home, port=port) as service:
        service.put(service.sign_up(), "kept")
        web = service.child("web_processes")
        listed = Path(f"/proc/{web}/task/{web}/children").read_text()
        processes = [*service.children(), *(int(pid) for pid in listed.split())]
        service.process.kill()
        wait_until(lambda: all(is_gone(pid) for pid in processes), "its children are gone")
    assert len(processes) >= 3

    with serving(home, port=port) as service:
        assert service.has(service.log_in(), "kept")


def test_it_tells_where_everything_is_and_keeps_passwords_to_itself(home: Path) -> None:
    with serving(home) as service:
        url = f"http://127.0.0.1:{service.port}"

        for expected in (f"{url}/api/v1", f"{url}/api/docs", f"{url}/admin/", str(home), "Ctrl-C"):
            assert expected in service.said

    assert without_secrets("mongodb://u:p@a,b:27018/x?authSource=y") == "mongodb://a,b:27018/x"
    assert without_secrets("mongodb+srv://u:p%40@a") == "mongodb+srv://a"


def test_an_interrupted_operation_is_finished_at_the_next_start(home: Path) -> None:
    with serving(home, TENANTRY_FAILPOINT="create.provision") as service:
        with suppress(http.client.HTTPException, OSError):
            service.sign_up()  # its process ends; so does the supervisor, which takes over
        assert service.ended_with() == 137

    with serving(home) as service:
        assert "Went on with 1 interrupted operation." in service.said
        service.put(service.log_in(), "first")


def test_several_share_one_home_as_one_service(new_home: Path, tmp_path: Path) -> None:
    home = new_home
    database = EmbeddedServer(tmp_path / "elsewhere")
    with ExitStack() as stack:
        stack.callback(database.stop, Event())
        database.launch()
        assert database.wait_until_primary(Event())
        settings = {
            "MONGODB_URI": database.uri,
            "DATABASE_URL": f"sqlite:///{tmp_path / 'catalog.sqlite3'}",
        }
        services = [
            stack.enter_context(serving(home, ready=False, **settings)) for _ in range(2)
        ]  # at once: one of them migrates
        for service in services:
            service.wait_until_ready()

        token = services[0].sign_up()
        services[0].put(token, "shared")

        assert services[1].has(token, "shared")
        assert services[0].has(services[1].log_in(), "shared")
    assert not (home / "mongod").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the children in /proc")
@pytest.mark.parametrize("part", ["mongod", "web_processes"])
def test_when_a_part_dies_it_says_so_and_stops_everything(home: Path, part: str) -> None:
    with serving(home) as service:
        processes = service.children()

        os.kill(service.child(part), signal.SIGKILL)

        assert service.ended_with() == 1
        assert "has ended" in service.said
        assert all(is_gone(pid) for pid in processes)


def test_a_port_in_use_is_named_with_another_one(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with serving(home, port=port, ready=False) as service:
            assert service.ended_with() == 1

    assert f"Port {port} " in service.said
    assert "make run" in service.said
    assert "Traceback" not in service.said


def test_an_old_mongod_is_named_with_how_to_stop_it(home: Path) -> None:
    old = EmbeddedServer(home / "mongod")
    old.launch()
    assert old.wait_until_primary(Event())
    pid = (home / "mongod" / "data" / "mongod.lock").read_text().strip()

    with serving(home, ready=False) as service:
        assert service.ended_with() == 1
    old.stop(Event())

    assert f"kill {pid}" in service.said
    assert "Traceback" not in service.said


def test_a_damaged_folder_is_named_with_what_to_do(home: Path) -> None:
    first = EmbeddedServer(home / "mongod")
    first.launch()
    assert first.wait_until_primary(Event())
    first.stop(Event())
    (home / "mongod" / "data" / "WiredTiger.wt").write_bytes(b"\0" * 4096)

    with serving(home, ready=False) as service:
        assert service.ended_with() == 1

    assert "WiredTiger.wt is corrupted" in service.said
    assert "move it away" in service.said
    assert "Traceback" not in service.said


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("TENANCY_NAMING", "colour", "TENANCY_NAMING is one of"),
        ("DATABASE_URL", "sqlite:////dev/null/catalog.sqlite3", "The catalog cannot be used"),
        ("TENANTRY_HOST", "203.0.113.1", "Port "),
        ("PORT", "99999", "PORT=99999 is no port"),
    ],
)
def test_a_setting_that_cannot_work_is_named(
    home: Path, setting: str, value: str, expected: str
) -> None:
    with serving(home, ready=False, **{setting: value}) as service:
        assert service.ended_with() == 1

    assert expected in service.said
    assert "Traceback" not in service.said


def test_a_privileged_port_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)

    with pytest.raises(PortUnusable, match="may not listen on port 80"):
        check_port("127.0.0.1", 80)


def test_a_server_that_listens_everywhere_is_reached_here() -> None:
    assert local_url("0.0.0.0", 8000) == "http://127.0.0.1:8000"
    assert local_url("::", 8000) == "http://[::1]:8000"
    assert local_url("example.org", 80) == "http://example.org:80"


@pytest.mark.django_db
def test_the_worker_reports_one_kind_of_error_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: list[Any] = [OSError("a"), OSError("b"), ValueError("c"), ["row"], OSError("d")]

    def run_due(*, long: bool) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(worker, "run_due", run_due)
    subject = Worker()

    answers = [subject._round() for _ in range(5)]

    assert answers == [[], [], [], ["row"], []]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "a", "c", "d",
    ]  # fmt: skip
