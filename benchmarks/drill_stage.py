"""What a drill is told, and the service it runs against: two servers, one organization."""

import secrets
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.drill_client import API, Account, DrillClient
from benchmarks.local_processes import ProcessFailed, free_port, start_server, stop_process

SERVERS = 2
HOME_NAME = "Drill Home"

Naming = Literal["name", "id"]


@dataclass(frozen=True)
class LoadConfig:
    """How large a drill is and where it runs. Without a URI it starts a mongod of its own."""

    naming: Naming = "name"
    writers: int = 8
    readers: int = 4
    documents: int = 20_000
    page_limit: int = 50
    load_seconds: float = 300.0
    mongodb_uri: str | None = None
    directory: Path | None = None
    command: tuple[str, ...] = (sys.executable, "manage.py", "serve")
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DrillConfig(LoadConfig):
    """A drill of renames."""

    renames: int = 20
    seconds_between_renames: float = 0.25
    leftover_seconds: float = 15.0


@dataclass(slots=True)
class Stage:
    """The running service as the drill sees it."""

    ports: list[int]
    account: Account
    token: str
    namespace: str


def service_settings(
    config: LoadConfig, directory: Path, mongodb: dict[str, str]
) -> dict[str, str]:
    """Return what every process of the service has in its environment."""
    home = (directory / "home").resolve()
    home.mkdir(exist_ok=True)
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "TENANTRY_HOME": str(home),
        "MONGODB_URI": mongodb["uri"],
        "DATABASE_URL": f"sqlite:///{home / 'catalog.sqlite3'}",
        "TENANCY_DATABASE": mongodb["database"],
        "TENANCY_NAMING": config.naming,
        "RATE_LIMITS": "off",
        "TENANTRY_PROCESSES": "1",
        "TENANTRY_THREADS": "8",
        **config.settings,
    }


def start_servers(
    stack: ExitStack, config: LoadConfig, directory: Path, settings: dict[str, str]
) -> list[int]:
    """Start the servers one after the other, so that the first alone migrates the catalog."""
    ports = []
    for number in range(SERVERS):
        port = free_port()
        log = directory / f"server-{number}.log"
        server = start_server(config.command, {**settings, "PORT": str(port)}, log)
        stack.callback(stop_process, server)
        ports.append(port)
    return ports


def sign_up(ports: list[int]) -> Stage:
    """Sign the drill's organization up and return where it is."""
    account = Account("drill@tenantry.example", f"Drill-{secrets.token_urlsafe(18)}")
    body = {
        "organization_name": HOME_NAME,
        "email": account.email,
        "password": account.password,
    }
    with closing(DrillClient(ports[0], account)) as client:
        answer = client.call("signup", "POST", f"{API}/auth/signup", body)
    if answer.status != 201:
        raise ProcessFailed(f"signup answered {answer.status}: {answer.body}")
    return Stage(ports, account, answer.body["access_token"], find_namespace(ports[0], account))


def find_organization(port: int, account: Account) -> dict[str, Any]:
    """Ask the service what the organization is, and where it lives now."""
    with closing(DrillClient(port, account)) as client:
        client.sign_in()
        answer = client.call("organization", "GET", f"{API}/organization")
    if not answer.ok:
        raise ProcessFailed(f"the organization answered {answer.status}: {answer.body}")
    return dict(answer.body)


def find_namespace(port: int, account: Account) -> str:
    """Ask the service under which namespace the organization lives now."""
    return str(find_organization(port, account)["placement"]["namespace"])
