"""The README's tour works line by line, and again after the service was killed with -9."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.local_processes import SERVE, free_port, start_server, stop_process
from tests.conftest import PASSWORD
from tests.test_docs import tour

pytestmark = pytest.mark.xdist_group("service")


def walk(port: int, name: str = "tour") -> str:
    """Run a tour against a service and return what it prints; any failing line fails."""
    script = tour(Path("README.md"), name).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    strict = "set -euo pipefail\n" + script.replace("curl -s", "curl -sS --fail-with-body")
    done = subprocess.run(
        ["bash", "-c", strict], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def start(home: Path):
    """Start the service as `make run` does, on a free port."""
    port = free_port()
    settings = {"TENANTRY_HOME": str(home), "PORT": str(port)}
    return start_server(SERVE, settings, home.parent / "serve.log"), port


def manage(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TENANTRY_HOME": str(home)}
    for name in ("MONGODB_URI", "TENANCY_DATABASE"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def test_tour_works_and_again_after_kill_9(home):
    process, port = start(home)
    try:
        assert '"greeting":"good morning"' in walk(port)
        identity = walk(port, "identity tour")
        assert "recovery_codes" in identity
        assert '"code":"two_factor_required"' in identity
        token = keep_a_document(port)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        process, port = start(home)

        kept = httpx.get(document(port), headers={"Authorization": f"Bearer {token}"})
        assert kept.json()["word"] == "kept"
        assert '"greeting":"good morning"' in walk(port)
        assert manage(home, "resume_operations", "--wait", "20").returncode == 0
        checked = manage(home, "check_tenants")
        assert checked.returncode == 0, checked.stdout
    finally:
        stop_process(process)


def test_mongod_killed_9_beside_a_rename_loses_nothing(home):
    process, port = start(home)
    try:
        token = keep_a_document(port)
        headers = {"Authorization": f"Bearer {token}"}
        rename = threading.Thread(target=rename_carelessly, args=(port, headers))
        rename.start()
        time.sleep(0.65)  # before, in or after the rename: what follows holds for each
        mongod = int((home / "mongod" / "data" / "mongod.lock").read_text())
        os.kill(mongod, signal.SIGKILL)
        rename.join()
        assert process.wait(30) == 1  # it says that its mongod is gone, and ends

        process, port = start(home)

        # Longer than a lease: the rename's may have been renewed right before its server ended.
        resumed = manage(home, "resume_operations", "--wait", "60")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        kept = httpx.get(document(port), headers=headers)
        assert kept.json()["word"] == "kept"
        checked = manage(home, "check_tenants")
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        stop_process(process)


def rename_carelessly(port: int, headers: dict[str, str]) -> None:
    """Ask for a rename, whatever becomes of it."""
    url = f"http://127.0.0.1:{port}/api/v1/organization"
    with contextlib.suppress(httpx.HTTPError):
        httpx.patch(url, json={"name": "Moved"}, headers=headers, timeout=30)


def keep_a_document(port: int) -> str:
    """Store a document in an organization that stays, and return a token of its owner."""
    body = {"organization_name": "Kept", "email": "k@example.com", "password": PASSWORD}
    signed_up = httpx.post(f"http://127.0.0.1:{port}/api/v1/auth/signup", json=body, timeout=30)
    token = str(signed_up.json()["access_token"])
    headers = {"Authorization": f"Bearer {token}"}
    stored = httpx.put(document(port), json={"word": "kept"}, headers=headers, timeout=30)
    assert stored.status_code == 201
    return token


def document(port: int) -> str:
    return f"http://127.0.0.1:{port}/api/v1/collections/main/documents/kept"
