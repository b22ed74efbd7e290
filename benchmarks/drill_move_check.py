"""Judge what a move drill found: the walk, the indexes, and the documents at the end."""

import hashlib
import json
from collections import Counter

from benchmarks.drill_check import Document, verify
from benchmarks.drill_load import Entry, preloaded_document, preloaded_id
from benchmarks.drill_move_report import MoveDrillReport, MoveFigures
from benchmarks.drill_places import Place, rich_documents
from benchmarks.drill_witness import witness_documents

INDEXES = (
    {"name": "drill_n", "keys": [["n", 1]]},
    {"name": "drill_group", "keys": [["group", 1], ["n", -1]], "sparse": True},
)


def are_indexes_kept(target: Place) -> bool:
    """Return whether the place has the indexes that were declared; the shared one has none."""
    wanted = {} if target.kind == "shared" else {
        index["name"]: {
            "v": 2, "key": [tuple(pair) for pair in index["keys"]], "name": index["name"],
            **({"sparse": True} if index.get("sparse") else {}),
        }
        for index in INDEXES
    }  # fmt: skip
    return target.index_definitions() == wanted


def judge_walk(figures: MoveFigures, walked: list[str], documents: int) -> None:
    """A walk across the move has every undisturbed document exactly once."""
    seen = Counter(walked)
    undisturbed = [preloaded_id(number) for number in range(documents)]
    undisturbed += [row["_id"] for row in witness_documents()]
    rich = sum(not name.startswith(("p-", "q-", "w")) for name in seen)
    figures.walked = len(walked)
    figures.walk_doubled = sum(count > 1 for count in seen.values())
    figures.walk_missed = sum(name not in seen for name in undisturbed)
    figures.walk_missed += sum(1 for _ in rich_documents()) - rich


def check_end(
    report: MoveDrillReport, place: Place, journal: dict[str, Entry], documents: int
) -> None:
    """Compare what is there at the end with what was loaded and what was acknowledged."""
    found = [row for row in place.documents() if isinstance(row["_id"], str)]
    report.record_verification(verify(found, journal, documents))
    known = {name for name, entry in journal.items() if entry.state != "unknown"}
    expected = _expected(journal, documents)
    report.digest_expected = _digest(expected)
    certain = [row for row in found if row["_id"] in known or row["_id"] not in journal]
    report.digest_found = _digest(certain)


def _expected(journal: dict[str, Entry], documents: int) -> list[Document]:
    """Return the documents that must be there, each with its revision."""
    entries = {
        preloaded_id(n): Entry("present", preloaded_document(n), 1) for n in range(documents)
    }
    present = [entry for entry in (entries | journal).values() if entry.state == "present"]
    return [{**entry.document, "_meta": {"rev": entry.revision}} for entry in present]


def _digest(rows: list[Document]) -> str:
    """Return the SHA-256 of documents and their revisions, in the order of their ids."""
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: str(row["_id"])):
        spelled = {**row, "_meta": row["_meta"]["rev"]}
        digest.update(json.dumps(spelled, sort_keys=True).encode())
    return digest.hexdigest()
