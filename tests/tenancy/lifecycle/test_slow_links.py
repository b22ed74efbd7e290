"""A cluster at the end of a slow link is moved to in batches that pass within a call's deadline."""

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from tenancy import encryption, lifecycle
from tenancy.models import Cluster
from tenancy.mongo import clients
from tests.conftest import ACTOR
from tests.moves import count_of, place_of

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]
BYTES_PER_SECOND = 6_000_000
TIMEOUT_SECONDS = 1.0
DOCUMENTS = 450
DOCUMENT_BYTES = 15_000  # all of them take longer than a call may


class SlowLink:
    """A proxy on 127.0.0.1 through which every connection passes so many bytes a second."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._threads = []
        self._start(self._serve)

    @property
    def uri(self) -> str:
        port = self._listener.getsockname()[1]
        return f"mongodb://127.0.0.1:{port}/?directConnection=true"

    def _start(self, do, *arguments):
        thread = threading.Thread(target=do, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self):
        with suppress(OSError):  # closed
            while True:
                ends = self._listener.accept()[0], socket.create_connection(self._target)
                self._sockets += ends
                self._start(self._pump, *ends)
                self._start(self._pump, *reversed(ends))

    def _pump(self, here, there):
        with suppress(OSError):
            while data := here.recv(65_536):
                time.sleep(len(data) / BYTES_PER_SECOND)
                there.sendall(data)
        for end in (here, there):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def slow_link(client):
    """Yield the URI of a deployment behind a slow link."""
    link = SlowLink(client.address[1])
    try:
        yield link.uri
    finally:
        opened = clients._clients.pop((os.getpid(), link.uri), None)
        if opened is not None:
            opened.close()
        link.close()


def test_a_copy_gets_through_a_slow_link(acme, behind, second_cluster, second_client, settings):
    settings.TENANCY_OPERATION_TIMEOUT = TIMEOUT_SECONDS
    documents = [{"_id": n, "b": b"x" * DOCUMENT_BYTES} for n in range(DOCUMENTS)]
    behind.stored_of(acme.organization).insert_many(documents)

    with slow_link(second_client) as uri:
        Cluster.objects.create(alias="far", uri_encrypted=encryption.encrypt(uri))
        lifecycle.move_organization(acme.id, "collection", cluster="far", by=ACTOR)

        assert place_of(acme.id) == ("collection", "far")
        assert count_of(acme.id) == DOCUMENTS
