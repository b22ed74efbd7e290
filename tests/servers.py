"""Real server processes over real HTTP: two of them, sharing one catalog and one mongod."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from benchmarks.local_processes import STOP_SECONDS, free_port, wait_until_ready
from tests.conftest import PASSWORD
from tests.forks import Fork
from tests.processes import Deployment, make_deployment

T = TypeVar("T")
SECONDS = 30.0


@dataclass(frozen=True)
class Service:
    """Two servers of one deployment."""

    deployment: Deployment
    urls: list[str]

    def client(self, number: int = 0, token: str = "") -> httpx.Client:
        """Return an HTTP client of one of the servers.

        It knows no authorities: there is no TLS, and reading their certificates takes 20 ms.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.urls[number % len(self.urls)]
        return httpx.Client(base_url=url, headers=headers, timeout=SECONDS, verify=False)

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
    urls: list[str] = []
    with ExitStack() as stack:
        stack.callback(client.drop_database, deployment.tenants)
        for _ in range(2):
            port = free_port()
            settings = {**deployment.environment, "PORT": str(port), "TENANTRY_THREADS": "24"}
            settings.setdefault("TENANTRY_PROCESSES", "1")  # what is kept and counted is of one
            stack.enter_context(serving(settings))
            urls.append(f"http://127.0.0.1:{port}")
        yield Service(deployment, urls)


@contextmanager
def serving(settings: dict[str, str]) -> Iterator[None]:
    """Run `serve`: its web server is a process of its own as ever; both are forks."""
    server = Fork({"arguments": ["serve"], "environment": settings})
    try:
        wait_until_ready(server.ended, int(settings["PORT"]), server.log)
        yield
    finally:
        server.stop(STOP_SECONDS)


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
