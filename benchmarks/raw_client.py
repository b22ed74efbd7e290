"""The counterpart of a request: the same through PyMongo alone, with as many threads, in a process.

    with LoadProcess(RawPlan(uri, "bench", "org_bench", "list", {"limit": 100})) as load:
        turn = load.run(seconds=1.0)

Each task makes what a client gets, or takes what a client sends: JSON, by orjson. What it needs of
the product is nothing.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from bson import ObjectId
from bson.decimal128 import Decimal128
from pymongo import MongoClient
from pymongo.collection import Collection

from benchmarks.load_process import LoadFailed, Make, Turn

Documents = Collection[dict[str, Any]]
Task = Callable[[int], int]
START_SECONDS = 30.0


def spell(value: Any) -> Any:
    """Spell the types that orjson does not have, as a plain script would."""
    if isinstance(value, ObjectId | Decimal128):
        return str(value)
    raise TypeError(type(value).__name__)


def _read(documents: Documents, ids: str, total: int) -> Task:
    """Find one document by its id, of `total` of them: `ids` is their pattern."""

    def read(number: int) -> int:
        if documents.find_one({"_id": ids % (number % total)}) is None:
            raise LoadFailed("Nothing was found.")
        return 0

    return read


def _list(documents: Documents, wanted: Mapping[str, Any], limit: int) -> Task:
    """Make the JSON of a page."""

    def page(_: int) -> int:
        found = list(documents.find(wanted).sort("_id").limit(limit))
        if len(found) != limit:
            raise LoadFailed(f"{len(found)} documents were found, not {limit}.")
        return len(orjson.dumps(found, default=spell))

    return page


def _create(documents: Documents, body: bytes) -> Task:
    """Parse a document and store it."""

    def create(_: int) -> int:
        documents.insert_one(orjson.loads(body))
        return 0

    return create


def _replace(documents: Documents, ids: str, body: bytes) -> Task:
    """Parse a document and put it in another's place, if that has the revision it should have.

    Each thread has a document of its own, which is there with `_meta.rev` 1.
    """
    own = threading.local()
    names = itertools.count()

    def replace(_: int) -> int:
        if not hasattr(own, "id"):
            own.id, own.revision = ids % next(names), 1
            documents.replace_one(
                {"_id": own.id}, {"n": 0, "_meta": {"rev": own.revision}}, upsert=True
            )
        wanted = {"_id": own.id, "_meta.rev": own.revision}
        own.revision += 1
        new = {**orjson.loads(body), "_meta": {"rev": own.revision}}
        if documents.replace_one(wanted, new).matched_count != 1:
            raise LoadFailed("A document had another revision.")
        return 0

    return replace


def _bulk(documents: Documents, body: bytes) -> Task:
    """Parse the body of a bulk and store its documents."""

    def insert(_: int) -> int:
        operations = orjson.loads(body)["operations"]
        documents.insert_many([each["document"] for each in operations])
        return 0

    return insert


def _export(documents: Documents) -> Task:
    """Make a line of JSON of every document, in the order of their ids."""

    def export(_: int) -> int:
        return sum(
            len(orjson.dumps(found, default=spell, option=orjson.OPT_APPEND_NEWLINE))
            for found in documents.find().sort("_id")
        )

    return export


TASKS: dict[str, Callable[..., Task]] = {
    "read": _read, "list": _list, "create": _create, "replace": _replace, "bulk": _bulk,
    "export": _export,
}  # fmt: skip


@dataclass(frozen=True)
class RawPlan:
    """One of TASKS with its options, on a collection."""

    uri: str
    database: str
    collection: str
    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 8

    def start(self) -> Make:
        """Return the function that makes the load."""
        client = MongoClient[dict[str, Any]](self.uri, w="majority")
        documents = client[self.database][self.collection]
        return Threads(TASKS[self.task](documents, **self.options), self.threads).run


class Threads:
    """As many threads as the server has; each does its task again and again."""

    def __init__(self, task: Task, threads: int) -> None:
        self._task, self._threads = task, threads
        self._numbers = itertools.count()

    def run(self, seconds: float) -> Turn:
        """Let every thread do its task until the time is over, and at least once."""
        parts = [Turn() for _ in range(self._threads)]
        failures: list[Exception] = []
        start = threading.Barrier(self._threads + 1)

        def loop(part: Turn) -> None:
            start.wait(START_SECONDS)
            try:
                self._repeat(part, seconds)
            except Exception as error:  # noqa: BLE001 -- raised again below
                failures.append(error)

        threads = [threading.Thread(target=loop, args=(part,), daemon=True) for part in parts]
        for thread in threads:
            thread.start()
        cpu, began = time.process_time(), time.perf_counter()
        start.wait(START_SECONDS)
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return _sum(parts, time.perf_counter() - began, time.process_time() - cpu)

    def _repeat(self, part: Turn, seconds: float) -> None:
        deadline = time.perf_counter() + seconds
        before = time.perf_counter()
        while True:
            part.body_bytes += self._task(next(self._numbers))
            now = time.perf_counter()
            part.latencies.append(now - before)
            before = now
            if now >= deadline:
                return


def _sum(parts: list[Turn], seconds: float, cpu_seconds: float) -> Turn:
    total = Turn(seconds, cpu_seconds)
    for part in parts:
        total.latencies.extend(part.latencies)
        total.body_bytes += part.body_bytes
    return total
