"""Rows of single requests: a document and a page of them, read and written; the organization."""

from collections.abc import Iterator
from dataclasses import replace as replaced

import orjson

from benchmarks.comparison import Comparison, Pace, measure, ratio
from benchmarks.figures import Bar, Figure, figure
from benchmarks.http_client import HttpPlan, request
from benchmarks.raw_client import RawPlan
from benchmarks.stage import DATA, DATABASE, NAME, NAMESPACE, Stage, document, fill

# Read by id, of a collection of its own; and lists of one that is large, by an index.
IDS, READ, LISTED = "d%d", 2_000, 200_000
DOCUMENTS = f"{DATA}main/documents"
WANTED = {"state": "paid", "shard": 1}
INDEX: list[tuple[str, int]] = [("state", 1), ("shard", 1)]
LIMIT = 100
MAX_SERVER_US = 450.0
LIST_MIN, FILTERED_MIN, READ_MIN, WRITE_MIN, ORGANIZATION_MIN = 0.5, 0.5, 0.45, 0.45, 0.35


def read(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Read a document by its id."""
    with stage.documents(f"{NAMESPACE}.read") as documents:
        stage.ask("POST", "/api/v1/collections", {"name": "read"})
        fill(documents, READ, IDS)
    paths = [f"{DATA}read/documents/{IDS % number}" for number in range(READ)]
    raw = _raw(stage, "read", {"ids": IDS, "total": READ}, "read")
    row = Comparison(
        "read by id",
        HttpPlan(stage.port, [stage.request("GET", path) for path in paths]),
        raw,
        Bar(at_least=READ_MIN),
    )
    row = _beside_eight(stage, row, raw)
    measured = measure(row, stage.workers, pace)
    yield ratio(row, measured)
    yield figure(
        "read by id: CPU of the server, each", measured.server_us,
        bar=Bar(at_most=MAX_SERVER_US), unit="us",
    )  # fmt: skip


def lists(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Read a page of documents, and one of those that a filter finds by an index."""
    with stage.documents() as documents:
        fill(documents, LISTED)
    stage.ask("POST", f"{DATA}main/indexes", {"keys": INDEX})
    yield _compare(stage, pace, _list(stage, "list of 100", "", {}, LIST_MIN))
    query = "&".join(f"{name}={value}" for name, value in WANTED.items())
    row = _list(stage, f"list of 100, filtered, of {LISTED:,}", f"&{query}", WANTED, FILTERED_MIN)
    yield _compare(stage, pace, row)
    found = stage.ask("POST", f"{DATA}main/explain", {"filter": WANTED})
    yield Figure(
        "list of 100, filtered: documents looked at", found["documents_examined"],
        bar=Bar(at_most=LIMIT), absolutes={"index": found["index"]},
    )  # fmt: skip


def _list(
    stage: Stage, name: str, query: str, wanted: dict[str, object], at_least: float
) -> Comparison:
    path = f"{DOCUMENTS}?limit={LIMIT}{query}"
    if len(stage.ask("GET", path)["data"]) != LIMIT:
        raise RuntimeError(f"{path} does not have {LIMIT} documents.")
    return Comparison(
        name,
        HttpPlan(stage.port, [stage.request("GET", path)]),
        _raw(stage, "list", {"wanted": wanted, "limit": LIMIT}),
        Bar(at_least=at_least),
    )


def create(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Store a document."""
    body = orjson.dumps(document(1))
    yield _compare(
        stage,
        pace,
        Comparison(
            "create",
            HttpPlan(stage.port, [stage.request("POST", f"{DATA}made/documents", body)]),
            _raw(stage, "create", {"body": body}, "raw_made"),
            Bar(at_least=WRITE_MIN),
        ),
    )


def replace(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Put a document in another's place, if that has the revision that it should have."""
    body = orjson.dumps(document(1))
    for connection in range(HttpPlan.connections):
        stage.ask("PUT", f"{DATA}put/documents/p{connection}", document(0))
    template = stage.request(
        "PUT", f"{DATA}put/documents/p%(connection)d", body, **{"If-Match": '"r%(nth)d"'}
    )
    yield _compare(
        stage,
        pace,
        Comparison(
            "replace with If-Match",
            HttpPlan(stage.port, [template], numbered=True),
            _raw(stage, "replace", {"ids": "p%d", "body": body}, "raw_put"),
        ),
    )


def organization(stage: Stage, pace: Pace) -> Iterator[Figure]:
    """Read the organization, by both routes, beside a bare answer of the same server."""
    bare = HttpPlan(stage.port, [request("GET", "/livez")])
    for name, path in (
        ("GET /organization", "/api/v1/organization"),
        ("GET /org/get", f"/org/get?organization_name={NAME}"),
    ):
        ours = HttpPlan(stage.port, [stage.request("GET", path)])
        at_least = Bar(at_least=ORGANIZATION_MIN)
        yield _compare(stage, pace, Comparison(name, ours, bare, at_least, raw_name="/livez"))


def _beside_eight(stage: Stage, row: Comparison, raw: RawPlan) -> Comparison:
    """Compare with PyMongo in as many threads as the service has at work; and in eight."""
    # Each thread that replaces has its own document: two processes of them need two collections.
    aside = f"{raw.collection}_eight" if raw.task == "replace" else raw.collection
    return replaced(
        row,
        threads_at_work=stage.lanes,
        other=replaced(raw, collection=aside),
        other_name=f"raw x {raw.threads}",
    )


def _compare(stage: Stage, pace: Pace, row: Comparison) -> Figure:
    if isinstance(row.raw, RawPlan):
        row = _beside_eight(stage, row, row.raw)
    return ratio(row, measure(row, stage.workers, pace))


def _raw(stage: Stage, task: str, options: dict[str, object], collection: str = "") -> RawPlan:
    name = f"{NAMESPACE}.{collection}" if collection else NAMESPACE
    return RawPlan(stage.uri, DATABASE, name, task, options)
