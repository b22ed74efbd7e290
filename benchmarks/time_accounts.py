"""Accounts of CPU time by the parts of the service: whoever crosses a boundary changes the account.

Each thread has an account: from one boundary to the next its CPU time goes to the part it is in, so
that no moment counts twice. What the noting itself takes is measured and taken off. Nothing is
changed in the service until `install` is called, in a process of the benchmark.
"""

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from types import ModuleType
from typing import Any

BASE = "Django"
# Where each part begins, the first match on the way in; one that is nowhere fails the profile.
BOUNDARIES = {
    "admission": ["tenancy.admission:Gate.enter", "tenancy.admission:Gate.leave"],
    "URL resolving": ["django.urls.resolvers:URLResolver.resolve"],
    "authentication": [
        "rest_framework.views:APIView.perform_authentication",
        "accounts.authentication:AccessTokenAuthentication.authenticate",
        "accounts.authentication:organization_claim",
    ],
    "permission": [
        "rest_framework.views:APIView.check_permissions",
        "accounts.permissions:DeclaredPermission.has_permission",
    ],
    "limits": [
        "rest_framework.views:APIView.check_throttles",
        "accounts.throttles:PlanThrottle.allow_request",
        "accounts.throttles:AddressThrottle.allow_request",
    ],
    "view": ["rest_framework.views:APIView.dispatch"],
    "placement": ["tenancy.access:with_collection", "tenancy.catalog:get_tenant"],
    "driver": [
        *(
            f"pymongo.synchronous.collection:Collection.{name}"
            for name in (
                "find", "find_one", "find_raw_batches", "insert_one", "find_one_and_update",
                "find_one_and_delete", "bulk_write", "with_options",
            )
        ),
        "pymongo.synchronous.database:Database.command",
        "pymongo.synchronous.cursor:Cursor.next",
        "pymongo.synchronous.cursor:Cursor.__next__",
        "pymongo.synchronous.cursor:Cursor.to_list",
        "tenancy.mongo.raw_batches:decode_batch",
    ],
    "JSON": [
        "tenancy.mongo.extended_json:dumps", "tenancy.mongo.extended_json:dumps_lines",
        "tenancy.mongo.extended_json:loads", "orjson:dumps", "orjson:loads",
    ],
}  # fmt: skip
PARTS = (BASE, *BOUNDARIES)
OUTSIDE = -1
CALIBRATIONS = 20_000


class _Account(threading.local):
    """The account of a thread: nanoseconds and visits of each part, and where it is now."""

    def __init__(self) -> None:
        self.part, self.mark = OUTSIDE, 0
        self.spent, self.entered, self.left = ([0] * len(PARTS) for _ in range(3))
        _everybodys.append((self.spent, self.entered, self.left))


_everybodys: list[tuple[list[int], list[int], list[int]]] = []
_mine = _Account()


def _switch(mine: _Account, part: int) -> None:
    """Close the account of where the thread is, and open that of another part."""
    now = time.thread_time_ns()
    mine.spent[mine.part] += now - mine.mark
    mine.mark, mine.part = now, part


def bounded(function: Callable[..., Any], part: int) -> Callable[..., Any]:
    """Return a function whose time goes to a part, unless no request is being answered."""

    @wraps(function)
    def noting(*args: Any, **options: Any) -> Any:
        mine, before = _mine, _mine.part
        if before in (part, OUTSIDE):
            return function(*args, **options)
        mine.entered[part] += 1
        mine.left[before] += 1
        _switch(mine, part)
        try:
            return function(*args, **options)
        finally:
            _switch(mine, before)

    return noting


@contextmanager
def in_request() -> Iterator[None]:
    """Let what is done here be Django's, except what is in other parts."""
    _mine.part, _mine.mark = 0, time.thread_time_ns()
    try:
        yield
    finally:
        _switch(_mine, OUTSIDE)


def calibrate() -> tuple[float, float]:
    """Return the nanoseconds that a visit adds to the part that is entered, and to the other."""

    def nothing() -> None: ...

    noting, mine = bounded(nothing, 1), _mine
    with in_request():
        for _ in range(CALIBRATIONS):
            nothing()
    plain = mine.spent[0]
    with in_request():
        for _ in range(CALIBRATIONS):
            noting()
    inside, outside = mine.spent[1], mine.spent[0] - 2 * plain
    for each in (mine.spent, mine.entered, mine.left):
        each[:] = [0] * len(PARTS)
    return inside / CALIBRATIONS, max(outside, 0) / CALIBRATIONS


def install() -> None:
    """Put the boundaries into place, wherever somebody has imported what they are on."""
    for part, targets in enumerate(BOUNDARIES.values(), start=1):
        for target in targets:
            owner, name = find(target)
            original = getattr(owner, name)
            setattr(owner, name, bounded(original, part))
            if isinstance(owner, ModuleType):
                _replace(original, getattr(owner, name))


def find(target: str) -> tuple[Any, str]:
    """Return the module or class that a boundary is in, and its name there. Raises AttributeError.

    Raises ImportError, too: what was moved is to be named anew.
    """
    module_name, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module_name)
    for each in owners:
        owner = getattr(owner, each)
    getattr(owner, name)
    return owner, name


def _replace(original: Any, noting: Any) -> None:
    """Put one function in another's place, wherever it was imported by name."""
    for module in list(sys.modules.values()):
        for key, value in list(getattr(module, "__dict__", {}).items()):
            if value is original:
                with suppress(AttributeError, TypeError):
                    setattr(module, key, noting)


def spent(overhead: tuple[float, float]) -> tuple[dict[str, float], float]:
    """Return microseconds of each part without the overhead, and of all together with it.

    `overhead` is what `calibrate` said. Call it while nothing is being answered.
    """
    columns = [zip(*each, strict=True) for each in zip(*_everybodys, strict=True)]
    taken, entered, left = ([sum(column) for column in each] for each in columns)
    inside, outside = overhead
    parts = {
        name: (taken[part] - entered[part] * inside - left[part] * outside) / 1000
        for part, name in enumerate(PARTS)
    }
    return parts, sum(taken) / 1000
