"""argon2id in threads of its own: few computations at once, few that wait, the rest refused.

A computation costs a core, and 19 MiB, for as long as it takes. So a process has a few threads for
it, its share of `ACCOUNTS_HASHERS`, which yield to everybody else; and at most half of the threads
that answer requests wait for one. A storm of sign-ins finds no room, and other requests go on.
"""

import os
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.exceptions import RateLimited
from tenancy.lanes import stand_aside

P = ParamSpec("P")
T = TypeVar("T")

# Added to the niceness of the process, which goes up to 19: a tenth of what other threads get.
NICENESS, NICENESS_MAX = 10, 19
RETRY_AFTER_SECONDS = 1
_FORM = re.compile(r"argon2\$argon2(?:id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$")
# What the hash of no password looks like: salt and hash in base64, of the lengths that are made.
_NOBODYS = "c2FsdCBvZiBub2JvZHkgYXQgYWxs$" + "A" * 43


class Hashers:
    """The threads of one process, and how many may be in there at once."""

    def __init__(self, threads: int, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._threads = ThreadPoolExecutor(threads, "hasher", initializer=_yield_to_others)

    def compute(self, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Return what a function returns in one of the threads. Raises RateLimited if full."""
        if not self._places.acquire(blocking=False):
            raise RateLimited(
                "Too many passwords are being checked at this moment. Try again in a second.",
                retry_after=RETRY_AFTER_SECONDS,
            )
        try:
            stand_aside()  # a computation is long: others would wait for it to be noticed
            return self._threads.submit(function, *args, **options).result()
        finally:
            self._places.release()


def _yield_to_others() -> None:
    """Lower the priority of this thread; only Linux has priorities of threads."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        own = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(own + NICENESS, NICENESS_MAX))


_hashers: list[Hashers] = []
_making = threading.Lock()


def get_hashers() -> Hashers:
    """Return those of this process, started when they are first needed."""
    with _making:
        if not _hashers:
            places = max(1, settings.TENANTRY_THREADS // 2)
            threads = max(1, settings.ACCOUNTS_HASHERS // settings.TENANTRY_PROCESSES)
            _hashers.append(Hashers(threads, places))
        return _hashers[0]


def start_anew() -> None:
    """Forget the threads: a process that was forked has none of them, and settings may differ."""
    global _making  # noqa: PLW0603 -- one for a process; it may have been held at the fork
    _making = threading.Lock()
    _hashers.clear()


os.register_at_fork(after_in_child=start_anew)


class PasswordHasher(Argon2PasswordHasher):
    """Argon2id with the parameters that OWASP names first for servers, in the hashers' threads.

    One lane: a computation takes one core, not all. Hashes with other parameters are verified,
    too, and replaced when their owners sign in.
    """

    memory_cost = 19_456  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the hash. Raises RateLimited."""
        return get_hashers().compute(super().encode, password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether a hash is the password's. Raises RateLimited."""
        return get_hashers().compute(super().verify, password, encoded)


CURRENT_FORM = (
    f"argon2$argon2id$v=19$m={PasswordHasher.memory_cost},t={PasswordHasher.time_cost},"
    f"p={PasswordHasher.parallelism}$"
)


def form_of(encoded: str) -> str | None:
    """Return the part of a hash that says how it was made; None for what is no hash of ours."""
    found = _FORM.match(encoded)
    return found[0] if found else None


def hash_of_nobody(form: str) -> str:
    """Return a hash that no password has, and that costs to verify what others of its form do."""
    return form + _NOBODYS
