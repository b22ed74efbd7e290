"""Which documents of a tenant change: a change stream over its placement, as ids in order."""

import base64
import time
from contextlib import suppress
from typing import Any, NamedTuple, Self

from bson import Timestamp, decode, encode
from pymongo.change_stream import ChangeStream
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from tenancy.exceptions import PlacementDisturbed
from tenancy.mongo.boundary import Document, owner_of
from tenancy.mongo.clients import get_client, get_database
from tenancy.mongo.errors import CHANGE_STREAM_HISTORY_LOST, driver_errors
from tenancy.names import (
    OWN_DATABASE,
    RECORDS_COLLECTION,
    SHARED_COLLECTION,
    PlacementAddress,
    logical_collection,
)

# One look at the stream waits this long when nothing has changed.
AWAIT_MS = 20
BATCH_CHANGES = 1_000
# Beside writers there is always a next change: what is read by then is applied first.
READ_SECONDS = 0.05
# `~` is in no logical name: no tenant has these collections. What is written to the first is looked
# out for; to the second, see `late_writes`.
SENTINELS, QUESTIONS = "~sentinel", "~questions"
TRACES = (SENTINELS, QUESTIONS)
_DOCUMENT_CHANGES = frozenset(("insert", "update", "replace", "delete"))
_DISTURBANCES = frozenset(("drop", "rename", "dropDatabase", "invalidate"))


class Change(NamedTuple):
    """A document of a logical collection was written or deleted; perhaps in a transaction."""

    logical: str
    document_id: Any
    transaction: bytes | None = None


def transaction_of(session: ClientSession) -> bytes:
    """Return the name of the transaction that is under way, as changes tell it."""
    # The driver has no public name for the number; it is a part of the wire protocol:
    # https://github.com/mongodb/specifications/blob/master/source/transactions/transactions.md
    session_id = session.session_id["id"]  # if nothing was sent yet, it is made now
    return _transaction_name(session_id, session._server_session.transaction_id)  # noqa: SLF001


def _transaction_name(session_id: bytes, number: int) -> bytes:
    return bytes(session_id) + int(number).to_bytes(8, "big")


def note_time(address: PlacementAddress) -> list[int]:
    """Return the cluster's time now, as two numbers that `Changes` can begin with."""
    with driver_errors(writing=False):
        now: Timestamp = get_client(address.uri).admin.command("ping")["operationTime"]
    return [now.time, now.inc]


def _match(address: PlacementAddress) -> Document:
    if address.kind == "shared":
        return {"ns.coll": SHARED_COLLECTION, "documentKey._id.o": owner_of(address)}
    if address.kind in OWN_DATABASE:
        return {"ns.coll": {"$ne": RECORDS_COLLECTION}}
    prefix = address.namespace
    # "." and "/" are neighbours in ASCII: the range is every name that begins with the prefix.
    return {"$or": [{"ns.coll": prefix}, {"ns.coll": {"$gt": f"{prefix}.", "$lt": f"{prefix}/"}}]}


class HistoryLost(PlacementDisturbed):
    """MongoDB no longer has the changes since the copy began: trying again does not help."""

    default_detail = (
        "MongoDB no longer has the changes since the copy began: its oplog is too small for the "
        "time that this takes."
    )


class Changes:
    """The changes at a placement since a time, or since the place in `token`.

    Raises PlacementDisturbed when somebody drops or renames a collection meanwhile, and
    HistoryLost when MongoDB no longer has the changes since then.
    """

    def __init__(self, address: PlacementAddress, *, since: list[int], token: str = "") -> None:
        self._address = address
        self._since = Timestamp(*since)
        self._token = _decoded(token)
        self._stream: ChangeStream[Document] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def token(self) -> str:
        """The place after the last change that was read."""
        return base64.b64encode(encode(self._token)).decode() if self._token else ""

    def read_some(self, *, until: Change | None = None) -> list[Change]:
        """Return the next changes, at most 1,000; none after `until`, once that is seen.

        Waits `AWAIT_MS` for another one, and goes on for `READ_SECONDS` at most.
        """
        try:
            with driver_errors(writing=False):
                return self._read(until)
        except BaseException as error:
            self.close()  # the next look opens it again, where this one began
            code = getattr(error.__cause__, "code", None)
            if code == CHANGE_STREAM_HISTORY_LOST:
                raise HistoryLost from error
            raise

    def go_back(self, token: str) -> None:
        """Read again from a place that was before."""
        self.close()
        self._token = _decoded(token)

    def close(self) -> None:
        """End the stream; the next look opens it again."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(PyMongoError):
                stream.close()

    def _read(self, until: Change | None) -> list[Change]:
        stream, changes = self._open(), list[Change]()
        enough = time.monotonic() + READ_SECONDS
        while len(changes) < BATCH_CHANGES and time.monotonic() < enough:
            event = stream.try_next()
            if event is None:
                break
            change = self._changed(event)
            changes += [change] if change is not None else []
            if change is not None and change == until:
                break
        self._token = dict(stream.resume_token or self._token or {})
        return changes

    def _open(self) -> ChangeStream[Document]:
        if self._stream is None:
            self._stream = get_database(self._address).watch(
                [{"$match": _match(self._address)}, {"$project": _KEPT}],
                resume_after=self._token,
                start_at_operation_time=None if self._token else self._since,
                max_await_time_ms=AWAIT_MS,
                batch_size=BATCH_CHANGES,
            )
        return self._stream

    def _changed(self, event: Document) -> Change | None:
        kind = event["operationType"]
        if kind in _DISTURBANCES and not event.get("ns", {}).get("coll", "").endswith(TRACES):
            raise PlacementDisturbed
        if kind not in _DOCUMENT_CHANGES:
            return None
        stored, within = event["documentKey"]["_id"], None
        if "txnNumber" in event:
            within = _transaction_name(event["lsid"]["id"], event["txnNumber"])
        if self._address.kind == "shared":
            return Change(stored["c"], stored["k"], within)
        name = event["ns"]["coll"]
        if self._address.kind in OWN_DATABASE:
            return Change(name, stored, within)
        return Change(str(logical_collection(self._address.namespace, name)), stored, within)


def _decoded(token: str) -> Document | None:
    return decode(base64.b64decode(token)) if token else None


_KEPT = {"operationType": 1, "ns": 1, "documentKey": 1, "lsid.id": 1, "txnNumber": 1}
