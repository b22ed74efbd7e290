"""A client that begins something before a move and ends it afterwards."""

from urllib.parse import quote

from benchmarks.drill_check import Document
from benchmarks.drill_client import DOCUMENTS, DrillClient
from benchmarks.drill_load import Entry

WITNESSES = 20
PAGE_LIMIT = 1_000
SHARE_OF_WALK = 0.5


def witness_id(number: int) -> str:
    """The id of a document for conditional writes; it sorts after what readers know."""
    return f"q-{number:03d}"


def witness_documents() -> list[Document]:
    """Return these documents as the service stores them."""
    return [
        {"_id": witness_id(number), "key": witness_id(number), "n": 0, "_meta": {"rev": 1}}
        for number in range(WITNESSES)
    ]


class Witness:
    """Walks through all documents and writes with `If-Match`, across each move."""

    def __init__(self, clients: list[DrillClient], loaded: int) -> None:
        self._clients = clients
        self._half = round(loaded * SHARE_OF_WALK)
        self._calls = self._moves = 0
        self._etags: dict[str, str] = {}
        self._walked: list[str] = []
        self._cursor = ""
        self.wrong: list[str] = []
        self.journal = {
            witness_id(number): Entry("present", self._document(witness_id(number)), 1)
            for number in range(WITNESSES)
        }

    def begin(self) -> None:
        """Take the ETags, and walk through the first half of the documents."""
        self._connect_anew()
        for name in self.journal:
            self._etags[name] = self._client.call("GET", "GET", f"{DOCUMENTS}/{name}").etag
        self._walked, self._cursor = [], ""
        while len(self._walked) < self._half:
            if not self._next_page():
                self.wrong.append("the walk ended in its first half")
                return

    def end(self) -> None:
        """Walk on with the old cursor to the end; write with the old ETags."""
        self._connect_anew()
        while self._next_page():
            pass
        self._moves += 1
        for name, etag in self._etags.items():
            self._write(name, etag)

    def _connect_anew(self) -> None:
        """Let go of connections that were silent for so long that the server has closed them."""
        for client in self._clients:
            client.close()

    @property
    def walked(self) -> list[str]:
        """The ids of the last walk, in its order, as JSON spells them."""
        return self._walked

    @property
    def _client(self) -> DrillClient:
        self._calls += 1
        return self._clients[self._calls % len(self._clients)]

    def _next_page(self) -> bool:
        """Read a page, and return whether there is another one."""
        query = f"?limit={PAGE_LIMIT}" + (f"&cursor={quote(self._cursor)}" if self._cursor else "")
        answer = self._client.call("WALK", "GET", DOCUMENTS + query)
        if not answer.ok:
            self.wrong.append(f"a page of the walk answered {answer.status} {answer.code}")
            return False
        self._walked += [str(row["_id"]) for row in answer.body["data"]]
        self._cursor = answer.body["page"]["next"] or ""
        return bool(self._cursor)

    def _document(self, name: str) -> Document:
        return {"_id": name, "key": name, "n": self._moves}

    def _write(self, name: str, etag: str) -> None:
        """The first write with an ETag from before the move is accepted, the second is not."""
        document, before = self._document(name), self.journal[name]
        body = {key: value for key, value in document.items() if key != "_id"}
        path, expected = f"{DOCUMENTS}/{name}", f'"r{before.revision + 1}"'
        answer = self._client.call("PUT", "PUT", path, body, if_match=etag)
        if answer.status != 200 or answer.etag != expected:
            self.wrong.append(f"If-Match {etag} on {name}: {answer.status} {answer.etag}")
        self.journal[name] = Entry("present", document, before.revision + 1)
        again = self._client.call(
            "PUT", "PUT", path, body, if_match=etag, refusal="precondition_failed"
        )
        if again.status != 412:
            self.wrong.append(f"stale If-Match {etag} on {name}: {again.status}")
