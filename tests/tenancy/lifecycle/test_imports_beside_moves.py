"""An import that goes on while its organization moves: every line is stored, and once."""

import io
import threading

import pytest
from django.db import connection

from tenancy import lifecycle
from tests.conftest import ACTOR
from tests.moves import place_of

IMPORT = "/api/v1/collections/main/import"
CHUNK_LINES = 100
PACE_SECONDS = 0.02
# For each move; a machine that is slow at moving should not have to race against an import.
LINES_PER_MOVE = 6_000
SECONDS = 60.0

pytestmark = pytest.mark.needs_mongod


class Feed(io.RawIOBase):
    """A body that goes on as far as it may, and ends when it is told to."""

    def __init__(self):
        self.lines, self.may = 0, 0
        self.flows, self.is_enough = threading.Event(), threading.Event()
        self._is_ended = False

    def let_flow(self):
        """Let more lines come, and wait until the first of them do."""
        self.flows.clear()
        self.may += LINES_PER_MOVE
        assert self.flows.wait(SECONDS)

    def read(self, _=-1):
        """Return some lines, then the last one, then nothing."""
        if self._is_ended:
            return b""
        while not self.is_enough.wait(PACE_SECONDS):
            if self.lines < self.may:
                self.flows.set()
                return self._next()
        self._is_ended = True
        return self._next() + b'{"_export": {"count": %d}}\n' % self.lines

    def _next(self):
        numbers = range(self.lines, self.lines + CHUNK_LINES)
        self.lines += CHUNK_LINES
        return b"".join(b'{"n": %d}\n' % number for number in numbers)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("key", [{}, {"HTTP_IDEMPOTENCY_KEY": "k"}], ids=["plain", "keyed"])
def test_an_import_beside_moves_loses_and_doubles_nothing(
    acme, second_cluster, behind, settings, key
):
    settings.TENANCY_OPERATION_TIMEOUT = 5.0  # a batch that is not answered in time ends an import
    feed, client, answers = Feed(), acme.client("bob"), []
    environ = {"CONTENT_LENGTH": "", "wsgi.input": feed, "wsgi.input_terminated": True, **key}

    def put_in():
        try:
            sent = client.generic("POST", IMPORT, content_type="application/x-ndjson", **environ)
            answers.append(sent)
        finally:
            connection.close()

    importing = threading.Thread(target=put_in)
    importing.start()
    try:
        for kind, options in (("database", {}), ("cluster", {"cluster": "second"})):
            feed.let_flow()
            lifecycle.move_organization(acme.id, kind, by=ACTOR, **options)
    finally:
        feed.is_enough.set()
        importing.join()

    (answer,) = answers
    assert place_of(acme.id) == ("cluster", "second")
    assert (answer.status_code, answer.json()["inserted"]) == (200, feed.lines), answer.content
    acme.organization.refresh_from_db()
    stored = sorted(row["n"] for row in behind.stored_of(acme.organization).find())
    assert stored == list(range(feed.lines))
