"""What the data API costs: lists, bulk inserts and exports beside the same work through PyMongo.

    python -m benchmarks.data_api [--full] [--seconds 3] [--rounds 3]

Each row is measured turn and turn about with its counterpart, in one run, against one server
process with its own mongod, and has a bar: a ratio that it must reach. The counterpart makes what a
client gets: documents and their JSON. Figures go to var/bench.json, too.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from bson import ObjectId
from bson.decimal128 import Decimal128
from pymongo import MongoClient
from pymongo.collection import Collection

from benchmarks.local_processes import PROJECT, free_port, start_mongod, start_server, stop_process
from benchmarks.memory import memory_mb, watched
from benchmarks.request_path import DATABASE, SERVE, Stage, rate, sign_up

OUTPUT = PROJECT / "var" / "bench.json"
DOCUMENTS, EXPORTED, EXPORTED_IN_FULL = 200_000, 200_000, 1_000_000
BATCH = 1_000
STATES = ("open", "paid", "sent", "closed")
MIN_EXPORT_SHARE, MAX_GROWTH_MB = 0.6, 64
Call = Callable[[], object]
SCHEMA = {
    "type": "object",
    "required": ["name", "price"],
    "properties": {
        "name": {"type": "string", "maxLength": 100},
        "price": {"type": "number", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}},
        "address": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@dataclass(frozen=True)
class Figure:
    """A row: how fast it was beside its counterpart, and whether that is enough."""

    row: str
    ratio: float
    spread: tuple[float, float]
    bar: float
    note: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether the bar was not reached."""
        return self.ratio < self.bar


def document(number: int) -> dict[str, Any]:
    """Return one of many documents of an ordinary shape."""
    return {
        "name": f"Name {number}",
        "email": f"n{number}@example.com",
        "n": number,
        "price": number / 7,
        "state": STATES[number % 4],
        "shard": number % 2_000,
        "tags": ["a", "b"],
        "address": {"city": "Lyon", "zip": "69001"},
        "note": None if number % 2 else "a few words",
    }


def stored(number: int) -> dict[str, Any]:
    """Return the same as it is in MongoDB, with its metadata."""
    at = datetime(2026, 1, 1) + timedelta(milliseconds=37 * number)
    meta = {"rev": 1, "created_at": at, "updated_at": at, "by": "user:bench"}
    return {"_id": ObjectId(), **document(number), "_meta": meta}


def spell(value: Any) -> Any:
    """Spell the one type that orjson does not have, as a plain script would."""
    if isinstance(value, ObjectId | Decimal128):
        return str(value)
    raise TypeError(type(value).__name__)


def raw_json(documents: list[dict[str, Any]]) -> bytes:
    """Return the JSON of documents."""
    return orjson.dumps(documents, default=spell)


def compare(name: str, ours: Call, raw: Call, bar: float, rounds: int) -> Figure:
    """Time two calls by turns, after one of each to warm up."""
    ours(), raw()
    ratios = []
    for _ in range(rounds):
        own, other = timed(ours), timed(raw)
        ratios.append(other / own)
    return figure(name, ratios, bar)


def figure(name: str, ratios: list[float], bar: float, note: str = "") -> Figure:
    """Return the median of some ratios and their spread."""
    spread = (round(min(ratios), 3), round(max(ratios), 3))
    return Figure(name, round(statistics.median(ratios), 3), spread, bar, note)


def timed(call: Call) -> float:
    """Return how many seconds a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


class DataBench:
    """The rows, against a running service."""

    def __init__(
        self, stage: Stage, collection: Collection[dict[str, Any]], pid: int,
        options: argparse.Namespace,
    ) -> None:  # fmt: skip
        self._stage, self._collection, self._pid = stage, collection, pid
        self._options = options
        self._path = "/api/v1/collections/main"

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._stage.port, timeout=120)
        headers = {
            "Authorization": f"Bearer {self._stage.token}",
            "Content-Type": "application/json",
        }
        connection.request(method, f"{self._path}{path}", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} was answered {answer.status}: {text[:300]!r}")
        return text

    def rows(self) -> Iterator[Figure]:
        """Measure everything."""
        self._fill(DOCUMENTS)
        self.ask("POST", "/indexes", b'{"keys": [["state", 1], ["shard", 1]]}')
        yield self._list("list 100 documents", "?limit=100", {}, 0.5)
        wanted = {"state": "paid", "shard": 1}
        yield self._list("list 100, filtered by an index", "?state=paid&shard=1&limit=100",
                         wanted, 0.5)  # fmt: skip
        yield self._pages()
        yield self._bulk()
        yield from self._export()

    def _fill(self, documents: int) -> None:
        have = self._collection.estimated_document_count()
        for start in range(have, documents, 10_000):
            numbers = range(start, min(start + 10_000, documents))
            self._collection.insert_many([stored(number) for number in numbers])

    def _list(self, name: str, query: str, wanted: dict[str, Any], bar: float) -> Figure:
        def find(_: int) -> None:
            raw_json(list(self._collection.find(wanted).sort("_id").limit(100)))

        options, path = self._options, f"{self._path}/documents{query}"
        ratios = [
            rate(lambda: self._stage.request("GET", lambda _: path), options.threads,
                 options.seconds)
            / rate(lambda: find, options.threads, options.seconds)
            for _ in range(options.rounds)
        ]  # fmt: skip
        return figure(name, ratios, bar)

    def _pages(self) -> Figure:
        """Return how much page 1,000 takes beside page 1: following a cursor must stay cheap."""
        cursor, first = "", f"/documents?limit={BATCH // 10}"
        for _ in range(999):
            answer = orjson.loads(self.ask("GET", first + cursor))
            cursor = f"&cursor={answer['page']['next']}"

        def many(path: str) -> Call:
            return lambda: [self.ask("GET", path) for _ in range(50)]

        rounds = self._options.rounds
        return compare("page 1,000 beside page 1", many(first + cursor), many(first), 0.67, rounds)

    def _bulk(self) -> Figure:
        """Return a bulk of inserts, with a schema, beside `json` and `insert_many`: one body."""
        schema = json.dumps({"json_schema": SCHEMA, "mode": "enforce"}).encode()
        self.ask("PUT", "/schema", schema)
        operations = [{"op": "insert", "document": document(n)} for n in range(BATCH)]
        body = json.dumps({"operations": operations}).encode()
        scratch = self._collection.database["scratch"]
        scratch.create_index([("state", 1), ("shard", 1)])

        # The same parsing, documents and index as the service has.
        figure = compare(
            "bulk insert of 1,000, with a schema",
            lambda: self.ask("POST", "/bulk", body),
            lambda: scratch.insert_many(
                [each["document"] for each in json.loads(body)["operations"]]
            ),
            0.67,
            4 * self._options.rounds,
        )
        self.ask("PUT", "/schema", b'{"json_schema": {}, "mode": "off"}')
        return figure

    def _export(self) -> Iterator[Figure]:
        total = EXPORTED_IN_FULL if self._options.full else EXPORTED
        self._fill(total)
        self.ask("GET", "/export")  # what a first export needs once is not growth
        low = memory_mb(self._pid)
        peaks: list[float] = []

        def raw() -> None:
            for found in self._collection.find().sort("_id"):
                orjson.dumps(found, default=spell, option=orjson.OPT_APPEND_NEWLINE)

        ratios = []
        for _ in range(1 if self._options.full else self._options.rounds):
            with watched(self._pid, peaks):
                own = timed(self._read_export)
            ratios.append(timed(raw) / own)
        yield figure(f"export of {total:,}", ratios, MIN_EXPORT_SHARE)
        growth = max(peaks) - low
        yield Figure(
            "memory during the export", round(MAX_GROWTH_MB / max(growth, 1), 3), (0, 0), 1.0,
            f"{low:.0f} MB before, {max(peaks):.0f} MB at most; at most {MAX_GROWTH_MB} MB more",
        )  # fmt: skip

    def _read_export(self) -> None:
        """Read an export as it comes, and keep none of it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._stage.port, timeout=300)
        headers = {"Authorization": f"Bearer {self._stage.token}"}
        connection.request("GET", f"{self._path}/export", headers=headers)
        answer = connection.getresponse()
        while answer.read(1 << 20):
            pass
        connection.close()


def run(options: argparse.Namespace) -> list[Figure]:
    """Start a service of its own, measure, end it."""
    with tempfile.TemporaryDirectory(prefix="tenantry-bench-") as folder:
        home = Path(folder)
        mongod = start_mongod(home / "mongod")
        processes = []
        try:
            port = free_port()
            settings = {
                "PORT": str(port), "TENANTRY_HOME": str(home / "home"), "MONGODB_URI": mongod.uri,
                "TENANCY_DATABASE": DATABASE, "RATE_LIMITS": "off", "ACCESS_TOKEN_MINUTES": "60",
            }  # fmt: skip
            processes.append(start_server(SERVE, settings, home / "serve.log"))
            stage = Stage(port, mongod.uri, *sign_up(port))
            with MongoClient[dict[str, Any]](mongod.uri, w="majority") as client:
                collection = client[DATABASE][stage.namespace]
                bench = DataBench(stage, collection, processes[0].pid, options)
                return [told(each) for each in bench.rows()]
        finally:
            for process in processes:
                stop_process(process)
            mongod.stop(threading.Event())


def told(each: Figure) -> Figure:
    """Say a figure as soon as it is there."""
    low, high = each.spread
    missed = "  MISSED" if each.is_missed else ""
    spread = f"{low} .. {high}"
    line = f"{each.row:38}{each.ratio:>8}{spread:>18}{each.bar:>7}{missed}  {each.note}"
    print(line.rstrip(), flush=True)
    return each


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--full", action="store_true", help="export 1,000,000 documents")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    print(f"{'':38}{'ratio':>8}{'spread':>18}{'bar':>7}")
    kept = [asdict(each) | {"missed": each.is_missed} for each in run(options)]
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
