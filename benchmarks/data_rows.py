"""Rows of much data at once: a bulk of inserts, an export and its memory, the thousandth page."""

from collections.abc import Iterator

import orjson

from benchmarks.comparison import Comparison, Pace, measure, ratio
from benchmarks.consumption import memory_mb, watched
from benchmarks.figures import Bar, Figure
from benchmarks.http_client import HttpPlan
from benchmarks.raw_client import RawPlan
from benchmarks.request_rows import DOCUMENTS, INDEX, LIMIT, LISTED
from benchmarks.stage import DATA, DATABASE, NAMESPACE, Stage, document, fill

BULK = 1_000
EXPORTED_IN_FULL = 1_000_000
PAGE = 1_000
BULK_MIN, PAGE_MIN, EXPORT_MIN, MAX_GROWTH_MB = 0.67, 0.67, 0.6, 64.0
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


def bulk(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Store 1,000 documents in one request, checked against a schema: by the same index."""
    stage.ask("POST", "/api/v1/collections", {"name": "bulk"})
    stage.ask("POST", f"{DATA}bulk/indexes", {"keys": INDEX})
    stage.ask("PUT", f"{DATA}bulk/schema", {"json_schema": SCHEMA, "mode": "enforce"})
    raw = f"{NAMESPACE}.raw_bulk"
    with stage.documents(raw) as documents:
        documents.create_index(INDEX)
    operations = [{"op": "insert", "document": document(number)} for number in range(BULK)]
    body = orjson.dumps({"operations": operations})
    row = Comparison(
        f"bulk of {BULK:,}, with a schema",
        HttpPlan(stage.port, [stage.request("POST", f"{DATA}bulk/bulk", body)], connections=1),
        RawPlan(stage.uri, DATABASE, raw, "bulk", {"body": body}, threads=1),
        Bar(at_least=BULK_MIN),
    )
    yield ratio(row, measure(row, stage.workers, pace))


def page(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Read page 1,000 of a list beside page 1: following a cursor stays cheap."""
    with stage.documents() as documents:
        fill(documents, LISTED)
    first = path = f"{DOCUMENTS}?limit={LIMIT}"
    for _ in range(PAGE - 1):
        path = f"{first}&cursor={stage.ask('GET', path)['page']['next']}"
    row = Comparison(
        f"page {PAGE:,} beside page 1",
        HttpPlan(stage.port, [stage.request("GET", path)], connections=1),
        HttpPlan(stage.port, [stage.request("GET", first)], connections=1),
        Bar(at_least=PAGE_MIN),
        raw_name="page 1",
    )
    yield ratio(row, measure(row, stage.workers, pace))


def export(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Read all documents of a collection, and how much memory the server takes meanwhile."""
    total = EXPORTED_IN_FULL if pace.full else LISTED
    with stage.documents() as documents:
        fill(documents, total)
    ours = HttpPlan(stage.port, [stage.request("GET", f"{DATA}main/export")], connections=1)
    row = Comparison(
        f"export of {total:,}",
        ours,
        RawPlan(stage.uri, DATABASE, NAMESPACE, "export", threads=1),
        Bar(at_least=EXPORT_MIN),
        once=True,
    )
    ours.start()(0.0)  # what a first export needs once is not growth
    before, peaks = memory_mb(stage.workers), list[float]()
    with watched(stage.workers, peaks):
        measured = measure(row, stage.workers, Pace(1 if pace.full else min(pace.rounds, 4)))
    yield ratio(row, measured)
    yield Figure(
        "export: growth of the server's memory", round(max(peaks) - before, 1),
        bar=Bar(at_most=MAX_GROWTH_MB), unit="MB",
        absolutes={"before MB": round(before, 1), "at most MB": round(max(peaks), 1)},
    )  # fmt: skip
