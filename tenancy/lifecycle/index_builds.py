"""Build indexes aside: in a thread that goes on when a request no longer waits for it.

The server builds beside reads and writes, and goes on when the thread's process dies: what is
declared and not there then, `build_missing_indexes` builds.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from django.db import connections

from tenancy.admission import Places
from tenancy.exceptions import TenantBusy

PROCESS_MAX_BUILDS = 16

_slots = Places(PROCESS_MAX_BUILDS)


class TooManyBuilds(TenantBusy):
    """So many builds are under way in this process; nothing was begun."""

    default_detail = "Too many indexes are being built. Try again when one of them is there."


def run_aside(build: Callable[[], None], *, owner: str, wait_seconds: float | None) -> bool:
    """Run it in a thread of its own. Return whether it is done after so long; it goes on if not.

    Without `wait_seconds` that is waited for. Raises what it raises meanwhile, and TooManyBuilds:
    one owner has three quarters of the builds of a process at most.
    """
    if not _slots.take(owner):
        raise TooManyBuilds
    done: Future[None] = Future()
    # A daemon: whoever stops the process does not wait for it. MongoDB goes on by itself.
    threading.Thread(
        target=_run, args=(build, owner, done), name="index-build", daemon=True
    ).start()
    if wait([done], wait_seconds).not_done:
        return False
    done.result()
    return True


def _run(build: Callable[[], None], owner: str, done: Future[None]) -> None:
    failure: Exception | None = None
    try:
        build()
    except Exception as error:  # noqa: BLE001 -- whoever waits is told; else the row says so
        failure = error
    finally:
        connections.close_all()
        _slots.give_back(owner)
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
