"""The surroundings of a test run: its own home, its own mongods, nobody else's settings.

Loaded by `-p`, before Django reads its settings. With xdist two mongods, started by the controller,
serve all workers; each has a database of its own. The second one is for tests of two clusters.
`TEST_REDIS` names a Redis in which limits are counted while the tests run.
"""

import fcntl
import gc
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Event
from typing import IO, Any

import pytest

from tests.cheap_hashing import hash_cheaply

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
SECOND_URI = "TENANTRY_TEST_SECOND_URI"
PREFIX = "tenantry-tests-"
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 4 << 30
FOREIGN = (
    "DATABASE_URL",
    "FIELD_ENCRYPTION_KEYS",
    "REDIS_PREFIX",
    "REDIS_URL",
    "SECRET_KEY",
    "TENANTRY_FAILPOINT",
    "TENANTRY_PRODUCTION",
)


def _memory() -> Path | None:
    """Return a folder in memory, where there is one with room: each test makes files in a mongod.

    Nothing is lost with the machine that anybody would look for. None: where temporary files go.
    """
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return MEMORY if has_room and os.access(MEMORY, os.W_OK) else None


def _make_home() -> tuple[Path, IO[bytes]]:
    """Make the home of this process, and remove those of processes that were killed."""
    for alive in MEMORY.glob(f"{PREFIX}*/alive"):
        with suppress(OSError), alive.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(alive.parent, ignore_errors=True)
    home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_memory()))
    mark = (home / "starting").open("wb")
    fcntl.flock(mark, fcntl.LOCK_EX)
    (home / "starting").rename(home / "alive")
    return home, mark


_home, _alive = _make_home()  # the mark is locked for as long as the process lives
_mongods: list[Any] = []

# Thousands of tests are collected, and none is garbage: looking for some takes a third of the time.
gc.disable()
for name in FOREIGN:
    os.environ.pop(name, None)
if not WORKER:
    os.environ.pop("MONGODB_URI", None)
    os.environ.pop(SECOND_URI, None)
os.environ["TENANTRY_HOME"] = str(_home)
os.environ["RATE_LIMITS"] = "off"  # a test that is about them switches them on
if "TEST_REDIS" in os.environ:  # everything is counted there, and nothing refused
    os.environ |= {"REDIS_URL": os.environ["TEST_REDIS"], "RATE_LIMITS": "on"}
    os.environ["REDIS_PREFIX"] = f"test-{WORKER or 'main'}"
    os.environ |= dict.fromkeys(
        ("LIMIT_LOGIN_ADDRESS", "LIMIT_LOGIN_ACCOUNT", "LIMIT_LOGIN_PAIR", "LIMIT_SIGNUP_ADDRESS",
         "LIMIT_TWO_FACTOR_ACCOUNT", "LIMIT_FORGOT_ADDRESS", "LIMIT_FORGOT_ACCOUNT",
         "LIMIT_REFRESH_ADDRESS", "LIMIT_INVITATION_ADDRESS"),
        "1000000/minute",
    )  # fmt: skip
os.environ["TENANCY_DATABASE"] = f"tenantry_test_{WORKER or 'main'}"
hash_cheaply()


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
        _start_mongods()


def pytest_collection_finish() -> None:
    """Collect garbage again, but look no more at what stays until the end."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _start_mongods() -> None:
    from django.conf import settings
    from pymongo import MongoClient

    from benchmarks.local_processes import start_mongod

    for folder in ("mongod", "mongod-second"):
        _mongods.append(start_mongod(_home / folder))
        with MongoClient(_mongods[-1].uri) as client:  # nobody reads what it notes every second
            client.admin.command("setParameter", 1, diagnosticDataCollectionEnabled=False)
    first, second = _mongods
    os.environ["MONGODB_URI"] = settings.MONGODB_URI = first.uri
    os.environ[SECOND_URI] = second.uri


def pytest_unconfigure(config: pytest.Config) -> None:
    _forget_use()
    while _mongods:
        _mongods.pop().stop(Event())
    shutil.rmtree(_home, ignore_errors=True)
    _alive.close()


def _forget_use() -> None:
    """Leave nothing to be written at exit into a catalog that is gone by then."""
    if "tenancy.usage" in sys.modules:
        sys.modules["tenancy.usage"].forget_changes()
    if "accounts.last_used" in sys.modules:
        sys.modules["accounts.last_used"].forget_uses()
    if "tenancy.mongo.clients" in sys.modules:
        sys.modules["tenancy.mongo.clients"].close_clients()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the tests of a file that share a stage (marked `xdist_group`) to one worker.

    xdist itself puts the mark into the test's id, which this pytest does not let it change.
    """
    from xdist.scheduler import LoadGroupScheduling

    class Stages(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if _shares_stage(config.rootpath / file) else nodeid

    return Stages(config, log)


@cache
def _shares_stage(file: Path) -> bool:
    text = file.read_text()
    return "pytest.mark.xdist_group" in text and 'scope="module"' in text
