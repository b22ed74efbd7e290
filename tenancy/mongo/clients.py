"""One MongoClient for each cluster and process, opened on first use after a fork."""

import os
import threading
from contextlib import AbstractContextManager
from typing import Any

import pymongo
from django.conf import settings
from pymongo import MongoClient
from pymongo.database import Database

from tenancy.mongo.errors import driver_errors
from tenancy.mongo.extended_json import CODEC_OPTIONS
from tenancy.names import PlacementAddress

Document = dict[str, Any]
# A cluster that cannot be reached costs a request this long, not the whole deadline.
SERVER_SELECTION_TIMEOUT_MS = 2_500
CONNECT_TIMEOUT_MS = 2_000
MAX_POOL_SIZE = 64

_clients: dict[tuple[int, str], MongoClient[Document]] = {}
_lock = threading.Lock()


def _open_client(uri: str) -> MongoClient[Document]:
    # The concerns are set here and not in the URI: they are what "acknowledged" means.
    return MongoClient(
        uri,
        w="majority",
        readConcernLevel="majority",
        retryWrites=True,
        retryReads=True,
        timeoutMS=round(settings.TENANCY_OPERATION_TIMEOUT * 1000),
        serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS,
        connectTimeoutMS=CONNECT_TIMEOUT_MS,
        maxPoolSize=MAX_POOL_SIZE,
        appname="tenantry",
    )


def get_client(uri: str) -> MongoClient[Document]:
    """Return this process's client for a cluster. Opens no connection by itself."""
    key = (os.getpid(), uri)
    client = _clients.get(key)
    if client is None:
        with _lock, driver_errors(writing=False):
            client = _clients.get(key) or _open_client(uri)
            _clients[key] = client
    return client


def call_deadline() -> AbstractContextManager[None]:
    """Bound everything that is called in the block, together, by one operation timeout.

    That is what lets a fence go: a call that began before it stood has ended one timeout later.
    """
    return pymongo.timeout(settings.TENANCY_OPERATION_TIMEOUT)


def get_database(address: PlacementAddress) -> Database[Document]:
    """Return the database that an address names, reading with lossless codec options."""
    return get_client(address.uri).get_database(address.database, codec_options=CODEC_OPTIONS)


def ping(uri: str) -> None:
    """Raise ClusterUnavailable unless the cluster answers."""
    with driver_errors(writing=False):
        get_client(uri).admin.command("ping")


def close_clients() -> None:
    """Close every client of this process."""
    with _lock:
        for key in [key for key in _clients if key[0] == os.getpid()]:
            _clients.pop(key).close()
