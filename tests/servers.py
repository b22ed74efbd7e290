"""Real server processes over real HTTP: two of them, sharing one catalog and one mongod."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from benchmarks.local_processes import free_port, start_server, stop_process
from tests.conftest import PASSWORD
from tests.processes import Deployment, make_deployment

T = TypeVar("T")
SERVE = (sys.executable, "manage.py", "serve")
SECONDS = 30.0


@dataclass(frozen=True)
class Service:
    """Two servers of one deployment."""

    deployment: Deployment
    urls: list[str]

    def client(self, number: int = 0, token: str = "") -> httpx.Client:
        """Return an HTTP client of one of the servers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.urls[number % len(self.urls)]
        return httpx.Client(base_url=url, headers=headers, timeout=SECONDS)

    def call(self, number: int, method: str, path: str, *, token: str = "", **request: Any) -> Any:
        """Send one request to one of the servers."""
        with self.client(number, token) as client:
            return client.request(method, path, **request)

    def sign_up(self, name: str, number: int = 0, email: str | None = None) -> httpx.Response:
        """Sign an organization up."""
        slug = "".join(letter for letter in name.lower() if letter.isalnum())
        body = {
            "organization_name": name,
            "email": email or f"owner@{slug}.example",
            "password": PASSWORD,
        }
        return self.call(number, "POST", "/api/v1/auth/signup", json=body)

    def token(self, name: str) -> str:
        """Sign an organization up and return its owner's token."""
        answer = self.sign_up(name)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["access_token"])

    def findings(self) -> list[Any]:
        """Return what the doctor has to say, once no operation is open any more."""
        waited = self.deployment.manage("resume_operations", "--wait", "15")
        assert waited.returncode == 0, waited.stdout + waited.stderr
        return list(self.deployment.json("check_tenants")["findings"])


@contextmanager
def running_service(home: Path, client: Any, **environment: str) -> Iterator[Service]:
    """Start two servers and end them."""
    deployment = make_deployment(home, client, **environment)
    processes, urls = [], []
    try:
        for _ in range(2):
            port = free_port()
            settings = {**deployment.environment, "PORT": str(port), "TENANTRY_THREADS": "24"}
            processes.append(start_server(SERVE, settings, home / f"server-{port}.log"))
            urls.append(f"http://127.0.0.1:{port}")
        yield Service(deployment, urls)
    finally:
        for process in processes:
            stop_process(process)
        client.drop_database(deployment.tenants)


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """Run every call in a thread of its own, all released by one barrier; return the answers."""
    barrier = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait(SECONDS)
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS * 2)
    return answers
