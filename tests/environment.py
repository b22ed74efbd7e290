"""The surroundings of a test run: its own home, its own mongod, nobody else's settings.

Loaded by `-p`, before Django reads its settings. With xdist one mongod, started by the controller,
serves all workers; each has a database of its own.
"""

import os
import shutil
import tempfile
from pathlib import Path
from threading import Event
from typing import Any

import pytest

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
FOREIGN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "TENANTRY_FAILPOINT", "TENANTRY_PRODUCTION")

_home = Path(tempfile.mkdtemp(prefix="tenantry-tests-"))
_mongod: list[Any] = []

for name in FOREIGN:
    os.environ.pop(name, None)
if not WORKER:
    os.environ.pop("MONGODB_URI", None)
os.environ["TENANTRY_HOME"] = str(_home)
os.environ["TENANCY_DATABASE"] = f"tenantry_test_{WORKER or 'main'}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--mongo",
        choices=["real", "mock"],
        default="real",
        help="mock: an in-memory fake, for the portable part where no mongod can run",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--mongo") == "real" and not WORKER:
        _start_mongod()


def _start_mongod() -> None:
    from django.conf import settings

    from benchmarks.local_processes import start_mongod

    server = start_mongod(_home / "mongod")
    _mongod.append(server)
    os.environ["MONGODB_URI"] = server.uri
    settings.MONGODB_URI = server.uri


def pytest_unconfigure(config: pytest.Config) -> None:
    if _mongod:
        _mongod.pop().stop(Event())
    shutil.rmtree(_home, ignore_errors=True)
