"""Look at the physical collections directly: what was promised against what is there."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pymongo import ASCENDING, DESCENDING, MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from benchmarks.drill_load import Entry, preloaded_document

Document = dict[str, Any]
BATCH = 1000
EXAMPLES = 10
POLL_SECONDS = 0.25
ORGANIZATION_PREFIX = "org_"


def connect(uri: str, database: str) -> tuple[MongoClient[Document], Database[Document]]:
    """Open the database the drill looks at, beside the service and not through it."""
    client: MongoClient[Document] = MongoClient(uri, w="majority", tz_aware=True)
    return client, client[database]


def loaded_documents(documents: int) -> Iterator[Document]:
    """Yield the documents that readers know, as the service stores them."""
    now = datetime.now(UTC)
    meta = {"rev": 1, "created_at": now, "updated_at": now, "by": "drill"}
    for number in range(documents):
        yield {**preloaded_document(number), "_meta": meta}


def preload(collection: Collection[Document], documents: int) -> None:
    """Fill the collection with the documents that readers know, and give it two indexes."""
    for batch in batched(loaded_documents(documents), BATCH):
        collection.insert_many(batch)
    collection.create_index([("n", ASCENDING)], name="drill_n")
    collection.create_index(
        [("group", ASCENDING), ("n", DESCENDING)], name="drill_group", sparse=True
    )


def batched(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Yield the documents in lists of `size`; the last one may be shorter."""
    rest = iter(documents)
    while batch := list(islice(rest, size)):
        yield batch


def index_definitions(collection: Collection[Document]) -> dict[str, Document]:
    """Return every index by its name, with its whole definition; keys as ordered pairs."""
    return {
        index["name"]: {**index, "key": list(index["key"].items())}
        for index in collection.list_indexes()
    }


def leftovers(database: Database[Document], namespace: str) -> list[str]:
    """Return the organization collections and views that are not of this namespace."""
    return sorted(
        name
        for name in database.list_collection_names()
        if name.startswith(ORGANIZATION_PREFIX)
        and name != namespace
        and not name.startswith(f"{namespace}.")
    )


def wait_for_no_leftovers(
    database: Database[Document], namespace: str, seconds: float
) -> tuple[list[str], float]:
    """Wait until nothing is left at old names; return what is left and how long it took."""
    started = time.monotonic()
    while True:
        left = leftovers(database, namespace)
        waited = time.monotonic() - started
        if not left or waited > seconds:
            return left, waited
        time.sleep(POLL_SECONDS)


@dataclass(slots=True)
class Verification:
    """How the collection differs from what the service acknowledged."""

    checked: int = 0
    lost: int = 0
    resurrected: int = 0
    doubled: int = 0
    phantom: int = 0
    revision_gaps: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, what: str, document_id: object, detail: object = "") -> None:
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{what} {document_id} {detail}".rstrip()[:300])


def verify(found: Iterable[Document], journal: Mapping[str, Entry], documents: int) -> Verification:
    """Compare every document with the journal and with what was loaded before the drill."""
    outcome = Verification()
    actual = {document["_id"]: document for document in found}
    expected: dict[str, Entry] = {}
    for number in range(documents):
        document = preloaded_document(number)
        expected[document["_id"]] = Entry("present", document, 1)
    expected.update(journal)
    for document_id, entry in expected.items():
        _compare(outcome, document_id, entry, actual.get(document_id))
    _count_strangers(outcome, expected, actual)
    return outcome


def _compare(
    outcome: Verification, document_id: str, entry: Entry, actual: Document | None
) -> None:
    outcome.checked += 1
    if entry.state == "deleted" and actual is not None:
        outcome.resurrected += 1
        outcome.note("resurrected", document_id, actual)
    if entry.state != "present":
        return
    if actual is None:
        outcome.lost += 1
        outcome.note("lost", document_id)
        return
    fields = {name: value for name, value in actual.items() if name != "_meta"}
    if fields != entry.document:
        outcome.lost += 1
        outcome.note("stale", document_id, f"{fields} instead of {entry.document}")
    if actual.get("_meta", {}).get("rev") != entry.revision:
        outcome.revision_gaps += 1


def _count_strangers(
    outcome: Verification, expected: Mapping[str, Entry], actual: Mapping[Any, Document]
) -> None:
    for document_id in actual.keys() - expected.keys():
        outcome.phantom += 1
        outcome.note("phantom", document_id)
    keys = Counter(str(document.get("key")) for document in actual.values())
    for key, count in keys.items():
        if count > 1:
            outcome.doubled += 1
            outcome.note("doubled", key, f"{count} times")
