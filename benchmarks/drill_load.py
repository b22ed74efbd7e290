"""The load of a drill: writers that journal what was acknowledged, readers that know the truth.

Each runs in a process of its own, so that nothing but the service is shared between them.
"""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any, Literal
from urllib.parse import quote

from benchmarks.drill_client import DOCUMENTS, Account, Answer, DrillClient, Tally

GROUPS = 97
MAX_LIVE_DOCUMENTS = 400
LIST_SHARE = 0.25
CREATE_BY_PUT_SHARE = 0.3
OPERATION_WEIGHTS = {"create": 35, "replace": 20, "patch": 30, "delete": 15}

State = Literal["present", "deleted", "unknown"]


def preloaded_id(number: int) -> str:
    """The id of a document loaded before the drill; these sort before every writer's ids."""
    return f"p-{number:07d}"


def preloaded_document(number: int) -> dict[str, Any]:
    """The fields of that document; nobody changes them."""
    return {
        "_id": preloaded_id(number),
        "key": preloaded_id(number),
        "n": number,
        "group": number % GROUPS,
        "text": f"document {number} " + "x" * (number % 200),
    }


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What one worker process is told."""

    number: int
    role: Literal["writer", "reader"]
    port: int
    account: Account
    token: str
    documents: int
    page_limit: int
    ends_at: float  # seconds since the epoch: nobody outlives this


@dataclass(slots=True)
class Entry:
    """What the service has promised about one document."""

    state: State
    document: dict[str, Any] = field(default_factory=dict)
    revision: int = 0


@dataclass(slots=True)
class LoadResult:
    """What one worker process saw."""

    role: str
    tally: Tally
    journal: dict[str, Entry] = field(default_factory=dict)
    acknowledged: int = 0  # writes
    answered: int = 0  # reads
    false_negatives: list[str] = field(default_factory=list)
    wrong_reads: list[str] = field(default_factory=list)


def run_load(plan: LoadPlan, stop: Event, pipe: Connection) -> None:
    """Body of a worker process: say when it is under way, work until told, send the result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    client = DrillClient(plan.port, plan.account, plan.token)
    worker = Writer(plan, client) if plan.role == "writer" else Reader(plan, client)
    try:
        with suppress(BrokenPipeError):  # the parent gave up on the drill
            worker.step()
            pipe.send("under way")
            while not stop.is_set() and time.time() < plan.ends_at:
                worker.step()
            pipe.send(worker.result)
    finally:
        client.close()
        pipe.close()


class Writer:
    """Creates, replaces, patches and deletes documents that no other writer touches."""

    def __init__(self, plan: LoadPlan, client: DrillClient) -> None:
        self.result = LoadResult("writer", client.tally)
        self._plan = plan
        self._client = client
        self._random = random.Random(plan.number)
        self._live: list[str] = []
        self._created = 0
        self._serial = 0
        self._steps: dict[str, Callable[[], None]] = {
            "create": self._create,
            "replace": self._replace,
            "patch": self._patch,
            "delete": self._delete,
        }

    def step(self) -> None:
        """Do one write."""
        self._serial += 1
        names, weights = list(OPERATION_WEIGHTS), list(OPERATION_WEIGHTS.values())
        name = self._random.choices(names, weights)[0]
        if len(self._live) > MAX_LIVE_DOCUMENTS:
            name = "delete"
        self._steps[name if self._live else "create"]()

    def _create(self) -> None:
        document_id = f"w{self._plan.number}-{self._created:07d}"
        self._created += 1
        document = {"_id": document_id, **self._content(document_id)}
        if self._random.random() < CREATE_BY_PUT_SHARE:
            answer = self._send("PUT", document_id, _without_id(document))
        else:
            answer = self._client.call("POST", "POST", DOCUMENTS, document)
        if answer.ok:
            self._live.append(document_id)
            self._acknowledge(document_id, Entry("present", document, 1))
        elif answer.happened_perhaps:
            self.result.journal[document_id] = Entry("unknown")

    def _replace(self) -> None:
        document_id = self._random.choice(self._live)
        document = {"_id": document_id, **self._content(document_id)}
        answer = self._send("PUT", document_id, _without_id(document))
        if answer.status == 201:
            self._missed("PUT", document_id, "created what existed")
        self._settle(document_id, answer, document)

    def _patch(self) -> None:
        # Every patch leaves a mark of its own, so a lost one shows even after later ones.
        document_id = self._random.choice(self._live)
        known = self.result.journal[document_id].document
        mark = {str(self._serial): True}
        patch = {"n": self._serial, "patches": mark}
        answer = self._send("PATCH", document_id, patch)
        after = {**known, "n": self._serial, "patches": {**known["patches"], **mark}}
        self._settle(document_id, answer, after)

    def _delete(self) -> None:
        document_id = self._random.choice(self._live)
        answer = self._send("DELETE", document_id)
        if answer.ok:
            self._live.remove(document_id)
            self._acknowledge(document_id, Entry("deleted"))
        else:
            self._settle(document_id, answer, {})

    def _send(self, method: str, document_id: str, body: Any = None) -> Answer:
        return self._client.call(method, method, f"{DOCUMENTS}/{document_id}", body)

    def _settle(self, document_id: str, answer: Answer, after: dict[str, Any]) -> None:
        """Journal what an answer about an existing document promises; a 4xx changes nothing."""
        before = self.result.journal[document_id]
        if answer.ok:
            self._acknowledge(document_id, Entry("present", after, before.revision + 1))
        elif answer.happened_perhaps:
            self._live.remove(document_id)
            self.result.journal[document_id] = Entry("unknown")
        elif answer.status == 404:
            self._missed("write", document_id, "404")

    def _acknowledge(self, document_id: str, entry: Entry) -> None:
        self.result.acknowledged += 1
        self.result.journal[document_id] = entry

    def _missed(self, method: str, document_id: str, what: str) -> None:
        self.result.false_negatives.append(f"{method} {document_id}: {what}")

    def _content(self, document_id: str) -> dict[str, Any]:
        group = self._random.randrange(GROUPS)
        return {"key": document_id, "n": self._serial, "group": group, "patches": {}}


class Reader:
    """Reads documents that are known to exist, one by one and page by page."""

    def __init__(self, plan: LoadPlan, client: DrillClient) -> None:
        self.result = LoadResult("reader", client.tally)
        self._plan = plan
        self._client = client
        self._random = random.Random(plan.number)
        self._position = 0
        self._cursor = ""

    def step(self) -> None:
        """Read one document or the next page."""
        if self._random.random() < LIST_SHARE:
            self._list()
        else:
            self._get()

    def _get(self) -> None:
        expected = preloaded_document(self._random.randrange(self._plan.documents))
        answer = self._client.call("GET", "GET", f"{DOCUMENTS}/{expected['_id']}")
        if answer.status == 404:
            self.result.false_negatives.append(f"GET {expected['_id']}: 404")
        self.result.answered += answer.ok
        if answer.ok and _plain(answer.body) != expected:
            self.result.wrong_reads.append(f"GET {expected['_id']}: {str(answer.body)[:200]}")

    def _list(self) -> None:
        """Read the next page of a walk; its ids are known, as preloaded ones sort first."""
        limit = min(self._plan.page_limit, self._plan.documents)
        query = f"?limit={limit}" + (f"&cursor={quote(self._cursor)}" if self._cursor else "")
        answer = self._client.call("LIST", "GET", DOCUMENTS + query)
        start, self._position = self._position, self._position + limit
        self._cursor = (answer.body["page"]["next"] or "") if answer.ok else ""
        self.result.answered += answer.ok
        if answer.status == 404:
            self.result.false_negatives.append(f"LIST at {start}: 404")
        elif answer.ok:
            self._check_page(start, limit, [row["_id"] for row in answer.body["data"]])
        if not self._cursor or self._position + limit > self._plan.documents:
            self._position, self._cursor = 0, ""

    def _check_page(self, start: int, limit: int, ids: list[str]) -> None:
        expected = [preloaded_id(number) for number in range(start, start + limit)]
        missing = set(expected).difference(ids)
        if missing:
            found = f"{limit - len(missing)} of {limit}"
            self.result.false_negatives.append(f"LIST at {start}: {found} documents")
        elif ids != expected:
            self.result.wrong_reads.append(f"LIST at {start}: order or extra documents")
        elif not self._cursor and start + limit < self._plan.documents:
            self.result.false_negatives.append(f"LIST at {start}: ended before the last page")


def _without_id(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "_id"}


def _plain(document: Any) -> dict[str, Any]:
    return {name: value for name, value in dict(document).items() if name != "_meta"}
